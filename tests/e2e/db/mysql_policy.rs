//! Who may go where, and what may be said there.

use anyhow::Result;

use super::my_scene::{SOON, Scene};
use crate::world::{text, until};

#[test]
fn a_tap_opens_what_it_names_and_nothing_else() -> Result<()> {
    let scene = Scene::new("require_session_mfa: true, in_band: off")?;
    let bare = scene.run(&scene.login_pass(), "select 1")?.failure(1)?;
    assert!(bare.stderr.contains("MFA is required to access Database \"shopdb\""), "{bare}");
    assert!(bare.stderr.contains("tap db connect"), "{bare}");
    let pass = scene.tap("app/shop")?;
    scene.run(&pass, "select 1")?.success()?;
    scene.run(&pass, "select 1")?.success()?;
    let other = scene.run_as(&pass, "app@shopdb", &["other", "-e", "select 1"])?.failure(1)?;
    assert!(other.stderr.contains("MFA is required"), "{other}");
    let user = scene.run_as(&pass, "report@shopdb", &["shop", "-e", "select 1"])?.failure(1)?;
    assert!(user.stderr.contains("MFA is required"), "{user}");
    Ok(())
}

#[test]
fn users_databases_and_targets_that_no_role_names_look_alike() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.login_pass();
    for (user, database) in [("root@shopdb", "shop"), ("app@shopdb", "secret"), ("app@nowhere", "shop")] {
        let mark = scene.world.mark();
        let ran = scene.run_as(&pass, user, &[database, "-e", "select 1"])?.failure(1)?;
        assert!(ran.stderr.contains("ERROR 1045 (28000)") && ran.stderr.contains("denied, or there is no"), "{ran}");
        scene.world.denied(mark)?;
    }
    let unnamed = scene.run_as(&pass, "app", &["shop", "-e", "select 1"])?.failure(1)?;
    assert!(unnamed.stderr.contains("--user=app@orders"), "{unnamed}");
    Ok(())
}

#[test]
fn denied_statements_do_not_reach_the_target() -> Result<()> {
    let scene = Scene::new("db_statements: { deny: [ddl, unbounded], fresh_tap: [grant] }")?;
    let mark = scene.world.mark();
    let script = "
from pymysql.constants import COMMAND
cur = db.cursor()
def refused(sql, words):
    try: cur.execute(sql); raise SystemExit('passed: ' + sql)
    except pymysql.Error as e: assert e.args[0] == 1142 and words in e.args[1], e
refused('drop table t', 'class ddl')
refused('delete from t', 'class unbounded')
refused('select 1; drop table t', 'class ddl')
refused('/*!50000 drop table t */', 'class ddl')
refused('grant select on shop.t to app', 'MFA is required for this statement')
db._execute_command(COMMAND.COM_STMT_PREPARE, 'drop table t')
try: db._read_packet(); raise SystemExit('prepared')
except pymysql.Error as e: assert e.args[0] == 1142, e
db._execute_command(COMMAND.COM_STMT_EXECUTE, struct.pack('<IBI', 0xffffffff, 0, 1))
try: db._read_packet(); raise SystemExit('executed')
except pymysql.Error as e: assert e.args[0] == 1243, e
cur.execute('update t set name = %s where id = 1', ('eins',)); db.commit()
cur.execute('select name from t where id = 1'); print(cur.fetchone()[0])
";
    let ran = scene.python(&scene.login_pass(), "", script)?.success()?;
    assert_eq!(ran.stdout, "eins\n");
    assert_eq!(scene.db.sql("select count(*) from shop.t")?, "3");
    let refused =
        scene.world.await_record(mark, "db.session.query", |record| text(record, "text") == "drop table t")?;
    assert!(text(&refused, "outcome").starts_with("refused: "), "{refused}");
    Ok(())
}

#[test]
fn a_read_only_session_stays_read_only() -> Result<()> {
    let scene = Scene::new("db_statements: { read_only: true }")?;
    let script = "
from pymysql.constants import COMMAND
cur = db.cursor()
def refused(sql, code=1142):
    try: cur.execute(sql); raise SystemExit('passed: ' + sql)
    except pymysql.Error as e: assert e.args[0] == code, e
cur.execute('select name from t order by id'); assert len(cur.fetchall()) == 3
refused(\"insert into t (name) values ('x')\")
refused('set session transaction read write')
refused('start transaction read write')
refused('set @@tx_read_only = 0')
db._execute_command(0x1f, b'')
assert db._read_packet().is_ok_packet()
cur.execute('select connection_id()'); print(cur.fetchone()[0])
cur.execute('select 1'); cur.fetchall()
refused(\"insert into t (name) values ('x')\")
";
    let ran = scene.python(&scene.login_pass(), "", script)?.success()?;
    assert!(ran.stdout.trim().parse::<u64>().is_ok(), "{ran}");
    assert_eq!(scene.db.sql("select count(*) from shop.t")?, "3");
    Ok(())
}

#[test]
fn literals_are_not_recorded_where_the_role_says_so() -> Result<()> {
    let scene = Scene::new("db_audit_text: redacted")?;
    let mark = scene.world.mark();
    scene.run(&scene.login_pass(), "select name from t where name = 'geheimnis'")?.success()?;
    let read = scene.world.await_record(mark, "db.session.query", |record| text(record, "text").contains("from t"))?;
    assert_eq!(text(&read, "text"), "select name from t where name = ?", "{read}");
    let log = std::fs::read_to_string(scene.world.audit_log())?;
    assert!(!log.contains("geheimnis"));
    Ok(())
}

#[test]
fn statements_are_recorded_and_shown_again() -> Result<()> {
    let scene = Scene::new("record_session: strict, db_audit_text: full")?;
    let mark = scene.world.mark();
    let many = "select 40 + 2 as answer; insert into t (name) values ('four'), ('\u{1b}[2J'); select nonsense from t";
    scene.run(&scene.login_pass(), many)?.failure(1)?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    let play = |more: &str| -> Result<_> {
        let played = scene.world.olga.tap(["play", text(&end, "session"), more])?.success()?;
        Ok(played.stdout)
    };
    // It is written twice a second.
    until("the recording", SOON, || Ok(play("--safe")?.contains("-- closed by")))?;
    let played = play("--safe")?;
    assert!(played.contains("jerry as app/shop at db shopdb"), "{played}");
    let answer = played.find("select 40 + 2 as answer").unwrap_or(usize::MAX);
    let insert = played.find("insert into t (name) values ('four'), ('\\u{1b}[2J')").unwrap_or_default();
    assert!(answer < insert && played.contains("select nonsense from t"), "in order: {played}");
    assert!(!played.contains('\u{1b}') && !play("--speed=1000")?.contains('\u{1b}'), "what was said moves nothing");
    Ok(())
}
