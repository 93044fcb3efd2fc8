//! What SSH through the gate costs: beside the same ssh and sshd without it, and in memory.

#[path = "ssh/held.rs"]
mod held;
#[path = "ssh/line.rs"]
mod line;
#[path = "ssh/tap.rs"]
mod tap;
#[path = "ssh/target.rs"]
mod target;

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tapgate_benches::harness::{ROUNDS, Round, in_turns, weigh};
use tapgate_benches::process::{forget_peak, memory, nanos, rest, started};
use tapgate_benches::report::{Figure, Report};

use crate::line::{Line, SENDS, SHOWS, STAYS, SWALLOWS};
use crate::target::{Target, Way};

/// Bytes in a KiB.
const KIB: usize = 1024;

/// Bytes in a MiB.
const MIB: usize = 1024 * KIB;

/// How much a batch moves: long enough for what is not the relay to vanish.
const BATCH: usize = 32 * MIB;

/// How many batches make a GiB.
const BATCHES_A_GIB: f64 = 32.0;

/// How many rounds of whole connections there are: each takes a second or two.
const CONNECTION_ROUNDS: usize = ROUNDS / 4;

/// How many idle sessions are held at once.
const IDLE: u32 = 100;

/// What a recording may add to a download: five percent.
const TAPED_GOAL: f64 = 1.05;

/// How much is downloaded by the reader that pauses.
const DOWNLOAD: usize = 256 * MIB;

/// What the gate may take at most meanwhile: with room for its own code, a quarter of the download.
const PAUSED_GOAL: f64 = 64.0 * 1024.0 * 1024.0;

/// How much longer a batch may take over the line of 20 ms: the direct way's speed must be had to 97 %.
const FAR_GOAL: f64 = 1.0 / 0.97;

/// What an idle session may take: two ends of SSH, without a buffer.
const IDLE_GOAL: f64 = 40.0 * 1024.0;

/// What the gate gets to write its records after a connection has ended for its client.
const LINGER: Duration = Duration::from_millis(30);

/// One connection: the gate's CPU time and the wall clock's, in nanoseconds.
#[derive(Clone, Copy)]
struct Connected {
    gate: f64,
    wall: f64,
}

fn main() -> Result<ExitCode> {
    let mut report = Report::from_arguments()?;
    // Each sort of memory has a gate of its own, in which nothing came before: that would be held against it, or for it.
    if report.wants(held::NAME) {
        held::measure(&Target::new()?, &mut report)?;
    }
    if report.wants_any(&NAMES) {
        let target = Target::new()?;
        idle(&target, &mut report)?;
        tap::measure(&target, &mut report)?;
        paused(&target, &mut report)?;
        relayed(&target, &mut report, DOWN, SENDS, |line| {
            line.ask(BATCH)?;
            line.read(BATCH)
        })?;
        relayed(&target, &mut report, UP, SWALLOWS, |line| line.send(BATCH))?;
        far(&target, &mut report, FAR_DOWN, SENDS, |line| {
            line.ask(BATCH)?;
            line.read(BATCH)
        })?;
        far(&target, &mut report, FAR_UP, SWALLOWS, |line| line.send(BATCH))?;
        connections(&target, &mut report)?;
        recorded(&target, &mut report)?;
    }
    report.finish()
}

const PAUSED: &str = "ssh-paused-download-memory";
const SESSION: &str = "ssh-idle-session-memory";
const DOWN: &str = "ssh-download";
const UP: &str = "ssh-upload";
const FAR_DOWN: &str = "ssh-far-download";
const FAR_UP: &str = "ssh-far-upload";
const CPU: &str = "ssh-connection-cpu";
const WALL: &str = "ssh-connection-wall";
const TAPED: &str = "ssh-recorded-download";
const JUMP: &str = "ssh-connection-jump";
const SHOWN: &str = "ssh-recorded-terminal";

const NAMES: [&str; 12] = [tap::NAME, PAUSED, SESSION, DOWN, UP, FAR_DOWN, FAR_UP, CPU, WALL, JUMP, TAPED, SHOWN];

fn paused(target: &Target, report: &mut Report) -> Result<()> {
    if !report.wants(PAUSED) {
        return Ok(());
    }
    let mut line = Line::open(target, Way::Gate, SENDS)?;
    forget_peak(target.gate())?;
    line.ask(DOWNLOAD)?;
    line.read(MIB)?;
    rest(target.gate())?;
    line.read(DOWNLOAD - MIB)?;
    let what = "the gate's peak memory while the reader of a download of 256 MiB pauses until all stands still";
    report.add(PAUSED, Figure::bytes(what, PAUSED_GOAL, memory(target.gate(), "VmHWM")?));
    Ok(())
}

fn idle(target: &Target, report: &mut Report) -> Result<()> {
    if !report.wants(SESSION) {
        return Ok(());
    }
    let open = || {
        let mut line = Line::open(target, Way::Gate, STAYS)?;
        line.done()?;
        Ok(line)
    };
    let first: Line = open()?;
    rest(target.gate())?;
    let before = memory(target.gate(), "VmRSS")?;
    let lines = (0..IDLE).map(|_| open()).collect::<Result<Vec<_>>>()?;
    rest(target.gate())?;
    let each = (memory(target.gate(), "VmRSS")? - before) / f64::from(IDLE);
    drop((first, lines));
    let what = "the gate's memory for one of 100 idle sessions, over what it holds for a first one";
    report.add(SESSION, Figure::bytes(what, IDLE_GOAL, each));
    Ok(())
}

