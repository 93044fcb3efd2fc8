//! How sessions end: locks, idleness, certificates that expire, targets that are gone.

use std::time::{Duration, Instant};

use anyhow::Result;
use tapgate_lab::Process;

use super::my_scene::{Pass, SOON, Scene};
use crate::world::{text, until};

/// A session that says `up` and waits for more.
fn open(scene: &Scene, pass: &Pass) -> Result<Process> {
    let mut session = scene.start_mariadb(pass, "app@shopdb", &["shop"])?;
    session.write(b"select 'up';\n")?;
    session.wait_for("up")?;
    Ok(session)
}

#[test]
fn a_lock_ends_a_session_at_once_and_says_so() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    let mut quiet = open(&scene, &pass)?;
    let mut busy = open(&scene, &pass)?;
    busy.write(b"select sleep(600);\n")?;
    let asleep = || scene.db.sql("select count(*) from information_schema.processlist where info like 'select sleep%'");
    until("the query to run", SOON, || Ok(asleep()? == "1"))?;
    let mark = scene.world.mark();
    scene.world.olga.tapctl(["lock", "--user=jerry", "--message=laptop lost", "--ttl=1h"])?.success()?;
    // A client that waits for an answer reads the words; the other one when it says its next statement.
    busy.wait_for_error("this session was ended: access is locked: laptop lost")?;
    for _ in 0..2 {
        let end = scene.world.await_record(mark, "session.end", |_| true)?;
        assert!(text(&end, "reason").contains("locked"), "{end}");
    }
    quiet.write(b"select 'again';\n")?;
    let ran = quiet.finish(SOON)?.failure(1)?;
    assert!(!ran.stdout.contains("again"), "{ran}");
    let again = scene.run(&pass, "select 1")?.failure(1)?;
    assert!(again.stderr.contains("access is locked"), "{again}");
    Ok(())
}

#[test]
fn an_idle_session_and_an_old_one_end() -> Result<()> {
    let scene = Scene::new("client_idle_timeout: 2s")?;
    let pass = scene.login_pass();
    let mark = scene.world.mark();
    let idle = open(&scene, &pass)?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert_eq!(text(&end, "reason"), "idle for too long");
    drop(idle);
    scene.put_role("max_session_ttl: 3s")?;
    let mark = scene.world.mark();
    let mut old = open(&scene, &pass)?;
    old.write(b"select sleep(600);\n")?;
    old.wait_for_error("the session has reached its role's max_session_ttl")?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&end, "reason").contains("max_session_ttl"), "{end}");
    Ok(())
}

#[test]
fn a_session_outlives_its_window() -> Result<()> {
    let scene = Scene::new("require_session_mfa: true, session_mfa_window: 3s")?;
    let pass = scene.tap("app/shop")?;
    let mut session = open(&scene, &pass)?;
    until("the window to end", SOON, || Ok(scene.run(&pass, "select 1")?.status.code() == Some(1)))?;
    session.write(b"select 'still here';\n")?;
    session.wait_for("still here")?;
    session.finish(SOON)?.success()?;
    Ok(())
}

#[test]
fn a_target_that_is_gone_is_told_in_words() -> Result<()> {
    let mut scene = Scene::new("")?;
    let pass = scene.login_pass();
    let mut session = open(&scene, &pass)?;
    scene.db.stop()?;
    session.write(b"select 'after';\n")?;
    let ran = session.finish(SOON)?.failure(1)?;
    assert!(!ran.stdout.contains("after"), "{ran}");
    let down = scene.run(&pass, "select 1")?.failure(1)?;
    assert!(down.stderr.contains("ERROR 1429") && down.stderr.contains("cannot be reached"), "{down}");
    scene.db.start_again()?;
    scene.run(&pass, "select 1")?.success()?;

    scene.db.hang(true);
    let start = Instant::now();
    let slow = scene.run(&pass, "select 1")?.failure(1)?;
    scene.db.hang(false);
    assert!(slow.stderr.contains("no answer to the login"), "{slow}");
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    Ok(())
}

#[test]
fn a_target_with_another_certificate_is_not_entered() -> Result<()> {
    let scene = Scene::new("")?;
    let name = "  tls:\n    ca_cert:";
    let yaml = scene.db.db_yaml("dev", "").replace(name, "  tls:\n    server_name: elsewhere\n    ca_cert:");
    scene.world.put(&yaml)?;
    let ran = scene.run(&scene.login_pass(), "select 1")?.failure(1)?;
    assert!(ran.stderr.contains("its TLS certificate is not trusted"), "{ran}");
    Ok(())
}
