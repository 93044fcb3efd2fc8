//! Authorities are rotated while people work: both are good in between, and afterwards the old one is good for nothing.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_lab::{Ran, SshdOptions};

use crate::world::{World, enrol, event, login_files, person, text};

pub(super) fn rotate(world: &World, group: &str, phase: &str, rest: &[&str]) -> Result<Ran> {
    let step = ["auth", "rotate", "--type", group, "--phase", phase];
    world.olga.tapctl(step.into_iter().chain(rest.iter().copied()))
}

#[test]
fn logins_of_both_authorities_are_good_until_the_old_one_is_gone() -> Result<()> {
    let world = World::new()?;
    let ran = rotate(&world, "user", "switch", &[])?.failure(1)?;
    assert!(ran.stderr.contains("are not being rotated (begin with --phase prepare)"), "{ran}");
    rotate(&world, "user", "prepare", &[])?.success()?;
    rotate(&world, "user", "prepare", &[])?.failure(1)?;
    world.ssh("dev1", &["true"])?.success()?;
    let mark = world.mark();
    rotate(&world, "user", "switch", &[])?.success()?;
    let told = world.await_record(mark, "admin.changed", |record| text(record, "kind") == "cert_authority")?;
    assert_eq!(text(&told, "name"), "user/switch");

    let token = world.invite("ann", "access-dev,access-prod")?;
    let ann = person(&world.lab, "ann")?;
    enrol(&ann, &world.address, &world.pin, &token)?.success()?;
    world.log_in(&ann, "ann")?;
    // jerry's login is of the old authority, ann's of the new one.
    world.ssh("prod3", &["true"])?.success()?;
    world.ssh_as(&ann, "prod3", &["true"])?.success()?;

    let ran = rotate(&world, "user", "finish", &[])?.failure(1)?;
    assert!(ran.stderr.contains("logins of the old authority are still good, until"), "{ran}");
    rotate(&world, "user", "finish", &["--now"])?.success()?;
    world.ssh_as(&ann, "prod3", &["true"])?.success()?;
    let ran = world.ssh("dev1", &["true"])?.failure(1)?;
    assert!(ran.stderr.contains("run tap login"), "{ran}");
    world.olga.tapctl(["status"])?.failure(1)?;
    world.log_in(&world.jerry, "jerry")?;
    world.ssh("prod3", &["true"])?.success()?;
    ann.tap(["logout"])?.success()?;
    Ok(())
}

#[test]
fn sessions_of_both_authorities_are_good_until_the_old_one_is_gone() -> Result<()> {
    let world = World::new()?;
    let before = world.ssh("prod3", &["true"])?.success()?;
    assert!(before.stderr.contains("Tap any security key"), "{before}");
    rotate(&world, "session", "prepare", &[])?.success()?;
    rotate(&world, "session", "switch", &[])?.success()?;
    // The window of before still opens sessions, without a tap.
    let within = world.ssh("prod3", &["true"])?.success()?;
    assert!(!within.stderr.contains("Tap any security key"), "{within}");
    rotate(&world, "session", "finish", &["--now"])?.success()?;
    world.ssh("prod3", &["true"])?.failure(255)?;
    world.jerry.tap(["logout"])?.success()?;
    world.log_in(&world.jerry, "jerry")?;
    world.ssh("prod3", &["true"])?.success()?;
    Ok(())
}

