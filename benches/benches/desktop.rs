//! What desktops cost through the gate: beside a bare relay with TLS in the same place, and in memory.

#[path = "desktop/scene.rs"]
mod scene;

use std::process::ExitCode;

use anyhow::Result;
use tapgate_benches::bare;
use tapgate_benches::harness::{Compared, Estimate, ROUNDS, in_turns, weigh};
use tapgate_benches::process::{memory, rest};
use tapgate_benches::report::{Figure, Report};

use crate::scene::{BATCH, Scene, Way};

/// How many rounds of batches there are: each moves 32 MiB.
const BATCH_ROUNDS: usize = ROUNDS / 4;

/// How many rounds of connections.
const CONNECTION_ROUNDS: usize = ROUNDS / 4;

/// How many connections a round makes.
const CONNECTIONS: u32 = 8;

/// How many idle sessions are held at once.
const IDLE: u32 = 100;

/// What an idle session may take: one end of TLS and two buffers of a TLS record.
const IDLE_GOAL: f64 = 48.0 * 1024.0;

/// What carrying a picture may cost against a relay that does nothing but TLS.
const RELAY_GOAL: f64 = 1.1;

/// What the verdict, the records and the desktop's own handshake may add to a connection, in nanoseconds.
const CONNECT_GOAL: f64 = 5e6;

const RELAY: &str = "desktop-relay-cpu";
const CONNECT: &str = "desktop-connect-added";
const IDLE_MEMORY: &str = "desktop-idle-session-memory";

fn main() -> Result<ExitCode> {
    if let Some(relay) = bare::asked() {
        return relay.run();
    }
    let mut report = Report::from_arguments()?;
    if report.wants_any(&[RELAY, CONNECT, IDLE_MEMORY]) {
        let scene = Scene::new()?;
        idle(&scene, &mut report)?;
        relayed(&scene, &mut report)?;
        connections(&scene, &mut report)?;
    }
    report.finish()
}

fn idle(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants(IDLE_MEMORY) {
        return Ok(());
    }
    let gate = scene.proxy(Way::Gate);
    let first = scene.viewer(Way::Gate, 1)?;
    rest(gate)?;
    let before = memory(gate, "VmRSS")?;
    let held = scene.viewer(Way::Gate, IDLE)?;
    rest(gate)?;
    let each = (memory(gate, "VmRSS")? - before) / f64::from(IDLE);
    drop((first, held));
    let what = "the gate's memory for one of 100 VNC sessions in which nothing happens, over a first one";
    report.add(IDLE_MEMORY, Figure::bytes(what, IDLE_GOAL, each));
    Ok(())
}

fn relayed(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants(RELAY) {
        return Ok(());
    }
    let (mut gate, mut bare) = (scene.viewer(Way::Gate, 1)?, scene.viewer(Way::Bare, 1)?);
    let rounds =
        in_turns(BATCH_ROUNDS, || scene.picture(&mut gate, Way::Gate), || scene.picture(&mut bare, Way::Bare))?;
    let batches_a_gib = f64::from(1024_u32 * 1024 * 1024 / BATCH);
    let found = weigh(&rounds);
    let (a, b) = (found.a.scaled(batches_a_gib), found.b.scaled(batches_a_gib));
    let found = Compared { a, b, ratio: found.ratio };
    let what = "CPU time of the proxy for a GiB of pictures from a VNC desktop, TLS before it";
    report.add(RELAY, Figure::ratio(what, Some(RELAY_GOAL), ["the gate", "a bare relay with TLS"], &found));
    Ok(())
}

fn connections(scene: &Scene, report: &mut Report) -> Result<()> {
    if !report.wants(CONNECT) {
        return Ok(());
    }
    let (mut gate, mut bare) = (scene.viewer(Way::Gate, 0)?, scene.viewer(Way::Bare, 0)?);
    let rounds = in_turns(CONNECTION_ROUNDS, || gate.connect(CONNECTIONS), || bare.connect(CONNECTIONS))?;
    let found = weigh(&rounds);
    let (a, b) = (found.a, found.b);
    let added = Estimate::new(a.value - b.value, a.low - b.high, a.high - b.low);
    let what = "what a connection up to the desktop's first word takes longer, by the wall clock, than through a bare relay \
                with the same one handshake of TLS";
    report.add(CONNECT, Figure::nanoseconds(what, Some(CONNECT_GOAL), added));
    Ok(())
}
