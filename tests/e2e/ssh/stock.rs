//! A stock `ssh` with the login certificate, in the tunnel and without: what it opens and what it is told.

use anyhow::{Context as _, Result};
use tapgate_lab::Ran;

use crate::world::{ASKED, World, text};

/// What the gate said with its goodbye.
fn farewell(ran: &Ran) -> Result<&str> {
    let line = ran.stderr.lines().find(|line| line.starts_with("Received disconnect"));
    let (_, said) = line.and_then(|line| line.split_once("ERROR: ")).with_context(|| format!("no goodbye: {ran}"))?;
    Ok(said)
}

#[test]
fn stock_ssh_opens_development_and_is_told_why_not_production() -> Result<()> {
    let world = World::new()?;
    for tunnel in [true, false] {
        let opened = world.stock(tunnel, "dev1", "echo here; exit 4")?.failure(4)?;
        assert_eq!(opened.stdout, "here\n");
        let mark = world.mark();
        let refused = world.stock(tunnel, "prod3", "echo here")?.failure(255)?;
        assert!(farewell(&refused)?.starts_with(ASKED), "{refused}");
        assert_eq!(world.denied(mark)?, "no tap was shown");
    }
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}

#[test]
fn the_gates_name_may_follow_the_targets() -> Result<()> {
    let world = World::new()?;
    let opened = world.stock(false, "dev1@localhost", "echo here")?.success()?;
    assert_eq!(opened.stdout, "here\n");
    Ok(())
}

#[test]
fn unknown_and_forbidden_targets_look_the_same_to_the_client_and_not_to_the_log() -> Result<()> {
    let world = World::new()?;
    let vault = world.target("vault", world.trusting("secret"))?;
    let mut told = Vec::new();
    let mut reasons = Vec::new();
    for name in ["vault", "no-such-node"] {
        let by_tap = world.ssh(name, &["true"])?.failure(1)?.stderr;
        let mark = world.mark();
        let ran = world.stock(true, name, "true")?.failure(255)?;
        told.push((by_tap.replace(name, "NAME"), farewell(&ran)?.replace(name, "NAME")));
        reasons.push(world.denied(mark)?);
    }
    assert_eq!(told[0], told[1]);
    assert_ne!(reasons[0], reasons[1]);
    assert_eq!(reasons[1], "there is no such target");
    assert_eq!(vault.connections(), 0);

    // Nor does a login that the roles do not give tell more.
    let mark = world.mark();
    let ran = world.jerry.ssh(
        world
            .options(true, "stranger@dev1", &crate::world::login_files(&world, &world.jerry).ssh_key)
            .into_iter()
            .chain(["localhost", "true"].map(str::to_owned)),
    )?;
    assert_eq!(farewell(&ran)?.replace("dev1", "NAME"), told[0].1);
    let denied = world.await_record(mark, "session.denied", |_| true)?;
    assert_eq!(text(&denied, "login"), "stranger");
    Ok(())
}
