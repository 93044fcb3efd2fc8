//! When `tap ssh` asks for a tap, and what it says then.

use anyhow::Result;
use tapgate_lab::{Client, Ran};

use crate::world::{ASKED, World, copy};

/// Whether a command asked for a tap, and that it then said just the three lines.
fn asked(ran: &Ran) -> bool {
    let said: Vec<&str> = ran.stderr.lines().filter(|line| !line.starts_with("WARNING: using the software")).collect();
    if said.is_empty() {
        return false;
    }
    assert_eq!(said, [ASKED, "Tap any security key", "Detected security key tap"], "{ran}");
    true
}

#[test]
fn development_opens_without_a_tap() -> Result<()> {
    let world = World::new()?;
    let ran = world.ssh("dev1", &["echo here"])?.success()?;
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("here\n", ""));
    let start = world.await_record(0, "session.start", |_| true)?;
    assert!(start["tap"].is_null(), "{start}");
    Ok(())
}

#[test]
fn production_asks_once_within_the_window_of_one_agent() -> Result<()> {
    let world = World::new()?;
    let first = world.ssh("prod3", &["echo here"])?.success()?;
    assert!(asked(&first));
    assert_eq!(first.stdout, "here\n");
    let second = world.ssh("prod3", &["exit 7"])?.failure(7)?;
    assert!(!asked(&second));
    let alone = world.jerry.tap(["--no-agent", "ssh", &world.at("prod3"), "true"])?.success()?;
    assert!(asked(&alone), "without the agent every session has a tap of its own");
    Ok(())
}

#[test]
fn a_window_of_zero_asks_each_time() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 0s")?;
    for _ in 0..2 {
        assert!(asked(&world.ssh("prod3", &["true"])?.success()?));
    }
    Ok(())
}

#[test]
fn a_thiefs_copy_of_the_disk_opens_development_and_not_production() -> Result<()> {
    let world = World::new()?;
    // A window is open in jerry's agent, and is no use to the thief.
    world.ssh("prod3", &["true"])?.success()?;
    let thief = Client::new(&world.lab, "thief")?.without_key();
    copy(&world.jerry.tap_home(), &thief.tap_home())?;
    let stolen = world.ssh_as(&thief, "dev1", &["echo stolen"])?.success()?;
    assert_eq!(stolen.stdout, "stolen\n");
    let connections = world.prod3.connections();
    let shut = world.ssh_as(&thief, "prod3", &["echo stolen"])?.failure(1)?;
    assert!(shut.stderr.contains(ASKED) && !shut.stdout.contains("stolen"), "{shut}");
    assert_eq!(world.prod3.connections(), connections);
    thief.tap(["logout"])?.success()?;
    Ok(())
}
