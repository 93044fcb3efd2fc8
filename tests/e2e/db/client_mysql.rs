//! `tap db connect`, `tap proxy db` and `tap db exec` with MariaDB, its own client and `PyMySQL`.

use anyhow::Result;
use serde_json::Value;
use tapgate_lab::{Process, Ran, own_binary, program};

use super::my_scene::{SOON, Scene};
use crate::world::{event, text};

const ASKED: &str = "MFA is required to access Database \"shopdb\"\nTap any security key\n";

fn scene() -> Result<Scene> {
    Scene::new("require_session_mfa: true")
}

fn connect(scene: &Scene, words: &[&str]) -> Result<Ran> {
    let own = ["db", "connect", "shopdb", "--db-user", "app", "--db-name", "shop", "--", "-N", "-e"];
    scene.world.jerry.start(&own_binary("tap")?, own.iter().chain(words))?.finish(SOON)
}

/// jerry's `tap proxy db shopdb` with these flags, and what it has printed once it serves.
pub(super) fn proxy(scene: &Scene, flags: &[&str]) -> Result<(Process, Value)> {
    let own = ["proxy", "db", "shopdb", "--format", "json", "--db-user", "app"];
    let process = scene.world.jerry.start(&own_binary("tap")?, own.iter().chain(flags))?;
    process.wait_for("\n}\n")?;
    let told = serde_json::from_str(&process.stdout())?;
    Ok((process, told))
}

fn mariadb(scene: &Scene, words: &[String], statement: &str) -> Result<Ran> {
    let more = ["--skip-ssl", "--user=app", "-N", "-e", statement].map(str::to_owned);
    let words = ["--no-defaults".to_owned()].into_iter().chain(words.iter().cloned()).chain(more);
    scene.world.jerry.start(&program("mariadb", "mariadb-client")?, words)?.finish(SOON)
}

fn taps(scene: &Scene) -> usize {
    let records = scene.world.records();
    let tapped = |record: &&Value| event(record) == "mfa.succeeded" && text(record, "purpose") == "session";
    records.iter().filter(tapped).count()
}

#[test]
fn connect_opens_mariadb_by_one_tap_and_passes_its_status() -> Result<()> {
    let scene = scene()?;
    let first = connect(&scene, &["select concat(current_user(), ' ', database())"])?.success()?;
    assert_eq!(first.stdout, "app@% shop\n");
    assert!(first.stderr.contains(ASKED), "{first}");
    let failed = connect(&scene, &["select nothing"])?.failure(1)?;
    assert!(!failed.stderr.contains("MFA is required") && failed.stderr.contains("nothing"), "{failed}");
    assert_eq!(taps(&scene), 1);
    Ok(())
}

#[test]
fn a_socket_serves_mariadb() -> Result<()> {
    let scene = scene()?;
    let (_process, told) = proxy(&scene, &["--db-name", "shop"])?;
    let socket = format!("--socket={}", text(&told, "socket"));
    for _ in 0..2 {
        let ran = mariadb(&scene, std::slice::from_ref(&socket), "select count(*) from t")?.success()?;
        assert_eq!(ran.stdout, "3\n");
    }
    assert_eq!(taps(&scene), 1);
    let refused = mariadb(&scene, &[socket.clone(), "--database=other".to_owned()], "select 1")?.failure(1)?;
    assert!(refused.stderr.contains("this is the way to the database \"shop\""), "{refused}");
    Ok(())
}

#[test]
fn a_port_demands_the_password_of_its_run() -> Result<()> {
    let scene = scene()?;
    let (_process, told) = proxy(&scene, &["--db-name", "shop", "--port", "0"])?;
    let (address, password) = (text(&told, "address"), text(&told, "password"));
    let (_, port) = address.rsplit_once(':').unwrap_or_default();
    let words = |more: &[String]| [&["--host=127.0.0.1".to_owned(), format!("--port={port}")], more].concat();
    let plugins = ["mysql_native_password", "caching_sha2_password"];
    for plugin in plugins {
        let own = |password: &str| words(&[format!("--default-auth={plugin}"), format!("--password={password}")]);
        let ran = mariadb(&scene, &own(password), "select database()")?.success()?;
        assert_eq!(ran.stdout, "shop\n", "{plugin}");
        let refused = mariadb(&scene, &own("wrong"), "select 1")?.failure(1)?;
        assert!(
            refused.stderr.contains("ERROR 1045 (28000)") && refused.stderr.contains("the password is wrong"),
            "{refused}"
        );
    }
    let empty = mariadb(&scene, &words(&["--skip-password".to_owned()]), "select 1")?.failure(1)?;
    assert!(empty.stderr.contains("the password is wrong"), "{empty}");
    let script = format!(
        "import pymysql\ndb = pymysql.connect(host='127.0.0.1', port={port}, user='app', password='{password}')\n\
         with db.cursor() as c:\n    c.execute('select name from t where id = %s', (2,))\n    print(c.fetchone()[0])\n"
    );
    let python =
        scene.world.jerry.start(std::path::Path::new("/usr/bin/python3"), ["-c", &script])?.finish(SOON)?.success()?;
    assert_eq!(python.stdout, "two\n");
    Ok(())
}

#[test]
fn exec_runs_mariadb() -> Result<()> {
    let scene = scene()?;
    let own = ["db", "exec", "select 41 + 1", "--dbs", "shopdb", "--db-user", "app", "--db-name", "shop", "--yes"];
    let ran = scene.world.jerry.start(&own_binary("tap")?, own)?.finish(SOON)?.success()?;
    assert!(ran.stdout.contains("\n42\n") && ran.stdout.contains("Summary: 1 of 1 succeeded."), "{ran}");
    Ok(())
}