#[test]
fn targets_that_trust_both_authorities_notice_nothing() -> Result<()> {
    let world = World::new()?;
    rotate(&world, "target", "prepare", &[])?.success()?;
    let export = ["auth", "export", "--type", "target", "--kind", "target-ssh"];
    let exported = world.olga.tapctl(export)?.success()?.stdout;
    let lines: Vec<String> = exported.lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines.first()), (2, Some(&world.user_ca)));
    let trusting = |lines: &[String]| SshdOptions { user_cas: lines.to_vec(), ..world.trusting("dev") };
    let both = world.target("both", trusting(&lines))?;
    let new = world.target("new", trusting(lines.get(1..).context("no second line")?))?;

    world.ssh("both", &["true"])?.success()?;
    world.ssh("new", &["true"])?.failure(255)?;
    let session = world.start_ssh("both", &["echo here; exec cat"])?;
    session.wait_for("here")?;
    rotate(&world, "target", "switch", &[])?.success()?;
    world.ssh("both", &["true"])?.success()?;
    world.ssh("new", &["true"])?.success()?;
    world.ssh("dev1", &["true"])?.failure(255)?;
    rotate(&world, "target", "rollback", &[])?.success()?;
    world.ssh("both", &["true"])?.success()?;
    world.ssh("dev1", &["true"])?.success()?;
    world.ssh("new", &["true"])?.failure(255)?;

    // Whoever was inside all the while is inside still.
    let mut session = session;
    session.close_input();
    assert!(session.wait(Duration::from_secs(30))?.success());
    assert_eq!(world.olga.tapctl(export)?.success()?.stdout.lines().count(), 1);
    drop((both, new));
    Ok(())
}

#[test]
fn the_gates_ssh_host_key_has_the_new_authoritys_certificate_after_a_restart() -> Result<()> {
    let mut world = World::new()?;
    rotate(&world, "host", "prepare", &[])?.success()?;
    let ran = rotate(&world, "host", "switch", &[])?.failure(1)?;
    assert!(ran.stderr.contains("not everybody has logged in since"), "{ran}");
    world.log_in(&world.jerry, "jerry")?;
    let known = std::fs::read_to_string(login_files(&world, &world.jerry).known_hosts)?;
    assert_eq!(known.lines().count(), 2, "{known}");
    rotate(&world, "host", "switch", &["--now"])?.success()?;
    world.ssh("dev1", &["true"])?.success()?;
    world.stop()?;
    world.start()?;
    world.ssh("dev1", &["true"])?.success()?;
    rotate(&world, "host", "finish", &[])?.success()?;
    world.ssh("dev1", &["true"])?.success()?;
    Ok(())
}

#[test]
fn whoever_may_not_change_what_holds_for_everybody_rotates_nothing() -> Result<()> {
    let world = World::new()?;
    let step = ["auth", "rotate", "--type", "user", "--phase", "prepare"];
    let ran = world.jerry.tapctl(step)?.failure(1)?;
    assert!(ran.stderr.contains("you may not rotate authorities"), "{ran}");
    let listed = world.jerry.tapctl(["auth", "ls"])?.success()?;
    assert!(!listed.stdout.contains("next"), "{listed}");
    Ok(())
}

#[test]
fn an_administrator_sees_every_session_and_ends_one() -> Result<()> {
    let world = World::new()?;
    let session = world.start_ssh("dev1", &["echo here; exec sleep 60"])?;
    session.wait_for("here")?;
    let live = world.olga.tapctl(["sessions", "live", "--format", "json"])?.success()?.json()?;
    let id = live["sessions"][0]["id"].as_str().context("no session")?.to_owned();
    assert_eq!(live["sessions"][0]["user"], "jerry");
    let ran = world.jerry.tapctl(["sessions", "live"])?.failure(1)?;
    assert!(ran.stderr.contains("may not"), "{ran}");
    world.jerry.tapctl(["sessions", "kill", &id])?.failure(1)?;
    world.olga.tapctl(["sessions", "kill", "0"])?.failure(1)?;
    let ran = world.olga.tapctl(["sessions", "kill", &id])?.success()?;
    assert!(ran.stdout.contains(&format!("the session {id} of jerry on dev1 has been ended")), "{ran}");
    let ran = session.finish(Duration::from_secs(30))?.failure(255)?;
    assert!(ran.stderr.contains("an administrator ended it"), "{ran}");
    let ended = world.await_record(0, "session.end", |record| event(record) == "session.end")?;
    assert!(ended.to_string().contains("an administrator ended it (olga)"), "{ended}");
    Ok(())
}
