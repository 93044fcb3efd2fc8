//! Statements that a role denies, and what goes on around them.

use anyhow::Result;

use super::scene::{SOON, Scene};
use crate::mfa::audit::independent;
use crate::world::{text, until};

#[test]
fn a_denied_statement_fails_and_the_session_goes_on() -> Result<()> {
    let scene = Scene::new("db_statements: { deny: [ddl], fresh_tap: [unbounded] }")?;
    scene.orders.sql("\\c shop\ncreate table t (n int); grant all on t to app; insert into t values (1);")?;
    let pass = scene.tap("app/shop")?;
    let mark = scene.world.mark();
    let mut psql = scene.start_psql(Some(&pass), "", &["-f", "-"])?;
    psql.write(b"\\set VERBOSITY verbose\ndrop table t;\nselect 'after';\ndelete from t;\nselect 'later';\n")?;
    psql.write(b"begin;\ninsert into t values (2);\nselect 1; create table u (n int);\nselect 'aborted';\ncommit;\n")?;
    psql.write(b"select 'rows', count(*) from t;\n")?;
    let ran = psql.finish(SOON)?.success()?;
    assert!(ran.stderr.contains("ERROR:  42501: statements of the class ddl are not allowed in this session"), "{ran}");
    assert!(ran.stderr.contains("MFA is required for this statement (unbounded)"), "{ran}");
    assert!(ran.stderr.contains("current transaction is aborted"), "{ran}");
    assert!(!ran.stderr.contains("tapgate_refused") && !ran.stderr.contains("syntax"), "{ran}");
    assert!(ran.stdout.contains("after") && ran.stdout.contains("later") && ran.stdout.contains("rows|1"), "{ran}");
    let refused = scene.world.await_record(mark, "db.session.query", |r| text(r, "text") == "drop table t;")?;
    assert!(text(&refused, "outcome").starts_with("refused: statements of the class ddl"), "{refused}");
    assert_eq!(scene.orders.sql("\\c shop\nselect count(*) from t")?, "1");
    Ok(())
}

#[test]
fn a_denied_statement_in_a_pipeline_fails_with_all_that_belongs_to_it() -> Result<()> {
    let scene = Scene::new("db_statements: { deny: [ddl] }")?;
    scene.orders.sql("\\c shop\ncreate table t (n int); grant all on t to app;")?;
    let pass = scene.tap("app/shop")?;
    let script = "\\startpipeline\ninsert into t values (1);\ndrop table t;\nselect 1;\n\\endpipeline\n";
    let file = scene.world.lab.write("denied.sql", script)?.display().to_string();
    let ran = scene.pgbench(&pass, &["-n", "-M", "extended", "-t", "1", "-f", &file])?;
    assert!(!ran.status.success(), "{ran}");
    assert!(ran.stderr.contains("statements of the class ddl are not allowed"), "{ran}");
    assert_eq!(scene.orders.sql("\\c shop\nselect count(*) from t")?, "0", "what stood before it is undone");
    let file = scene.world.lab.write("allowed.sql", "insert into t values (1);\nselect 1;\n")?.display().to_string();
    scene.pgbench(&pass, &["-n", "-M", "extended", "-t", "3", "-f", &file])?.success()?;
    assert_eq!(scene.orders.sql("\\c shop\nselect count(*) from t")?, "3");
    Ok(())
}

#[test]
fn a_read_only_session_is_one_at_the_target_too() -> Result<()> {
    let scene = Scene::new("db_statements: { read_only: true }, db_audit_text: redacted")?;
    scene.orders.sql(
        "\\c shop\ncreate table t (n int); grant all on t to app;\n\
         create function sneak() returns int language sql as 'insert into t values (1) returning n';",
    )?;
    let pass = scene.tap("app/shop")?;
    let mark = scene.world.mark();
    let options = "options='-c default_transaction_read_only=off'";
    assert_eq!(scene.psql(Some(&pass), options, "show transaction_read_only")?.success()?.stdout.trim(), "on");
    for (statement, words) in [
        ("insert into t values (1)", "statements of the class write are not allowed"),
        ("set default_transaction_read_only = off", "this session is read-only, and stays so"),
        ("begin read write", "this session is read-only, and stays so"),
        ("do $$ begin perform 1; end $$", "are not allowed in this session"),
        ("select sneak()", "cannot execute INSERT in a read-only transaction"),
    ] {
        let ran = scene.psql(Some(&pass), "", statement)?.failure(1)?;
        assert!(ran.stderr.contains(words), "{statement}: {ran}");
    }
    scene.psql(Some(&pass), "", "select 'secret' || n from t where n = 42")?.success()?;
    scene.world.await_record(mark, "db.session.query", |r| text(r, "text") == "select ? || n from t where n = ?")?;
    assert!(!std::fs::read_to_string(scene.world.audit_log())?.contains("secret"));
    assert_eq!(scene.orders.sql("\\c shop\nselect count(*) from t")?, "0");
    Ok(())
}

#[test]
fn replication_where_a_role_permits_it() -> Result<()> {
    let scene = Scene::new("db_replication: true")?;
    let pass = scene.tap("app/shop")?;
    let ran = scene.psql(Some(&pass), "replication=database", "IDENTIFY_SYSTEM")?.success()?;
    assert!(ran.stdout.contains("shop"), "{ran}");
    let ran = scene.psql(Some(&pass), "replication=true", "IDENTIFY_SYSTEM")?.success()?;
    assert!(ran.stdout.contains('/'), "{ran}");
    Ok(())
}

#[test]
fn statements_are_recorded_and_shown_again() -> Result<()> {
    let scene = Scene::new("record_session: strict, db_audit_text: full")?;
    let pass = scene.tap("app/shop")?;
    let mark = scene.world.mark();
    scene.psql(Some(&pass), "", "select 40 + 2 as answer")?.success()?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    let play = || -> Result<_> { scene.world.olga.tap(["play", text(&end, "session"), "--safe"])?.success() };
    // It is written twice a second.
    until("the recording", SOON, || Ok(play()?.stdout.contains("-- closed by")))?;
    let played = play()?;
    assert!(played.stdout.contains("jerry as app/shop at db orders"), "{played}");
    assert!(played.stdout.contains("select 40 + 2 as answer") && played.stdout.contains("-> done"), "{played}");
    // Its tap is proven like any other's.
    let audit = scene.world.olga.tapctl(["audit", "verify", "--format", "json"])?.success()?.json()?;
    let keys = scene.world.lab.path().join("keys.json");
    scene.world.olga.tapctl(["audit", "export-keys", "--out", &keys.display().to_string()])?.success()?;
    let again = independent(&scene.world, &keys)?;
    assert_eq!((&audit["webauthn"], &audit["faults"]), (&1.into(), &0.into()), "{audit}");
    assert_eq!((&again["webauthn"], &again["faults"]), (&1.into(), &0.into()), "{again}");
    Ok(())
}
