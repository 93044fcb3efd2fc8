//! Several channels on one connection: the window counts for each, and they do not stand in each other's way.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::{KeyPair, Process, program};

use crate::world::{Tapper, World, until};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_further_channel_is_refused_once_the_window_is_over() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 6s")?;
    let key = KeyPair::make(&world.lab, "key")?;
    let socket = world.lab.path().join("control");
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    let mut master = world.master(&key, &world.at("prod3"), &socket)?;
    master.wait_for("up")?;
    until("a refused channel", SOON, || Ok(!world.channel(&socket, "true")?.finish(SOON)?.status.success()))?;
    master.wait_for_error("this connection's tap is over")?;
    // The session itself goes on: the window is for opening.
    master.write(b"still here\n")?;
    master.wait_for("still here")?;
    master.finish(SOON)?.success()?;
    Ok(())
}

#[test]
fn within_the_window_channels_share_a_connection() -> Result<()> {
    let world = World::new()?;
    let key = KeyPair::make(&world.lab, "key")?;
    let socket = world.lab.path().join("control");
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    let master = world.master(&key, &world.at("prod3"), &socket)?;
    master.wait_for("up")?;
    let second = world.channel(&socket, "echo second; exit 3")?.finish(SOON)?.failure(3)?;
    assert_eq!(second.stdout, "second\n");
    assert_eq!(world.prod3.connections(), 1);
    master.finish(SOON)?.success()?;
    Ok(())
}

#[test]
fn a_stalled_channel_stalls_nobody_and_grows_nothing() -> Result<()> {
    let world = World::new()?;
    let key = KeyPair::make(&world.lab, "key")?;
    let socket = world.lab.path().join("control");
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    let master = world.master(&key, &world.at("prod3"), &socket)?;
    master.wait_for("up")?;
    let before = resident(&world)?;

    // The pipe behind this channel is read by nobody, so its window fills and stays full.
    let ssh = program("ssh", "openssh-client")?;
    let line = format!("{} -F ssh_config -S {} localhost yes | sleep 600", ssh.display(), socket.display());
    let stalled = world.jerry.start(&program("sh", "dash")?, ["-c", &line])?;
    for _ in 0..3 {
        let ran = world.channel(&socket, "head -c 3000000 /dev/zero | tr '\\0' x")?.finish(SOON)?.success()?;
        assert_eq!(ran.stdout.len(), 3_000_000);
    }
    let grown = resident(&world)?.saturating_sub(before);
    assert!(grown < 48 * 1024, "the gate grew by {grown} KiB");
    drop::<Process>(stalled);
    master.finish(SOON)?.success()?;
    Ok(())
}

/// The gate's memory in KiB.
fn resident(world: &World) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.gate().process().id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
