//! `tap db ls`, `tap db connect` and `tap config db`, with the real psql.

use anyhow::{Context as _, Result};
use tapgate_lab::{Ran, own_binary};

use super::scene::{SOON, Scene};
use crate::world::{event, files_below, text};

/// What is said before a session of a database opens.
pub(crate) const ASKED: &str =
    "MFA is required to access Database \"orders\"\nTap any security key\nDetected security key tap\n";

/// What psql is told so that it says nothing but the answer.
const BARE: [&str; 3] = ["-X", "-A", "-t"];

/// jerry's `tap db connect orders` as app to shop.
fn connect(scene: &Scene, words: &[&str]) -> Result<Ran> {
    let own = ["db", "connect", "orders", "--db-user", "app", "--db-name", "shop", "--"];
    let words = own.iter().chain(&BARE).chain(words);
    scene.world.jerry.start(&own_binary("tap")?, words)?.finish(SOON)
}

/// How many taps for sessions were taken behind the mark.
pub(crate) fn taps(scene: &Scene, mark: usize) -> usize {
    let records = scene.world.records();
    let tapped = |record: &&serde_json::Value| event(record) == "mfa.succeeded" && text(record, "purpose") == "session";
    records.iter().skip(mark).filter(tapped).count()
}

#[test]
fn connect_opens_psql_by_one_tap_and_passes_its_status() -> Result<()> {
    let scene = Scene::new("")?;
    let mark = scene.world.mark();
    let first = connect(&scene, &["-c", "select current_user || '/' || current_database()"])?.success()?;
    assert_eq!(first.stdout, "app/shop\n");
    assert!(first.stderr.contains(ASKED), "{first}");
    // Within the window nothing is asked, and psql's own status comes through.
    let failed = connect(&scene, &["-c", "select nothing"])?.failure(1)?;
    assert!(!failed.stderr.contains("MFA is required") && failed.stderr.contains("nothing"), "{failed}");
    let script = connect(&scene, &["-v", "ON_ERROR_STOP=1", "-f", "/nowhere"])?.failure(1)?;
    assert!(script.stderr.contains("/nowhere"), "{script}");
    assert_eq!(taps(&scene, mark), 1);
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "orders")?;
    assert_eq!(text(&start, "login"), "app/shop");
    // Neither a socket nor the session's key is left on the disk.
    for file in files_below(&scene.world.jerry.tap_home())? {
        let is_login = file.ends_with("tls.key") || file.ends_with("ssh");
        let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        assert!(is_login || !text.contains("PRIVATE KEY"), "{}", file.display());
    }
    let run = std::fs::read_dir(scene.world.jerry.tap_home().join("run"))?;
    let left: Vec<_> = run.flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("db-")), "{left:?}");
    Ok(())
}

#[test]
fn nobody_taps_for_what_cannot_open() -> Result<()> {
    let scene = Scene::new("")?;
    let jerry = &scene.world.jerry;
    let quiet = |ran: Ran, says: &str| {
        assert!(ran.stderr.contains(says) && !ran.stderr.contains("Tap any security key"), "{ran}");
    };
    let own = ["db", "connect", "orders", "--db-user"];
    let bare = jerry.clone().with("PATH", scene.world.lab.dir("empty")?);
    quiet(bare.tap(own.iter().chain(&["app"]))?.failure(1)?, "install PostgreSQL's client");
    quiet(jerry.tap(own.iter().chain(&["root", "--db-name", "shop"]))?.failure(1)?, "access to \"orders\" denied");
    quiet(jerry.tap(own.iter().chain(&["app", "--db-name", "secret"]))?.failure(1)?, "access to \"orders\" denied");
    quiet(jerry.tap(["db", "connect", "orders"])?.failure(1)?, "pass --db-user; allowed: ");
    quiet(jerry.tap(["db", "connect", "nowhere"])?.failure(1)?, "there is no database \"nowhere\"");
    let thief = jerry.clone().without_key();
    let refused = thief.tap(own.iter().chain(&["app", "--db-name", "shop"]))?.failure(1)?;
    quiet(refused, "MFA is required to access Database \"orders\"");
    Ok(())
}

#[test]
fn lists_and_configuration() -> Result<()> {
    let scene = Scene::new("")?;
    let jerry = &scene.world.jerry;
    let listed = jerry.tap(["db", "ls"])?.success()?;
    let row = listed.stdout.lines().find(|line| line.starts_with("orders")).context("no row")?;
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[1], "postgres", "{listed}");
    assert!(row.contains("env=prod") && row.ends_with("required"), "{listed}");
    let json = jerry.tap(["db", "ls", "--labels", "env=prod", "--format", "json"])?.success()?.json()?;
    assert_eq!((&json[0]["name"], &json[0]["protocol"]), (&"orders".into(), &"postgres".into()));
    assert_eq!(jerry.tap(["db", "ls", "--labels", "env=dev", "--format", "json"])?.json()?, serde_json::json!([]));

    let told = jerry.tap(["config", "db", "orders", "--db-user", "app", "--db-name", "shop"])?.success()?;
    for part in
        ["[orders]\n", "user=app@orders", "jdbc:postgresql://127.0.0.1:15432/shop?user=app", "sslmode=verify-full"]
    {
        assert!(told.stdout.contains(part), "{part}: {told}");
    }
    assert!(!told.stdout.to_lowercase().contains("password="), "{told}");
    let authority = told.stdout.lines().find_map(|line| line.strip_prefix("sslrootcert=")).context("no authority")?;
    assert_eq!(std::fs::read_to_string(authority)?.trim(), std::fs::read_to_string(&scene.gate_ca)?.trim());
    Ok(())
}
