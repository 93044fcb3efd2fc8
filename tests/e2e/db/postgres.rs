//! What psql does through the gate is what it does without.

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::scene::{SOON, Scene};
use crate::world::{text, until};

fn query(said: &str) -> impl Fn(&Value) -> bool {
    move |record| text(record, "text") == said
}

#[test]
fn a_session_with_one_tap_and_its_record() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let mark = scene.world.mark();
    let script = "create table t (n int, what text); insert into t select n, 'x' from generate_series(1, 5) n";
    scene.psql(Some(&pass), "", script)?.success()?;
    let ran = scene.psql(Some(&pass), "", "select sum(n) from t")?.success()?;
    assert_eq!(ran.stdout.trim(), "15");
    let who = "select current_user || ' ' || current_database() || ' ' || client_dn from pg_stat_ssl \
               where pid = pg_backend_pid()";
    assert_eq!(scene.psql(Some(&pass), "", who)?.success()?.stdout.trim(), "app shop /CN=app");

    let said = scene.world.await_record(mark, "db.session.query", query(script))?;
    assert_eq!((said["rows"].as_u64(), text(&said, "outcome")), (Some(5), "done"));
    assert_eq!(said["classes"], serde_json::json!(["write", "ddl"]));
    let said = scene.world.await_record(mark, "db.session.query", query("select sum(n) from t"))?;
    assert_eq!((said["tables"].clone(), said["rows"].as_u64()), (serde_json::json!(["t"]), Some(1)));
    let start = scene.world.await_record(mark, "session.start", |_| true)?;
    assert_eq!((text(&start, "login"), text(&start, "protocol")), ("app/shop", "postgres"));
    assert!(start["tap"].is_object(), "{start}");
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert_eq!(text(&end, "reason"), "closed by the client");
    assert!(end["bytes_up"].as_u64() > Some(100) && end["bytes_down"].as_u64() > Some(100), "{end}");
    Ok(())
}

#[test]
fn errors_transactions_prepared_statements_and_notifications() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let mark = scene.world.mark();
    let mut psql = scene.start_psql(Some(&pass), "", &["-f", "-"])?;
    psql.write(b"select 1 as one;\nselect nonsense;\nprepare p(int) as select $1 * 2;\nexecute p(21);\n")?;
    psql.write(
        b"begin;\ncreate table gone (n int);\nrollback;\nselect count(*) from pg_tables where tablename = 'gone';\n",
    )?;
    psql.write(b"select 7 as n \\gdesc\n")?;
    psql.wait_for_error("column \"nonsense\" does not exist")?;
    psql.wait_for("42\n")?;
    psql.wait_for("integer")?;
    psql.write(b"listen news;\nnotify news, 'read all about it';\nselect 'last';\n")?;
    psql.wait_for(
        "Asynchronous notification \"news\" with payload \"read all about it\" received from server process",
    )?;
    psql.wait_for("last")?;
    psql.finish(SOON)?.success()?;
    let failed =
        scene.world.await_record(mark, "db.session.query", |record| text(record, "outcome").starts_with("failed: "))?;
    assert_eq!(text(&failed, "outcome"), "failed: 42703");
    Ok(())
}

#[test]
fn ctrl_c_cancels_what_runs_and_nothing_else() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let started = |scene: &Scene, n: usize| {
        until("the statements to run", SOON, || {
            let count =
                "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'";
            Ok(scene.orders.sql(count)? == n.to_string())
        })
    };
    let sleep = ["-c", "select pg_sleep(120)"];
    let psql = scene.start_psql(Some(&pass), "", &sleep)?;
    let mut other = scene.start_psql(Some(&pass), "", &sleep)?;
    started(&scene, 2)?;
    psql.signal(Signal::SIGINT);
    psql.wait_for_error("canceling statement due to user request")?;
    started(&scene, 1)?;
    assert!(other.is_running());
    Ok(())
}

#[test]
fn rows_are_copied_in_and_out() -> Result<()> {
    const MEGABYTES: usize = 256;
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    let script = format!(
        "create unlogged table big (line text);\n\\copy big from program 'yes {} | head -n {}'\n\
         \\copy big to program 'wc -c'\nselect count(*) from big;\n",
        "a".repeat(1023),
        MEGABYTES * 1024
    );
    let file = scene.world.lab.write("copy.sql", &script)?;
    let ran = scene.start_psql(Some(&pass), "", &["-v", "ON_ERROR_STOP=1", "-f", &file.display().to_string()])?;
    let ran = ran.finish(SOON * 2)?.success()?;
    let bytes = (MEGABYTES * 1024 * 1024).to_string();
    assert!(ran.stdout.contains(&bytes), "{ran}");
    assert!(ran.stdout.contains(&(MEGABYTES * 1024).to_string()), "{ran}");
    let copied = scene
        .world
        .await_record(0, "db.session.query", |record| text(record, "text").starts_with("COPY  big FROM STDIN"))?;
    assert_eq!(copied["rows"].as_u64(), Some(262_144));
    Ok(())
}
