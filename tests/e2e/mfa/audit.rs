//! `tapctl audit`: a real gate's log, proven by two programs, and every way to change it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapgate_lab::{Process, Ran, python_program};

use crate::world::World;

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What the script in Python finds in this world's log, or in a copy of it beside these keys.
pub(crate) fn independent(world: &World, keys: &Path) -> Result<Value> {
    script(&world.audit_log(), keys, &[])?.json()
}

fn script(log: &Path, keys: &Path, more: &[&str]) -> Result<Ran> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("verify/tapgate_verify.py");
    let mut command = Command::new(python_program("python")?);
    command.arg(file).arg("--log").arg(log).arg("--keys").arg(keys).args(more);
    Process::start("tapgate_verify.py", &mut command)?.finish(Duration::from_mins(1))
}

/// A world with sessions of all sorts, whose gate is down, and its keys.
fn stopped() -> Result<(World, std::path::PathBuf)> {
    let mut world = World::new()?;
    let second = text(&world.jerry.home().join("second.json"));
    for _ in 0..2 {
        world.ssh("prod3", &["true"])?.success()?;
    }
    world.ssh("dev1", &["true"])?.success()?;
    // A second key, with which the first one is removed: what that one did stays proven.
    world.jerry.tap(["mfa", "add", "--name", "second", "--new-software-key", &second])?.success()?;
    let other = world.jerry.clone().with("TAP_SOFTWARE_KEY", &second);
    other.tap(["mfa", "rm", "software"])?.success()?;
    world.ssh_as(&other, "prod3", &["true"])?.success()?;
    let keys = world.lab.path().join("keys.json");
    world.olga.tapctl(["audit", "export-keys", "--out", &text(&keys)])?.success()?;
    assert!(world.stop()?.success());
    Ok((world, keys))
}

fn verify(world: &World, log: &Path, keys: &Path, more: &[&str]) -> Result<Ran> {
    let (log, keys) = (text(log), text(keys));
    let words = ["audit", "verify", "--log", &log, "--keys", &keys, "--format", "json"];
    world.olga.tapctl(words.iter().chain(more))
}

#[test]
fn two_programs_prove_a_real_log_and_find_what_was_changed() -> Result<()> {
    let (world, keys) = stopped()?;
    let log = world.audit_log();
    let audit = verify(&world, &log, &keys, &[])?.success()?.json()?;
    let count = |audit: &Value, name: &str| audit[name].as_u64();
    for (name, due) in
        [("sessions", 4), ("required", 3), ("webauthn", 3), ("missing", 0), ("faults", 0), ("unsigned", 0)]
    {
        assert_eq!(count(&audit, name), Some(due), "{name} of {audit}");
    }
    assert!(count(&audit, "other_taps").is_some_and(|taps| taps > 5) && audit["chain_intact"] == true, "{audit}");
    let again = script(&log, &keys, &[])?.success()?.json()?;
    let same = |a: &Value, b: &Value| {
        for name in [
            "records",
            "log_records",
            "head",
            "sessions",
            "required",
            "webauthn",
            "sso",
            "missing",
            "altered",
            "other_taps",
            "checkpoints",
            "unsigned",
            "chain_intact",
            "faults",
        ] {
            assert_eq!(a[name], b[name], "{name}: {a} and {b}");
        }
    };
    same(&audit, &again);
    let told = world.olga.tapctl(["audit", "verify", "--log", &text(&log), "--keys", &text(&keys)])?.success()?;
    assert!(
        told.stdout.contains(
            "records, chain intact; 3 sessions required a tap: 3 proven (3 WebAuthn, 0 SSO), 0 missing, 0 altered\n"
        ),
        "{told}"
    );
    every_change_is_named(&world, &log, &keys, &audit)?;
    other_keys_prove_nothing(&world, &log, &keys)
}

