//! What the system says of processes: their CPU time, their memory, whose children they are, whether they listen.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tapgate_lab::Process;

use crate::harness::process_nanos;

/// The CPU nanoseconds that these processes have had together.
pub fn nanos(ids: &[u32]) -> Result<f64> {
    ids.iter().map(|id| process_nanos(*id).with_context(|| format!("process {id} has no clock"))).sum()
}

/// A field of `/proc/ID/status` that is given in kB, in bytes.
pub fn memory(id: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let amount = line.and_then(|line| line.split_whitespace().next()).with_context(|| format!("no {field}"))?;
    Ok(f64::from(amount.parse::<u32>()?) * 1024.0)
}

/// Lets the peak of a process's memory begin anew.
pub fn forget_peak(id: u32) -> Result<()> {
    fs::write(format!("/proc/{id}/clear_refs"), "5").context("cannot reset the peak")
}

/// Between two looks at whether a process has come to rest.
const LOOK: Duration = Duration::from_millis(500);

/// What a process at rest uses between two looks at most, in nanoseconds: one percent of a core. Pingora's clock, which
/// ticks a hundred times a second, takes half of that on a slow machine.
const REST: f64 = 5e6;

/// Waits until a process has come to rest.
pub fn rest(id: u32) -> Result<()> {
    let mut before = nanos(&[id])?;
    loop {
        std::thread::sleep(LOOK);
        let now = nanos(&[id])?;
        if now - before < REST {
            return Ok(());
        }
        before = now;
    }
}

/// How long a program may take until it listens.
const START_MAX: Duration = Duration::from_secs(10);

/// Waits until this process listens at its port, which nothing connects to meanwhile: what it has served would be held
/// against it.
pub fn listens(process: &mut Process, port: u16) -> Result<()> {
    let until = Instant::now() + START_MAX;
    while !is_listening(port)? {
        ensure!(process.is_running() && Instant::now() < until, "nobody listens at {port}: {}", process.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether something listens there, as the system says.
fn is_listening(port: u16) -> Result<bool> {
    let sockets = fs::read_to_string("/proc/net/tcp").context("cannot read the sockets")?;
    Ok(sockets.contains(&format!(":{port:04X} 00000000:0000 0A")))
}

/// Lets this process, and those that it starts from now on, have as many files open as the system allows: connections
/// are files.
pub fn allow_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")
}

/// Every process of this name that this one has started, and what those have started.
pub fn started(name: &str) -> Result<Vec<u32>> {
    let named = format!("({name}");
    let mut parents = BTreeMap::new();
    let mut servers = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that has ended since is none.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        let parent = tail.split(' ').nth(1).and_then(|parent| parent.parse::<u32>().ok());
        parents.insert(id, parent.context("a process has no parent")?);
        if head.ends_with(&named) && !tail.starts_with('Z') {
            servers.push(id);
        }
    }
    let own = std::process::id();
    let is_own = |id: &u32| std::iter::successors(Some(*id), |id| parents.get(id).copied()).any(|id| id == own);
    Ok(servers.into_iter().filter(is_own).collect())
}
