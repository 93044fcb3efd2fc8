//! "Per-session MFA for database access", line by line. The guide's servers speak MySQL; these are `PostgreSQL`'s, and
//! their names and the column `Protocol` say so.

use anyhow::Result;
use tapgate_lab::own_binary;

use crate::db::scene::{SOON, Scene};
use crate::world::{event, text};

const NAMES: [&str; 2] = ["prod-postgres-instance-1", "prod-postgres-instance-2"];

/// The guide's output, with these names.
const SEARCHED: &str = "Searching databases ...
Found 2 database(s):

Name                     Description Protocol Labels
------------------------ ----------- -------- --------
prod-postgres-instance-1             postgres env=prod
prod-postgres-instance-2             postgres env=prod

Do you want to proceed with 2 database(s)? [y/N]: \
Executing command for \"prod-postgres-instance-1\". Output will be saved at \"logs/prod-postgres-instance-1.output\".
Executing command for \"prod-postgres-instance-2\". Output will be saved at \"logs/prod-postgres-instance-2.output\".

Summary: 2 of 2 succeeded.
Summary is saved at \"logs/summary.json\".
";

/// A scene whose databases are those of the guide alone.
fn scene() -> Result<(Scene, [tapgate_lab::Postgres; 2])> {
    let scene = Scene::new("")?;
    let servers = [scene.another(NAMES[0])?, scene.another(NAMES[1])?];
    scene.world.olga.tapctl(["rm", "db/orders"])?.success()?;
    Ok((scene, servers))
}

#[test]
fn connect_and_proxy_ask_once_each_call() -> Result<()> {
    let (scene, _servers) = scene()?;
    let name = NAMES[0];
    let own = ["db", "connect", name, "--db-user", "app", "--db-name", "shop", "--", "-X", "-c", "select 1"];
    let connected = scene.world.jerry.tap(own)?.success()?;
    assert!(connected.stderr.contains("Tap any security key\n"), "{connected}");
    // "for each tsh db connect or tsh proxy db call": without the agent, which keeps the window, every call asks.
    let again = scene.world.jerry.tap(["--no-agent"].iter().chain(&own))?.success()?;
    assert!(again.stderr.contains("Tap any security key\n"), "{again}");
    let own = ["--no-agent", "proxy", "db", name, "--db-user", "app", "--db-name", "shop"];
    let proxy = scene.world.jerry.start(&own_binary("tap")?, own)?;
    proxy.wait_for("Connect with:")?;
    assert!(proxy.stderr().contains("Tap any security key\n"), "{}", proxy.stderr());
    Ok(())
}

#[test]
fn exec_runs_everywhere_by_a_single_tap() -> Result<()> {
    let (scene, _servers) = scene()?;
    let mark = scene.world.mark();
    let words = "cd \"$HOME\" && exec \"$0\" db exec \"select 1\" --labels env=prod --db-user app --db-name shop \
                 --output-dir=logs";
    let tap = own_binary("tap")?.display().to_string();
    let mut process = scene.world.jerry.start(std::path::Path::new("/bin/sh"), ["-c", words, &tap])?;
    process.write(b"y\n")?;
    let ran = process.finish(SOON)?.success()?;
    assert_eq!(ran.stdout, SEARCHED, "{ran}");
    let asked = format!(
        "MFA is required to access Database \"{}\" and Database \"{}\"\nTap any security key\nDetected security key tap\n",
        NAMES[0], NAMES[1]
    );
    assert!(ran.stderr.contains(&asked), "{ran}");
    let records = scene.world.records();
    let tapped = |record: &&serde_json::Value| event(record) == "mfa.succeeded" && text(record, "purpose") == "session";
    assert_eq!(records.iter().skip(mark).filter(tapped).count(), 1);
    let logs = scene.world.jerry.home().join("logs");
    for name in NAMES {
        assert!(std::fs::read_to_string(logs.join(format!("{name}.output")))?.contains("(1 row)"));
    }
    assert!(logs.join("summary.json").is_file());
    Ok(())
}
