//! SIGTERM while sessions are live: they go on until the deadline, and nothing new comes in.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;

use super::bare::{SLACK, curl, dial};
use crate::world::{World, until};

/// A world whose gate gives sessions so long, and its admin port.
fn draining(stop: &str) -> Result<(World, u16)> {
    let mut world = World::new()?;
    world.stop()?;
    let admin = world.lab.port()?;
    let text = std::fs::read_to_string(&world.config)?;
    let more = format!("admin_listen: \"127.0.0.1:{admin}\"\ndrain: {{ stop: {stop} }}\n");
    std::fs::write(&world.config, text + &more)?;
    world.start()?;
    Ok((world, admin))
}

#[test]
fn live_sessions_go_on_until_they_end_and_nothing_new_comes_in() -> Result<()> {
    let (mut world, admin) = draining("2m")?;
    let mut session = world.start_ssh("dev1", &["cat"])?;
    session.write(b"before\n")?;
    session.wait_for("before")?;
    let address = world.gate().address();
    world.gate().process().signal(Signal::SIGTERM);
    let ready = || curl(&format!("http://127.0.0.1:{admin}/readyz"), &[]);
    until("the gate to drain", SLACK, || Ok(ready()?.status == 503))?;
    assert_eq!(ready()?.body, "draining, 1 sessions\n");
    assert_eq!(curl(&format!("http://127.0.0.1:{admin}/healthz"), &[])?.status, 200);
    assert!(dial(address).is_err(), "the port is closed");

    session.write(b"after\n")?;
    session.wait_for("after")?;
    session.finish(SLACK)?.success()?;
    let start = Instant::now();
    assert!(world.stop()?.success());
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
    Ok(())
}

#[test]
fn the_deadline_ends_them_with_a_word() -> Result<()> {
    let (mut world, _) = draining("1s")?;
    let session = world.start_ssh("dev1", &["echo here; exec sleep 60"])?;
    session.wait_for("here")?;
    let start = Instant::now();
    world.gate().process().signal(Signal::SIGTERM);
    let ran = session.finish(SLACK * 2)?.failure(255)?;
    assert!(ran.stderr.contains("the gate is shutting down"), "{ran}");
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(world.stop()?.success());
    Ok(())
}

#[test]
fn a_second_signal_ends_them_at_once() -> Result<()> {
    let (mut world, _) = draining("10m")?;
    let session = world.start_ssh("dev1", &["echo here; exec sleep 60"])?;
    session.wait_for("here")?;
    world.gate().process().signal(Signal::SIGTERM);
    world.gate().process().wait_for_error("The gate is closing")?;
    let start = Instant::now();
    assert!(world.stop()?.success());
    assert!(start.elapsed() < SLACK * 2, "{:?}", start.elapsed());
    session.finish(SLACK)?.failure(255).map(drop)
}
