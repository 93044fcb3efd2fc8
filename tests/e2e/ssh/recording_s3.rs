//! Recordings in a store that speaks S3: brought there, played from there, and what becomes of a store that is away.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapgate_lab::{S3, own_binary};

use crate::world::{World, text, until};

const SOON: Duration = Duration::from_mins(2);

const BUCKET: &str = "tapes";

/// A world whose prod3 is recorded, with the store at this port; the gate runs.
fn recorded(endpoint: &str, more: &str) -> Result<World> {
    let mut world = World::new()?;
    world.put_prod_options("require_session_mfa: true, record_session: strict")?;
    world.stop()?;
    let (id, secret) = (world.lab.write("s3-id", "tapgate\n")?, world.lab.write("s3-secret", "geheim\n")?);
    let mut config = std::fs::OpenOptions::new().append(true).open(&world.config)?;
    write!(
        config,
        "recordings_s3:\n  bucket: {BUCKET}\n  endpoint: {endpoint}\n  prefix: gate/one\n  access_key_file: {}\n  \
         secret_key_file: {}\n{more}",
        id.display(),
        secret.display()
    )?;
    world.start()?;
    Ok(world)
}

fn folder(world: &World) -> PathBuf {
    world.lab.path().join("data/recordings")
}

/// How many recordings wait in the directory.
fn waiting(world: &World) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder(world))? {
        count += usize::from(entry?.file_name().to_string_lossy().ends_with(".tgrec"));
    }
    Ok(count)
}

/// As on another machine: nothing of what is in the store is here.
fn forget_heads(world: &World) -> Result<()> {
    let heads = folder(world).join("heads");
    std::fs::remove_dir_all(&heads)?;
    Ok(std::fs::create_dir(&heads)?)
}

/// Runs a command on prod3 to its end; answers the session's number.
fn ran(world: &World, command: &str) -> Result<String> {
    let mark = world.mark();
    world.ssh("prod3", &[command])?.success()?;
    let end = world.await_record(mark, "session.end", |record| text(record, "target") == "prod3")?;
    Ok(text(&end, "session").to_owned())
}

fn listed(world: &World) -> Result<Vec<Value>> {
    let listed = world.olga.tapctl(["sessions", "ls", "--format", "json"])?.success()?.json()?;
    Ok(listed["recordings"].as_array().context("no list")?.clone())
}

#[test]
fn recordings_go_to_the_store_and_are_played_from_there() -> Result<()> {
    let lab = tapgate_lab::Lab::new()?;
    let store = S3::start(&lab, BUCKET)?;
    let world = recorded(&store.endpoint(), "")?;
    let short = ran(&world, "echo to be kept elsewhere")?;
    let name = format!("gate/one/{short}.tgrec");
    until("the recording in the store", SOON, || Ok(store.objects(BUCKET)?.iter().any(|(there, _)| *there == name)))?;
    until("its leaving", SOON, || Ok(waiting(&world)? == 0))?;
    let played = world.olga.tap(["play", &short, "--safe"])?.success()?.stdout;
    assert!(played.contains("to be kept elsewhere"), "{played}");
    // What is there is sealed.
    let there = store.object(BUCKET, &name)?;
    assert!(there.starts_with(b"TGREC1\n") && !there.windows(5).any(|part| part == b"prod3"));

    // A long one goes in parts, from before its end on, and comes back whole.
    let mark = world.mark();
    let at = world.at("prod3");
    let mut shell = world.jerry.start_on_terminal(&own_binary("tap")?, ["ssh", &at])?;
    shell.write(b"head -c 9000000 /dev/urandom | base64 -w 0; echo; echo the-last-$((40+2))\n")?;
    shell.wait_for("the-last-42")?;
    until("an upload that has begun", SOON, || {
        let all = std::fs::read_dir(folder(&world))?.collect::<Result<Vec<_>, _>>()?;
        Ok(all.iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".upload")))
    })?;
    shell.write(b"exit\n")?;
    shell.finish(SOON)?.success()?;
    let end = world.await_record(mark, "session.end", |record| text(record, "target") == "prod3")?;
    let long = text(&end, "session");
    let name = format!("gate/one/{long}.tgrec");
    let whole = |(there, size): &(String, u64)| *there == name && *size > 8 << 20;
    until("the long recording", SOON, || Ok(store.objects(BUCKET)?.iter().any(whole)))?;
    until("its leaving", SOON, || Ok(waiting(&world)? == 0))?;
    let played = world.olga.tap(["play", long, "--safe"])?.success()?.stdout;
    assert!(played.len() > 12_000_000 && played.contains("the-last-42"), "{} bytes", played.len());

    // Another machine has no beginnings of its own, and lists all the same.
    forget_heads(&world)?;
    let mut all: Vec<String> = listed(&world)?.iter().map(|entry| text(entry, "session").to_owned()).collect();
    all.sort();
    let mut due = [short, long.to_owned()];
    due.sort();
    assert_eq!(all, due);
    Ok(())
}