fn relayed(
    target: &Target,
    report: &mut Report,
    name: &str,
    command: &str,
    run: fn(&mut Line) -> Result<()>,
) -> Result<()> {
    if !report.wants(name) {
        return Ok(());
    }
    target.renew()?;
    rest(target.gate())?;
    let before = started("sshd")?;
    let mut direct = Line::open(target, Way::Direct, command)?;
    run(&mut direct)?;
    let mut ends: Vec<u32> = started("sshd")?.into_iter().filter(|id| !before.contains(id)).collect();
    ensure!(!ends.is_empty(), "the direct connection has no sshd");
    ends.push(direct.id());
    let mut through = Line::open(target, Way::Gate, command)?;
    let rounds =
        in_turns(ROUNDS, || costing(&[target.gate()], || run(&mut through)), || costing(&ends, || run(&mut direct)))?;
    let what = "CPU time a GiB by AES-GCM: the gate, against the ssh and the sshd of a direct connection";
    let figure = Figure::ratio(what, Some(1.0), ["the gate", "ssh and sshd"], &weigh(&rounds));
    report.add(name, figure);
    Ok(())
}

/// What it costs the gate to record a session, against the same one unrecorded.
fn recorded(target: &Target, report: &mut Report) -> Result<()> {
    let batch = |line: &mut Line| {
        line.ask(BATCH)?;
        line.read(BATCH)
    };
    let gate = [target.gate()];
    if report.wants(TAPED) {
        let (mut taped, mut plain) = (Line::open(target, Way::Recorded, SENDS)?, Line::open(target, Way::Gate, SENDS)?);
        let rounds =
            in_turns(ROUNDS, || costing(&gate, || batch(&mut taped)), || costing(&gate, || batch(&mut plain)))?;
        let what = "the gate's CPU time a GiB of a download whose session is recorded, against one that is not";
        report.add(TAPED, Figure::ratio(what, Some(TAPED_GOAL), ["recorded", "not recorded"], &weigh(&rounds)));
    }
    if report.wants(SHOWN) {
        let open = |way| {
            let mut line = Line::open(target, way, SHOWS)?;
            line.done()?;
            Ok::<_, anyhow::Error>(line)
        };
        let (mut taped, mut plain) = (open(Way::Recorded)?, open(Way::Gate)?);
        let rounds =
            in_turns(ROUNDS, || costing(&gate, || batch(&mut taped)), || costing(&gate, || batch(&mut plain)))?;
        let what = "the same of a terminal that scrolls as fast as it can: all of it is compressed, sealed and written";
        report.add(SHOWN, Figure::ratio(what, None, ["recorded", "not recorded"], &weigh(&rounds)));
    }
    Ok(())
}

/// By the wall clock, over a line of 20 ms.
fn far(
    target: &Target,
    report: &mut Report,
    name: &str,
    command: &str,
    run: fn(&mut Line) -> Result<()>,
) -> Result<()> {
    if !report.wants(name) {
        return Ok(());
    }
    target.renew()?;
    let mut direct = Line::open(target, Way::FarDirect, command)?;
    let mut through = Line::open(target, Way::FarGate, command)?;
    let timed = |line: &mut Line| {
        let start = Instant::now();
        run(line)?;
        Ok::<_, anyhow::Error>(start.elapsed().as_secs_f64() * 1e9)
    };
    let rounds = in_turns(CONNECTION_ROUNDS, || timed(&mut through), || timed(&mut direct))?;
    let what = "wall-clock time of 32 MiB over a line of 20 ms there and back: through the gate, against direct";
    report.add(name, Figure::ratio(what, Some(FAR_GOAL), ["through the gate", "direct"], &weigh(&rounds)));
    Ok(())
}

/// What a batch costs these processes, in CPU nanoseconds a GiB.
fn costing(ids: &[u32], run: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = nanos(ids)?;
    run()?;
    Ok((nanos(ids)? - before) * BATCHES_A_GIB)
}

fn connections(target: &Target, report: &mut Report) -> Result<()> {
    if !report.wants_any(&[CPU, WALL, JUMP]) {
        return Ok(());
    }
    let connect = |way| {
        let (cpu, start) = (nanos(&[target.gate()])?, Instant::now());
        let status = target.ssh(way, "true")?.stdin(Stdio::null()).status()?;
        ensure!(status.success(), "ssh ended with {status}");
        let wall = start.elapsed().as_secs_f64() * 1e9;
        std::thread::sleep(LINGER);
        Ok(Connected { gate: nanos(&[target.gate()])? - cpu, wall })
    };
    let against = |way| {
        target.renew()?;
        in_turns(CONNECTION_ROUNDS, || connect(Way::Gate), || connect(way))
    };
    let pick = |rounds: &[Round<Connected>], of: fn(Connected) -> f64| {
        weigh(&rounds.iter().map(|round| round.only(of)).collect::<Vec<Round>>())
    };
    if report.wants_any(&[CPU, WALL]) {
        let rounds = against(Way::Direct)?;
        let what = "the gate's CPU time for one `ssh host true`: two key exchanges, the checks, the session's records";
        report.add(CPU, Figure::nanoseconds(what, None, pick(&rounds, |one| one.gate).a));
        let what = "`ssh host true` by the wall clock, which a busy machine spoils: through the gate, against direct";
        report.add(WALL, Figure::ratio(what, None, ["through the gate", "direct"], &pick(&rounds, |one| one.wall)));
    }
    if report.wants(JUMP) {
        let rounds = against(Way::Jump)?;
        let what = "`ssh host true` by the wall clock: through the gate, against `ssh -J bastion host true`, which is \
                    OpenSSH's own way over a host between";
        report.add(JUMP, Figure::ratio(what, None, ["through the gate", "ProxyJump"], &pick(&rounds, |one| one.wall)));
    }
    Ok(())
}
