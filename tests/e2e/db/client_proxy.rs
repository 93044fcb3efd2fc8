//! `tap proxy db`: its socket, its port and the port's password, the window's end, and Ctrl-C in psql.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use tapgate_lab::{Client, Process, Ran, own_binary, program};

use super::client::{ASKED, taps};
use super::scene::{SOON, Scene};
use crate::world::{event, text, until};

/// jerry's `tap proxy db orders` with these flags, and what it has printed once it serves.
pub(super) fn proxy(scene: &Scene, flags: &[&str]) -> Result<(Process, Value)> {
    let own = ["proxy", "db", "orders", "--format", "json"];
    let process = scene.world.jerry.start(&own_binary("tap")?, own.iter().chain(flags))?;
    process.wait_for("\n}\n")?;
    let told = serde_json::from_str(&process.stdout())?;
    Ok((process, told))
}

fn psql(client: &Client, info: &str, statement: &str) -> Result<Ran> {
    let words = ["-X", "-A", "-t", "-w", "-d", info, "-c", statement];
    client.start(&program("psql", "postgresql-client")?, words)?.finish(SOON)
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

#[test]
fn a_socket_serves_its_owner_and_one_tap_is_enough() -> Result<()> {
    let scene = Scene::new("")?;
    let mark = scene.world.mark();
    let (process, told) = proxy(&scene, &["--db-user", "app", "--db-name", "shop"])?;
    assert!(process.stderr().contains(ASKED), "{}", process.stderr());
    let socket = PathBuf::from(text(&told, "socket"));
    let folder = socket.parent().context("a socket lies in a folder")?;
    assert_eq!((mode(&socket)?, mode(folder)?), (0o600, 0o700));
    assert!(told.get("password").is_none(), "{told}");
    let url = text(&told, "url");
    for _ in 0..2 {
        assert_eq!(psql(&scene.world.jerry, url, "select current_user")?.success()?.stdout, "app\n");
    }
    assert_eq!(taps(&scene, mark), 1);
    let place = format!("host={} port=5432", folder.display());
    let refused = psql(&scene.world.jerry, &format!("{place} user=report dbname=shop"), "select 1")?.failure(2)?;
    assert!(refused.stderr.contains("this is the way for the database user \"app\""), "{refused}");
    let refused = psql(&scene.world.jerry, &format!("{place} user=app dbname=postgres"), "select 1")?.failure(2)?;
    assert!(refused.stderr.contains("this is the way to the database \"shop\""), "{refused}");
    let second = scene.world.jerry.tap(["proxy", "db", "orders", "--db-user", "app", "--db-name", "shop"])?;
    assert!(second.failure(1)?.stderr.contains("is served already"));
    process.signal(Signal::SIGTERM);
    assert!(process.finish(SOON)?.status.success());
    assert!(!socket.exists());
    Ok(())
}

#[test]
fn a_port_demands_the_password_of_its_run() -> Result<()> {
    let scene = Scene::new("")?;
    let (_process, told) = proxy(&scene, &["--db-user", "app", "--db-name", "shop", "--port", "0"])?;
    let (url, password) = (text(&told, "url"), text(&told, "password"));
    assert!(password.len() == 43 && !url.contains(password), "{told}");
    let mark = scene.world.mark();
    let knows = |password: &str| scene.world.jerry.clone().with("PGPASSWORD", password);
    for wrong in ["wrong", &password[1..]] {
        let refused = psql(&knows(wrong), url, "select 1")?.failure(2)?;
        assert!(refused.stderr.contains("the password is wrong"), "{refused}");
    }
    let silent = psql(&scene.world.jerry, url, "select 1")?.failure(2)?;
    assert!(silent.stderr.contains("no password supplied"), "{silent}");
    let ran = psql(&knows(password), url, "select current_user || '/' || current_database()")?.success()?;
    assert_eq!(ran.stdout, "app/shop\n");
    // psql insists on SCRAM, and so on a server that knows the password too.
    let strict = format!("{url}&require_auth=scram-sha-256");
    let strict = psql(&knows(password), &strict, "select 2")?;
    assert!(strict.stdout == "2\n" || strict.stderr.contains("require_auth"), "{strict}");
    scene.world.await_record(mark, "session.end", |_| true)?;
    let starts = |record: &&Value| event(record) == "session.start";
    let started = scene.world.records().iter().skip(mark).filter(starts).count();
    assert!(started <= 2, "a stranger's connection reached the gate");
    Ok(())
}

#[test]
fn after_the_window_the_next_connection_asks_again() -> Result<()> {
    let scene = Scene::new("session_mfa_window: 20s")?;
    let mark = scene.world.mark();
    let (process, told) = proxy(&scene, &["--db-user", "app", "--db-name", "shop"])?;
    let url = text(&told, "url");
    psql(&scene.world.jerry, url, "select 1")?.success()?;
    assert_eq!(taps(&scene, mark), 1);
    until("the window's end", SOON, || {
        psql(&scene.world.jerry, url, "select 1")?.success()?;
        Ok(taps(&scene, mark) > 1)
    })?;
    assert_eq!(process.stderr().matches("MFA is required to access Database \"orders\"").count(), taps(&scene, mark));
    Ok(())
}

#[test]
fn clients_may_choose_where_the_proxy_does_not() -> Result<()> {
    let scene = Scene::new("")?;
    let mark = scene.world.mark();
    let (process, told) = proxy(&scene, &["--socket", &scene.world.lab.path().join("pg").display().to_string()])?;
    assert!(text(&told, "socket").ends_with("/pg/.s.PGSQL.5432"), "{told}");
    assert_eq!(taps(&scene, mark), 0);
    let place = format!("host={}", scene.world.lab.path().join("pg").display());
    for (count, database) in [(1, "shop"), (2, "postgres"), (2, "shop")] {
        let info = format!("{place} user=app dbname={database}");
        let ran = psql(&scene.world.jerry, &info, "select current_database()")?.success()?;
        assert_eq!((ran.stdout.trim(), taps(&scene, mark)), (database, count), "{}", process.stderr());
    }
    let refused = psql(&scene.world.jerry, &format!("{place} user=root dbname=shop"), "select 1")?.failure(2)?;
    assert!(refused.stderr.contains("access to \"orders\" denied"), "{refused}");
    Ok(())
}

#[test]
fn a_statement_is_cancelled_through_the_proxy() -> Result<()> {
    let scene = Scene::new("")?;
    let (_process, told) = proxy(&scene, &["--db-user", "app", "--db-name", "shop"])?;
    let words = ["-X", "-d", text(&told, "url"), "-c", "select pg_sleep(600)"];
    let running = scene.world.jerry.start(&program("psql", "postgresql-client")?, words)?;
    let asleep = "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'";
    until("the statement to run", SOON, || Ok(scene.orders.sql(asleep)? == "1"))?;
    running.signal(Signal::SIGINT);
    let ran = running.finish(SOON)?;
    assert!(ran.stderr.contains("canceling statement due to user request"), "{ran}");
    Ok(())
}
