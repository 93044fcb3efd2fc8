//! Much at once: a gigabyte copied, and statements that are made to break whoever reads them.

use anyhow::Result;
use serde_json::Value;

use super::{my_scene, scene::SOON, scene::Scene};
use crate::world::{resident, text};

/// The gate's memory may grow so far while a gigabyte passes, in KiB: it buffers a few records of it.
const GROWTH_MAX: u64 = 48 * 1024;

#[test]
fn a_gigabyte_is_copied_in_little_memory() -> Result<()> {
    const ROWS: usize = 1024 * 1024;
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    scene.psql(Some(&pass), "", "select 1")?.success()?;
    let before = resident(&scene.world)?;
    let copy = format!("\\copy (select repeat('a', 1023) from generate_series(1, {ROWS})) to program 'wc -c'\n");
    let file = scene.world.lab.write("copy.sql", &copy)?.display().to_string();
    let mut psql = scene.start_psql(Some(&pass), "", &["-v", "ON_ERROR_STOP=1", "-f", &file])?;
    let (until, mut most) = (std::time::Instant::now() + SOON * 3, 0);
    while psql.is_running() && std::time::Instant::now() < until {
        most = most.max(resident(&scene.world)?);
        psql.wait(std::time::Duration::from_millis(200)).map(drop).unwrap_or_default();
    }
    let ran = psql.finish(SOON)?.success()?;
    assert!(ran.stdout.lines().any(|line| line.trim() == (ROWS * 1024).to_string()), "{ran}");
    let grown = most.saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the gate grew by {grown} KiB");
    let record = scene.world.await_record(0, "db.session.query", |record| record["rows"] == ROWS)?;
    assert!(text(&record, "text").contains("generate_series"), "{record}");
    Ok(())
}

/// `1+1+…`, a quarter of a megabyte of it: a tree as deep as the text is long.
fn deep() -> String {
    format!("select 1{}", "+1".repeat(125_000))
}

fn is_deep(record: &Value) -> bool {
    text(record, "text").starts_with("select 1+1+1")
}

#[test]
fn a_statement_that_is_very_deep_is_dangerous_and_harms_nobody() -> Result<()> {
    let scene = Scene::new("db_statements: { fresh_tap: dangerous }")?;
    let pass = scene.tap("app/shop")?;
    let file = scene.world.lab.write("deep.sql", &(deep() + ";\nselect 'after';\n"))?.display().to_string();
    let ran = scene.start_psql(Some(&pass), "", &["-f", &file])?.finish(SOON)?;
    assert!(ran.stderr.contains("MFA is required for this statement") && ran.stdout.contains("after"), "{ran}");
    // Where no role says anything the server decides, and the log has its beginning.
    scene.put_role("")?;
    let mark = scene.world.mark();
    scene.start_psql(Some(&scene.tap("app/shop")?), "", &["-f", &file])?.finish(SOON)?;
    let record = scene.world.await_record(mark, "db.session.query", is_deep)?;
    assert!(text(&record, "text").len() < 8 * 1024, "it is cut");
    scene.psql(Some(&pass), "", "select 1")?.success()?;

    let scene = my_scene::Scene::new("db_statements: { deny: dangerous }")?;
    let file = scene.world.lab.write("deep.sql", &deep())?.display().to_string();
    let ran = scene.run_as(&scene.login_pass(), "app@shopdb", &["shop", "-e", &format!("source {file}")])?;
    assert!(ran.stderr.contains("ERROR 1142"), "{ran}");
    scene.run(&scene.login_pass(), "select 1")?.success()?;
    Ok(())
}
