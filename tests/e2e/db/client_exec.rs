//! `tap db exec`: one statement in several databases by one tap, and what it leaves.

use anyhow::Result;
use tapgate_lab::{Ran, own_binary};

use super::client::taps;
use super::scene::{SOON, Scene};
use crate::world::text;

const STATEMENT: &str = "select 40 + 2 as answer";

fn exec(scene: &Scene, words: &[&str], answer: &str) -> Result<Ran> {
    let own = ["db", "exec", STATEMENT, "--db-user", "app", "--db-name", "shop"];
    let mut process = scene.world.jerry.start(&own_binary("tap")?, own.iter().chain(words))?;
    process.write(answer.as_bytes())?;
    process.finish(SOON)
}

#[test]
fn one_tap_names_exactly_the_databases_and_opens_no_other() -> Result<()> {
    let scene = Scene::new("")?;
    let (_second, _third) = (scene.another("stock")?, scene.another("people")?);
    let folder = scene.world.lab.path().join("logs");
    let mark = scene.world.mark();
    let flags = ["--dbs", "orders,stock", "--max-connections", "1", "--yes", "--output-dir"];
    let ran = exec(&scene, &[flags.as_slice(), &[&folder.display().to_string()]].concat(), "")?.success()?;
    assert!(ran.stderr.contains("MFA is required to access Database \"orders\" and Database \"stock\"\n"), "{ran}");
    assert!(ran.stdout.contains("\nSummary: 2 of 2 succeeded.\n"), "{ran}");
    assert_eq!(taps(&scene, mark), 1);
    for name in ["orders", "stock"] {
        let said = std::fs::read_to_string(folder.join(format!("{name}.output")))?;
        assert!(said.contains("answer") && said.contains("42"), "{name}: {said}");
        scene.world.await_record(mark, "session.start", |record| text(record, "target") == name)?;
    }
    let summary: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(folder.join("summary.json"))?)?;
    assert_eq!((&summary["total"], &summary["succeeded"]), (&2.into(), &2.into()), "{summary}");
    assert_eq!((&summary["statement"], &summary["databases"][1]["name"]), (&STATEMENT.into(), &"stock".into()));
    // The tap was for those two: the third asks for its own.
    let third = exec(&scene, &["--dbs", "people", "--yes"], "")?.success()?;
    assert!(third.stderr.contains("MFA is required to access Database \"people\"\n"), "{third}");
    assert!(third.stdout.contains("people:\n answer"), "{third}");
    Ok(())
}

#[test]
fn one_that_is_down_does_not_stop_the_others() -> Result<()> {
    let scene = Scene::new("")?;
    let mut stock = scene.another("stock")?;
    stock.stop()?;
    let ran = exec(&scene, &["--labels", "env=prod", "--format", "json", "--yes"], "")?.failure(1)?;
    assert!(ran.stderr.contains("WARNING: \"stock\" failed: psql ended with 2"), "{ran}");
    let report = ran.json()?;
    assert_eq!((&report["succeeded"], &report["failed"]), (&1.into(), &1.into()), "{report}");
    let failed = &report["databases"][1];
    assert_eq!(
        (&failed["name"], &failed["success"], &failed["exit_code"]),
        (&"stock".into(), &false.into(), &2.into())
    );
    Ok(())
}

#[test]
fn nothing_runs_without_a_yes() -> Result<()> {
    let scene = Scene::new("")?;
    let mark = scene.world.mark();
    for answer in ["n\n", "\n", ""] {
        let ran = exec(&scene, &["--labels", "env=prod"], answer)?.failure(1)?;
        assert!(ran.stdout.ends_with("Do you want to proceed with 1 database(s)? [y/N]: "), "{ran}");
        assert!(ran.stderr.contains("nothing was run"), "{ran}");
    }
    assert_eq!(taps(&scene, mark), 0);
    exec(&scene, &["--labels", "env=prod"], "y\n")?.success()?;
    assert_eq!(taps(&scene, mark), 1);
    assert!(exec(&scene, &[], "")?.failure(1)?.stderr.contains("pass --dbs, --labels or --search"));
    assert!(exec(&scene, &["--labels", "env=none"], "")?.failure(1)?.stderr.contains("no databases are found"));
    Ok(())
}

/// A role whose taps open one session each can't have one tap open two: each database asks for its own.
#[test]
fn taps_that_open_one_session_are_asked_for_one_by_one() -> Result<()> {
    let scene = Scene::new("session_mfa_window: 0s")?;
    let _stock = scene.another("stock")?;
    let mark = scene.world.mark();
    let ran = exec(&scene, &["--labels", "env=prod", "--yes"], "")?.success()?;
    assert!(ran.stdout.contains("Summary: 2 of 2 succeeded."), "{ran}");
    assert_eq!(taps(&scene, mark), 2);
    Ok(())
}