fn every_change_is_named(world: &World, log: &Path, keys: &Path, audit: &Value) -> Result<()> {
    let head = format!("{}:{}", audit["log_records"], audit["head"].as_str().context("no head")?);
    let expected = ["--expect-head", head.as_str()];

    let folder = world.lab.dir("changed")?;
    let changed = folder.join("audit.jsonl");
    let lines: Vec<String> = fs::read_to_string(log)?.lines().map(str::to_owned).collect();
    let start = lines.iter().position(|line| line.contains("session.start")).context("no session")?;
    let at = u64::try_from(start)? + 1;
    let mut cases: Vec<(&str, Vec<String>, Option<u64>)> = Vec::new();
    let mut case = |fault, at, change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        cases.push((fault, lines, at));
    };
    case("altered", Some(at), &|lines| lines[start] = lines[start].replacen("\"ssh\"", "\"rsh\"", 1));
    case("altered", Some(at), &|lines| lines[start] = lines[start].replacen('{', "[", 1));
    case("removed", Some(at), &|lines| drop(lines.remove(start)));
    case("added", Some(at + 1), &|lines| lines.insert(start, lines[start].clone()));
    case("added", Some(at + 1), &|lines| lines.swap(start, start + 1));
    case("truncated", None, &|lines| lines.truncate(start));
    for (fault, lines, line) in cases {
        fs::write(&changed, lines.join("\n") + "\n")?;
        fs::copy(text(log) + ".checkpoints", text(&changed) + ".checkpoints")?;
        for found in [verify(world, &changed, keys, &expected)?, script(&changed, keys, &expected)?] {
            let found = found.failure(1)?.json()?;
            let fits = |finding: &Value| finding["fault"] == fault && line.is_none_or(|line| finding["line"] == line);
            let named = found["findings"].as_array().is_some_and(|all| all.iter().any(fits));
            assert!(named && found["chain_intact"] == false, "{fault} in {line:?}: {found}");
        }
    }
    Ok(())
}

fn other_keys_prove_nothing(world: &World, log: &Path, keys: &Path) -> Result<()> {
    // With the keys of somebody else the chain holds, and no tap does.
    let mut others: Value = serde_json::from_slice(&fs::read(keys)?)?;
    others["pins"] = serde_json::json!([]);
    let unpinned = world.lab.path().join("unpinned.json");
    fs::write(&unpinned, others.to_string())?;
    for found in [verify(world, log, &unpinned, &[])?, script(log, &unpinned, &[])?] {
        let found = found.failure(1)?.json()?;
        assert_eq!((&found["altered"], &found["chain_intact"]), (&3.into(), &Value::Bool(true)), "{found}");
    }
    Ok(())
}

#[test]
fn the_gate_hands_its_log_to_those_who_may_see_it() -> Result<()> {
    let world = World::new()?;
    world.ssh("prod3", &["true"])?.success()?;
    let verified = world.olga.tapctl(["audit", "verify"])?.success()?;
    assert!(
        verified.stdout.contains("1 sessions required a tap: 1 proven (1 WebAuthn, 0 SSO), 0 missing, 0 altered"),
        "{verified}"
    );
    let listed = world.olga.tapctl(["audit", "ls", "--event", "session.start", "--user", "jerry"])?.success()?;
    assert_eq!(listed.stdout.lines().count(), 1, "{listed}");
    assert!(listed.stdout.contains("node prod3 as ") && listed.stdout.contains("tap: webauthn"), "{listed}");
    let tail = world.olga.tapctl(["audit", "tail", "-n", "3", "--format", "json"])?.success()?;
    assert_eq!(tail.stdout.lines().count(), 3, "{tail}");
    let exported = world.olga.tapctl(["audit", "export", "--event", "session.start"])?.success()?;
    let exported: Value = serde_json::from_str(exported.stdout.trim())?;
    assert_eq!((&exported["server_hostname"], &exported["cluster_name"]), (&"prod3".into(), &"localhost".into()));
    assert!(exported["with_mfa"].is_string() && exported["mfa_device"]["mfa_device_type"] == "webauthn", "{exported}");
    let refused = world.jerry.tapctl(["audit", "ls"])?.failure(1)?;
    assert!(refused.stderr.contains("a role with a rule for `event`"), "{refused}");
    Ok(())
}

#[test]
fn a_killed_gate_leaves_a_log_that_is_proven_and_goes_on() -> Result<()> {
    let mut world = World::new()?;
    world.ssh("prod3", &["true"])?.success()?;
    world.await_record(0, "session.end", |_| true)?;
    world.kill()?;
    // What a crash leaves of the line and of the checkpoint that were being written.
    let log = text(&world.audit_log());
    for file in [&log, &format!("{log}.checkpoints")] {
        fs::write(file, fs::read_to_string(file)? + "{\"records\":1")?;
    }
    world.start()?;
    world.await_record(0, "audit.torn", |_| true)?;
    let verified = world.olga.tapctl(["audit", "verify"])?.success()?;
    assert!(verified.stdout.contains("chain intact; 1 sessions required a tap: 1 proven"), "{verified}");
    // Somebody rewrites the log's end while the gate is down: it says so when it starts, and the audit finds it.
    assert!(world.stop()?.success());
    let whole = fs::read_to_string(&log)?;
    let cut = whole.trim_end().rsplit_once('\n').context("one line")?.0;
    fs::write(&log, format!("{cut}\n"))?;
    world.start()?;
    world.await_record(0, "security.warning", |record| record.to_string().contains("its end was removed"))?;
    let broken = world.olga.tapctl(["audit", "verify"])?.failure(1)?;
    assert!(broken.stdout.contains("chain BROKEN"), "{broken}");
    Ok(())
}