#[test]
fn a_store_that_is_away_lets_recordings_wait_and_gets_them_later() -> Result<()> {
    let lab = tapgate_lab::Lab::new()?;
    let port = lab.port()?;
    let mut world = recorded(&format!("http://127.0.0.1:{port}"), "")?;
    let session = ran(&world, "echo it waits")?;
    world.gate().process().wait_for_error("Recordings can't be brought to the store; they wait")?;
    assert_eq!(waiting(&world)?, 1);
    assert!(world.olga.tap(["play", &session, "--safe"])?.success()?.stdout.contains("it waits"));
    // Nor does a crash lose it.
    world.kill()?;
    let store = S3::start_at(port, BUCKET)?;
    world.start()?;
    until("the recording in the store", SOON, || Ok(!store.objects(BUCKET)?.is_empty() && waiting(&world)? == 0))?;
    assert!(world.olga.tap(["play", &session, "--safe"])?.success()?.stdout.contains("it waits"));
    // Where it is away again, what is there can't be played, and that is said; a beginning may still be here.
    drop(store);
    forget_heads(&world)?;
    let away = world.olga.tap(["play", &session, "--safe"])?;
    assert!(!away.status.success(), "{away}");
    Ok(())
}

#[test]
fn no_more_waits_than_may_and_a_strict_session_is_not_without() -> Result<()> {
    let lab = tapgate_lab::Lab::new()?;
    let world = recorded(&format!("http://127.0.0.1:{}", lab.port()?), "  waiting_max: 2KiB\n")?;
    let cut = world.ssh("prod3", &["head -c 9000 /dev/urandom | base64; sleep 60"])?;
    assert!(!cut.status.success() && cut.stderr.contains("it can no longer be recorded"), "{cut}");
    let refusal = "the gate cannot record this session";
    until("a session that is refused", SOON, || Ok(world.ssh("prod3", &["echo in"])?.stderr.contains(refusal)))?;
    world.await_record(0, "security.warning", |record| text(record, "what").contains("no more may wait"))?;
    world.put_prod_options("require_session_mfa: true, record_session: best_effort")?;
    assert_eq!(world.ssh("prod3", &["echo in"])?.success()?.stdout, "in\n");
    Ok(())
}

#[test]
fn recordings_that_are_kept_no_longer_are_removed_and_that_is_in_the_log() -> Result<()> {
    let lab = tapgate_lab::Lab::new()?;
    let store = S3::start(&lab, BUCKET)?;
    let mut world = recorded(&store.endpoint(), "recordings_keep:\n  size: 1KiB\n")?;
    let first = ran(&world, "head -c 900 /dev/urandom | base64")?;
    until("the first in the store", SOON, || Ok(store.objects(BUCKET)?.len() == 1 && waiting(&world)? == 0))?;
    world.stop()?;
    world.start()?;
    let removed = world.await_record(0, "session.recording.removed", |record| text(record, "session") == first)?;
    assert!(text(&removed, "reason").contains("larger than 1024 bytes"), "{removed}");
    until("an empty store", SOON, || Ok(store.objects(BUCKET)?.is_empty()))?;
    assert_eq!(listed(&world)?, Vec::<Value>::new());
    Ok(())
}
