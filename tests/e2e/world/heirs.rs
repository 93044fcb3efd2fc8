//! What goes on while a gate changes hands.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapgate_lab::Gate;

use super::until;

/// What the old process says when it has been relieved.
pub(crate) const TAKEN: &str = "A fresh process has taken over";

/// How often the gate changes hands meanwhile.
const HAND_OVERS: u32 = 3;

/// How long each may take, with what goes on.
const EACH: Duration = Duration::from_mins(1);

/// What somebody does over and over.
pub(crate) type Deed<'a> = &'a (dyn Fn() -> Result<()> + Sync);

/// Asks this very process of a gate for an heir: its own heirs are of the same group.
pub(crate) fn ask(process: u32) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(process)?), Signal::SIGUSR2).context("the gate is gone")
}

/// Has this process of a gate hand over, and gives the heir's, which the gate's log names.
pub(crate) fn hand_over(gate: &Gate, process: u32) -> Result<u32> {
    ask(process)?;
    gate.process().wait_for_error(TAKEN)?;
    let log = gate.process().stderr();
    let line = log.lines().rev().find(|line| line.contains(TAKEN)).context("nobody has taken over")?;
    let line: serde_json::Value = serde_json::from_str(line)?;
    let id = line["fields"]["process"].as_u64().context("no process is named")?;
    Ok(u32::try_from(id)?)
}

/// Has the gate change hands while each of them is done over and over, and sees that none fails.
pub(crate) fn hand_over_beside(gate: &Gate, deeds: &[Deed<'_>]) -> Result<()> {
    let (over, done) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut process = gate.process().id();
    let again_and_again = |deed: Deed<'_>| -> Result<()> {
        while !over.load(Ordering::Relaxed) {
            deed()?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let doing: Vec<_> = deeds.iter().map(|deed| scope.spawn(|| again_and_again(*deed))).collect();
        let mut all = || -> Result<()> {
            for _ in 0..HAND_OVERS {
                let due = done.load(Ordering::Relaxed) + u32::try_from(deeds.len())?;
                process = hand_over(gate, process)?;
                until("something to be done by the fresh process", EACH, || {
                    Ok(doing.iter().any(thread::ScopedJoinHandle::is_finished) || done.load(Ordering::Relaxed) > due)
                })?;
            }
            Ok(())
        };
        let handed_over = all();
        over.store(true, Ordering::Relaxed);
        doing.into_iter().try_for_each(|one| one.join().expect("the thread does not panic"))?;
        handed_over
    })
}
