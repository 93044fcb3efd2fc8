//! How sessions end, and what does not end them.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::Process;

use super::scene::{Pass, SOON, Scene};
use crate::world::{event, text, until};

/// A session that has answered once and waits.
fn open(scene: &Scene, pass: &Pass) -> Result<Process> {
    let mut psql = scene.start_psql(Some(pass), "", &["-f", "-"])?;
    psql.write(b"select 'up';\n")?;
    psql.wait_for("up")?;
    Ok(psql)
}

/// Waits until so many sessions have ended by themselves since the mark.
fn ended(scene: &Scene, mark: usize, sessions: usize) -> Result<()> {
    until("the sessions to end", SOON, || {
        let records = scene.world.records();
        let ends = records.iter().skip(mark).filter(|record| event(record) == "session.end");
        Ok(ends.filter(|end| text(end, "reason") != "closed by the client").count() >= sessions)
    })
}

/// What a session that is over says to whoever goes on.
fn says(mut psql: Process, words: &str) -> Result<()> {
    psql.write(b"select 'never';\n")?;
    psql.wait_for_error(words)?;
    assert!(!psql.finish(SOON)?.stdout.contains("never"));
    Ok(())
}

/// Waits until a statement runs at the target.
fn running(scene: &Scene) -> Result<()> {
    let count = "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'";
    until("the statement to run", SOON, || Ok(scene.orders.sql(count)? == "1"))
}

#[test]
fn a_lock_ends_a_session_at_once_and_in_words() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let psql = open(&scene, &pass)?;
    let busy = scene.start_psql(Some(&pass), "", &["-c", "select pg_sleep(120)"])?;
    running(&scene)?;
    let mark = scene.world.mark();
    scene.world.olga.tapctl(["lock", "--user=jerry", "--message=laptop lost", "--ttl=1h"])?.success()?;
    // One that waits for an answer reads why at once.
    busy.wait_for_error("FATAL:  this session was ended: access is locked: laptop lost")?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&end, "reason").contains("locked"), "{end}");
    ended(&scene, mark, 2)?;
    says(psql, "FATAL:  this session was ended: access is locked: laptop lost")?;
    let ran = scene.psql(Some(&pass), "", "select 1")?.failure(2)?;
    assert!(ran.stderr.contains("access is locked"), "{ran}");
    Ok(())
}

#[test]
fn the_roles_times_end_a_session_and_a_certificates_end_does_not() -> Result<()> {
    let scene = Scene::new("session_mfa_window: 3s")?;
    let pass = scene.tap("app/shop")?;
    let mut psql = open(&scene, &pass)?;
    until("the end of the certificate", SOON, || Ok(!scene.psql(Some(&pass), "", "select 1")?.status.success()))?;
    psql.write(b"select 'still' || 'here';\n")?;
    psql.wait_for("stillhere")?;
    psql.finish(SOON)?.success()?;

    scene.put_role("client_idle_timeout: 2s")?;
    let mark = scene.world.mark();
    let psql = open(&scene, &scene.tap("app/shop")?)?;
    ended(&scene, mark, 1)?;
    says(psql, "FATAL:  this session was ended: nothing was said for 2 seconds")?;
    // What takes longer is not idle.
    let slow = scene.psql(Some(&scene.tap("app/shop")?), "", "select 'slow' from pg_sleep(4)")?;
    assert_eq!(slow.success()?.stdout.trim(), "slow");
    scene.put_role("max_session_ttl: 2s")?;
    let psql = scene.psql(Some(&scene.tap("app/shop")?), "", "select pg_sleep(60)")?.failure(2)?;
    assert!(psql.stderr.contains("the session has reached its role's max_session_ttl"), "{psql}");
    Ok(())
}

#[test]
fn a_target_that_is_down_or_goes_down_is_told_in_words() -> Result<()> {
    let mut scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let psql = open(&scene, &pass)?;
    let mark = scene.world.mark();
    scene.orders.stop()?;
    ended(&scene, mark, 1)?;
    // The server says its own farewell, in a warning.
    says(psql, "FATAL:  the database \"orders\" closed the connection")?;
    let ran = scene.psql(Some(&pass), "", "select 1")?.failure(2)?;
    assert!(ran.stderr.contains("Database \"orders\" cannot be reached: connection refused"), "{ran}");
    scene.orders.start_again()?;
    scene.psql(Some(&pass), "", "select 1")?.success()?;
    let ran = scene.psql(
        Some(&scene.tap("app/postgres")?),
        "dbname=postgres",
        "select pg_terminate_backend(pg_backend_pid())",
    )?;
    assert!(ran.failure(2)?.stderr.contains("terminating connection due to administrator command"));
    scene.orders.hang(true);
    let began = std::time::Instant::now();
    let ran = scene.psql(Some(&pass), "", "select 1")?.failure(2)?;
    scene.orders.hang(false);
    assert!(ran.stderr.contains("did not let the gate in within 20 seconds"), "{ran}");
    assert!(began.elapsed() > Duration::from_secs(15));
    Ok(())
}

#[test]
fn a_client_that_is_gone_leaves_nobody_at_the_target() -> Result<()> {
    let scene = Scene::new("")?;
    let psql = open(&scene, &scene.tap("app/shop")?)?;
    let there = "select count(*) from pg_stat_activity where usename = 'app'";
    assert_eq!(scene.orders.sql(there)?, "1");
    psql.kill()?;
    until("the target's session to end", SOON, || Ok(scene.orders.sql(there)? == "0"))
}
