//! What an operator does to a gate: checks, starts twice, watches, ends.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use tapgate_api::path;

use super::bare::{Bare, SLACK, config, curl, start_curl};
use crate::world::{World, event, tapgate, text, until};

#[test]
fn check_prints_every_error_with_its_line_and_fails() -> Result<()> {
    let lab = tapgate_lab::Lab::new()?;
    let bad = "public_addr: nowhere\nlisten: 3080\ncolour: red\nwebauthn:\n  rp_id: 127.0.0.1\n";
    let config = lab.write("bad.yaml", bad)?.display().to_string();
    let ran = tapgate(&["check", "--config", &config])?.failure(1)?;
    for line in ["1: `public_addr`", "2: `listen`", "3: unknown key `colour`", "5: `rp_id`"] {
        assert!(ran.stderr.contains(&format!("{config}:{line}")), "{line}: {ran}");
    }
    assert!(ran.stdout.is_empty(), "{ran}");

    let resources = lab.dir("resources")?;
    lab.write(
        "resources/a.yaml",
        "kind: role\nversion: v7\nmetadata: { name: r }\nspec:\n  colour: red\n  taste: sour\n",
    )?;
    lab.write(
        "resources/b.yml",
        "kind: user\nversion: v2\nmetadata: { name: jerry }\nspec: { roles: [r], shape: round }\n",
    )?;
    lab.write("resources/c.txt", "not a resource")?;
    let text = format!("public_addr: localhost:3080\nresources: {}\n", resources.display());
    let config = lab.write("good.yaml", &text)?.display().to_string();
    let ran = tapgate(&["check", "--config", &config])?.failure(1)?;
    for line in ["a.yaml:5: ", "a.yaml:6: ", "b.yml:4: "] {
        assert!(ran.stderr.contains(line), "{line}: {ran}");
    }

    lab.write("resources/a.yaml", "kind: role\nversion: v7\nmetadata: { name: r }\nspec: {}\n")?;
    lab.write("resources/b.yml", "kind: user\nversion: v2\nmetadata: { name: jerry }\nspec: { roles: [r, gone] }\n")?;
    let ran = tapgate(&["check", "--config", &config])?.failure(1)?;
    assert!(ran.stderr.contains("b.yml:4: there is no role `gone`"), "{ran}");

    lab.write("resources/b.yml", "kind: user\nversion: v2\nmetadata: { name: jerry }\nspec: { roles: [r] }\n")?;
    let ran = tapgate(&["check", "--config", &config])?.success()?;
    assert!(ran.stdout.contains("good, with 2 resources"), "{ran}");
    let ran = tapgate(&["check", "--config", "/nowhere/tapgate.yaml"])?.failure(1)?;
    assert!(ran.stderr.contains("/nowhere/tapgate.yaml:1: can't be read"), "{ran}");
    Ok(())
}

#[test]
fn a_gate_that_cannot_start_says_why_and_leaves_the_first_alone() -> Result<()> {
    let bare = Bare::new()?;
    let again = |name: &str, port: u16, data: &str| -> Result<tapgate_lab::Ran> {
        let config = config(&bare.lab, name, port, bare.lab.port()?, data)?.display().to_string();
        tapgate(&["start", "--config", &config])?.failure(1)
    };
    let ran = again("same-port.yaml", bare.port, "other")?;
    assert!(ran.stderr.contains(&format!("can't listen on 127.0.0.1:{}", bare.port)), "{ran}");
    assert!(ran.stderr.contains("is another gate running there?"), "{ran}");
    let ran = again("same-data.yaml", bare.lab.port()?, "data")?;
    let data = bare.lab.path().join("data").display().to_string();
    assert!(ran.stderr.contains(&format!("the data directory {data} is in use by another gate")), "{ran}");
    bare.is_well()?;
    let config = bare.config.display().to_string();
    let ran = tapgate(&["start", "--config", &format!("{config}.gone")])?.failure(1)?;
    assert!(ran.stderr.contains("can't be read"), "{ran}");
    Ok(())
}

#[test]
fn health_is_told_on_the_admin_address_alone() -> Result<()> {
    let bare = Bare::new()?;
    let admin = |path: &str| curl(&format!("http://127.0.0.1:{}{path}", bare.admin_port), &[]);
    let health = admin("/healthz")?;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let ready = admin("/readyz")?;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready, 0 sessions\n"));
    bare.is_well()?;
    let metrics = admin("/metrics")?;
    for line in ["tapgate_sessions_live 0", "tapgate_connections_total{spoken=\"tls\"} "] {
        assert!(metrics.status == 200 && metrics.body.contains(line), "{line}: {metrics:?}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(bare.curl(path, &[])?.status, 404, "{path}");
    }
    assert_eq!(admin(path::FIND)?.status, 404);
    Ok(())
}

#[test]
fn a_connection_has_one_number_from_the_log_to_the_audit_log() -> Result<()> {
    let world = World::new()?;
    let mark = world.mark();
    world.ssh("dev1", &["true"])?.success()?;
    let [start, end] = ["session.start", "session.end"].map(|name| world.await_record(mark, name, |_| true));
    let (start, end) = (start?, end?);
    let number = text(&start, "connection");
    assert!(number.len() > 17 && number == text(&end, "connection"), "{start} {end}");
    Ok(())
}

#[test]
fn the_data_are_their_owners_alone() -> Result<()> {
    let bare = Bare::new()?;
    let data = bare.lab.path().join("data");
    let mode = |path: &Path| -> Result<u32> { Ok(std::fs::metadata(path)?.mode() & 0o777) };
    assert_eq!(format!("{:o}", mode(&data)?), "700");
    for name in ["tapgate.db", "tapgate.db-wal", "tapgate.db-shm", "audit.jsonl"] {
        let file = data.join(name);
        assert!(file.exists() && mode(&file)? == 0o600, "{name}: {:o}", mode(&file).unwrap_or_default());
    }
    Ok(())
}

#[test]
fn sigterm_tells_live_sessions_and_ends_in_peace() -> Result<()> {
    let mut world = World::new()?;
    let session = world.start_ssh("dev1", &["echo here; exec sleep 60"])?;
    session.wait_for("here")?;
    let address = world.gate().address();

    let start = std::time::Instant::now();
    let status = world.stop()?;
    assert!(status.success(), "{status}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let ran = session.finish(SLACK * 2)?.failure(255)?;
    assert!(ran.stderr.contains("the gate is shutting down"), "{ran}");
    assert!(super::bare::dial(address).is_err());

    let records = world.records();
    let names: Vec<&str> = records.iter().map(event).collect();
    assert!(names.contains(&"session.end") && names.last() == Some(&"gate.stopped"), "{names:?}");
    let ended = records.iter().find(|record| event(record) == "session.end").map(ToString::to_string);
    assert!(ended.as_ref().is_some_and(|record| record.contains("shutting down")), "{ended:?}");

    world.start()?;
    world.ssh("dev1", &["true"])?.success()?;
    Ok(())
}

#[test]
fn a_gate_without_sessions_ends_at_once_whatever_connections_there_are() -> Result<()> {
    let bare = Bare::new()?;
    let silent = (0..5).map(|_| bare.dial()).collect::<Result<Vec<_>>>()?;
    bare.gate.process().signal(Signal::SIGINT);
    let url = bare.url(path::FIND);
    until("the gate to close its port", SLACK, || Ok(!start_curl(&url, &[])?.status.success()))?;
    let start = std::time::Instant::now();
    assert!(bare.gate.stop()?.success());
    assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
    drop(silent);
    Ok(())
}
