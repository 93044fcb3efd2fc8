//! Loads of database sessions.

use anyhow::{Context as _, Result};

use super::scene::{bench, checks, good, measured};
use crate::db::{my_scene, scene};

#[test]
fn postgres_through_the_gate_and_without_it() -> Result<()> {
    let mut scene = scene::Scene::new("")?;
    let metrics = measured(&mut scene.world)?;
    let out = scene.world.lab.path().join("out").display().to_string();
    let load = ["--protocol", "postgres", "--rate", "20", "--duration", "1s", "--export", "hdr", "--out", &out];
    let through = ["--targets", "orders", "--login", "app", "--db-name", "shop", "--metrics", &metrics];
    let report = good(&scene.world.jerry, &[&load[..], &through].concat(), 20)?;
    assert_eq!(checks(&report, "grant"), 20, "{report}");
    for of in ["connect", "session"] {
        let text = std::fs::read_to_string(format!("{out}/bench-postgres-{of}.hgrm"))?;
        let last = text.lines().rfind(|line| !line.starts_with('#')).context("no percentiles")?;
        let words: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(words.get(1..), Some(["1.000000000000", "20"].as_slice()), "{text}");
    }
    // A statement that the server does not take is a refusal, in its own words.
    let wrong =
        ["--protocol", "postgres", "--rate", "2", "--duration", "1s", "--run", "select nothing", "--format", "json"];
    let ran = bench(&scene.world.jerry, &[&wrong[..], &through].concat())?.failure(1)?;
    let first = &ran.json()?["errors"][0];
    assert_eq!((first["kind"].as_str(), first["count"].as_u64()), (Some("refused"), Some(2)), "{ran}");
    assert!(first["first"].as_str().is_some_and(|text| text.contains("\"nothing\"")), "{ran}");

    let ca = scene.world.lab.write("orders-ca.pem", scene.orders.ca())?.display().to_string();
    let password = scene.world.lab.write("password", "geheim\n")?.display().to_string();
    let target = format!("127.0.0.1:{}", scene.orders.port());
    let direct = ["--direct", "--targets", &target, "--login", "report", "--db-name", "postgres", "--ca", &ca];
    good(&scene.world.jerry, &[&load[..], &direct, &["--password-file", &password]].concat(), 20)?;
    // The passwords that are said as they are, over TLS.
    let clear = ["--direct", "--targets", &target, "--login", "clear", "--db-name", "postgres", "--ca", &ca];
    let offen = scene.world.lab.write("offen", "offen")?.display().to_string();
    good(&scene.world.jerry, &[&load[..], &clear, &["--password-file", &offen]].concat(), 20)?;
    let ran = bench(&scene.world.jerry, &[&load[..], &direct].concat())?.failure(1)?;
    assert!(ran.stdout.contains("give --password-file") && !ran.stdout.contains("geheim"), "{ran}");
    let ran = bench(&scene.world.jerry, &[&load[..], &direct, &["--password-file", &offen]].concat())?.failure(1)?;
    assert!(ran.stdout.contains("refused: 20") && !ran.stdout.contains("offen"), "{ran}");
    Ok(())
}

#[test]
fn mysql_through_the_gate_and_without_it() -> Result<()> {
    let mut scene = my_scene::Scene::new("require_session_mfa: true")?;
    let metrics = measured(&mut scene.world)?;
    let load = ["--protocol", "mysql", "--rate", "20", "--duration", "1s", "--run", "select * from t"];
    let through = ["--targets", "shopdb", "--login", "app", "--db-name", "shop"];
    let report = good(&scene.world.jerry, &[&load[..], &through, &["--metrics", &metrics]].concat(), 20)?;
    assert_eq!(checks(&report, "grant"), 20, "{report}");
    let wrong = ["--protocol", "postgres", "--rate", "2", "--duration", "1s"];
    let ran = bench(&scene.world.jerry, &[&wrong[..], &through].concat())?.failure(1)?;
    assert!(ran.stderr.contains("\"shopdb\" speaks mysql (pass --protocol mysql)"), "{ran}");

    let ca = scene.world.lab.write("shopdb-ca.pem", scene.db.ca())?.display().to_string();
    let password = scene.world.lab.write("password", "geheim\n")?.display().to_string();
    let target = format!("127.0.0.1:{}", scene.db.port());
    let direct = ["--direct", "--targets", &target, "--login", "report", "--db-name", "shop", "--ca", &ca];
    good(&scene.world.jerry, &[&load[..], &direct, &["--password-file", &password]].concat(), 20)?;
    let ran = bench(&scene.world.jerry, &[&load[..], &direct].concat())?.failure(1)?;
    assert!(ran.stdout.contains("refused: 20"), "{ran}");
    Ok(())
}
