//! How sessions end: locks, a gate that is killed, a gate that closes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_lab::Process;

use crate::world::{World, text};

const SOON: Duration = Duration::from_secs(20);

/// A session that says `up` and then waits.
fn open(world: &World, target: &str) -> Result<Process> {
    let session = world.start_ssh(target, &["echo up; exec cat"])?;
    session.wait_for("up")?;
    Ok(session)
}

fn seconds(record: &serde_json::Value) -> Result<i64> {
    record["time"].as_i64().with_context(|| format!("no time: {record}"))
}

#[test]
fn a_lock_cuts_a_live_session_within_a_second() -> Result<()> {
    let world = World::new()?;
    let mut session = open(&world, "dev1")?;
    let mark = world.mark();
    world.olga.tapctl(["lock", "--user=jerry", "--message=laptop lost", "--ttl=1h"])?.success()?;
    session.wait_for_error("this session was ended: access is locked")?;
    assert_eq!(session.wait(SOON)?.code(), Some(255));
    let locked = world.await_record(mark, "admin.changed", |_| true)?;
    let ended = world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&ended, "reason").contains("locked"), "{ended}");
    assert!(seconds(&ended)? - seconds(&locked)? <= 1, "{locked} {ended}");

    let again = world.ssh("dev1", &["true"])?.failure(1)?;
    assert!(again.stderr.contains("access is locked"), "{again}");
    let stock = world.stock(false, "dev1", "true")?.failure(255)?;
    assert!(stock.stderr.contains("access is locked"), "{stock}");
    Ok(())
}

#[test]
fn a_role_that_no_longer_allows_it_cuts_a_session_and_another_stays() -> Result<()> {
    let world = World::new()?;
    let (mut prod, mut dev) = (open(&world, "prod3")?, open(&world, "dev1")?);
    world.put(&world.role("access-prod", "nowhere", "require_session_mfa: true"))?;
    prod.wait_for_error("this session was ended")?;
    assert_eq!(prod.wait(SOON)?.code(), Some(255));
    dev.write(b"still here\n")?;
    dev.wait_for("still here")?;
    dev.finish(SOON)?.success()?;
    Ok(())
}

#[test]
fn a_killed_gate_comes_back_with_all_that_was_acknowledged() -> Result<()> {
    let mut world = World::new()?;
    let mut session = open(&world, "prod3")?;
    world.put(&world.role("auditor", "audit", ""))?;
    world.kill()?;
    assert_eq!(session.wait(SOON)?.code(), Some(255));
    world.start()?;
    let kept = world.olga.tapctl(["get", "role/auditor"])?.success()?;
    assert!(kept.stdout.contains("name: auditor"), "{kept}");
    world.ssh("dev1", &["true"])?.success()?;
    world.ssh("prod3", &["true"])?.success()?;
    assert!(world.stop()?.success());
    let summary = tapgate_audit::verify_file(world.audit_log())?;
    assert_eq!(summary.unfinished, 0);
    Ok(())
}

#[test]
fn a_window_outlives_a_restart_since_its_proof_is_with_the_client() -> Result<()> {
    let mut world = World::new()?;
    world.ssh("prod3", &["true"])?.success()?;
    world.stop()?;
    world.start()?;
    let again = world.ssh("prod3", &["true"])?.success()?;
    assert_eq!(again.stderr, "");
    Ok(())
}

#[test]
fn a_gate_that_closes_tells_its_sessions_and_ends_well() -> Result<()> {
    let mut world = World::new()?;
    let mut sessions = [open(&world, "dev1")?, open(&world, "prod3")?];
    assert_eq!(world.stop()?.code(), Some(0));
    for session in &mut sessions {
        session.wait_for_error("the gate is shutting down")?;
        assert_eq!(session.wait(SOON)?.code(), Some(255));
    }
    let records = world.records();
    let ends = records.iter().filter(|record| text(record, "event") == "session.end");
    assert_eq!(ends.filter(|end| text(end, "reason").contains("shutting down")).count(), 2);
    assert_eq!(records.last().map(|last| text(last, "event")), Some("gate.stopped"));
    tapgate_audit::verify_file(world.audit_log())?;
    Ok(())
}
