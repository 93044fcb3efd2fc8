//! Many connections and many statements at once.

use anyhow::Result;

use super::scene::Scene;
use crate::world::event;

#[test]
fn pgbench_in_every_mode() -> Result<()> {
    let scene = Scene::new("")?;
    let pass = scene.tap("app/shop")?;
    scene.pgbench(&pass, &["-i", "-q", "-s", "1"])?.success()?;
    for mode in ["simple", "extended", "prepared"] {
        let ran = scene.pgbench(&pass, &["-n", "-M", mode, "-c", "4", "-j", "2", "-t", "50"])?.success()?;
        assert!(ran.stdout.contains("number of transactions actually processed: 200/200"), "{ran}");
    }
    let pipeline = "\\startpipeline\nselect 1;\nselect 2;\nselect 3;\n\\endpipeline\n";
    let file = scene.world.lab.write("pipeline.sql", pipeline)?.display().to_string();
    let ran = scene.pgbench(&pass, &["-n", "-M", "extended", "-c", "2", "-t", "20", "-f", &file])?.success()?;
    assert!(ran.stdout.contains("processed: 40/40"), "{ran}");
    Ok(())
}

#[test]
fn two_hundred_connections_at_once_with_one_tap() -> Result<()> {
    let scene = Scene::new("")?;
    let mark = scene.world.mark();
    let pass = scene.tap("app/shop")?;
    let file = scene.world.lab.write("one.sql", "select 1;\n")?.display().to_string();
    let ran = scene.pgbench(&pass, &["-n", "-c", "200", "-j", "4", "-t", "5", "-f", &file])?.success()?;
    assert!(ran.stdout.contains("processed: 1000/1000"), "{ran}");
    // pgbench looks at the server over a connection of its own before it begins.
    let records = scene.world.records();
    assert_eq!(records.iter().filter(|record| event(record) == "session.start").count(), 201);
    assert_eq!(records.iter().skip(mark).filter(|record| event(record) == "mfa.succeeded").count(), 1);
    Ok(())
}
