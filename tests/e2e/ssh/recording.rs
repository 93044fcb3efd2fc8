//! Recordings: what was seen is shown again, to those who may, and what must be recorded does not happen without.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapgate_lab::own_binary;

use crate::world::{World, text, until};

const SOON: Duration = Duration::from_secs(30);

/// A world whose prod3 is recorded so.
fn recorded(how: &str) -> Result<World> {
    let world = World::new()?;
    world.put_prod_options(&format!("require_session_mfa: true, record_session: {how}"))?;
    Ok(world)
}

/// The recordings, as olga lists them.
fn listed(world: &World) -> Result<Vec<Value>> {
    let listed = world.olga.tapctl(["sessions", "ls", "--format", "json"])?.success()?.json()?;
    Ok(listed["recordings"].as_array().context("no list")?.clone())
}

/// What olga sees of a recording.
fn played(world: &World, session: &str, more: &[&str]) -> Result<String> {
    let played = world.olga.tap(["play", session].iter().chain(more))?.success()?;
    Ok(played.stdout + &played.stderr)
}

#[test]
fn a_command_and_a_terminal_are_shown_again_to_those_who_may() -> Result<()> {
    let world = recorded("best_effort")?;
    world.ssh("dev1", &["echo not recorded"])?.success()?;
    let mark = world.mark();
    world.ssh("prod3", &["printf '\\033[31mred\\033]0;title\\007'; echo oops >&2; exit 3"])?.failure(3)?;
    let of_prod3 = |record: &Value| text(record, "target") == "prod3";
    let first = world.await_record(mark, "session.end", of_prod3)?;
    let mark = world.mark();
    let at = world.at("prod3");
    let mut shell = world.jerry.start_on_terminal(&own_binary("tap")?, ["ssh", &at])?;
    shell.write(b"stty cols 91 rows 33; echo $((40+2))-$TERM\n")?;
    shell.wait_for("42-")?;
    shell.write(b"exit\n")?;
    shell.finish(SOON)?.success()?;
    let second = world.await_record(mark, "session.end", of_prod3)?;

    let (first, second) = (text(&first, "session"), text(&second, "session"));
    let all = listed(&world)?;
    let sessions: Vec<&str> = all.iter().map(|entry| text(entry, "session")).collect();
    assert_eq!(sessions, [second, first]);
    assert_eq!((text(&all[0], "target"), text(&all[0], "user"), &all[0]["live"]), ("prod3", "jerry", &false.into()));

    let raw = played(&world, first, &[])?;
    assert!(raw.contains("\u{1b}[31mred") && raw.contains("oops") && raw.contains("closed by the"), "{raw}");
    let safe = played(&world, first, &["--safe"])?;
    assert!(safe.contains("\\u{1b}[31mred\\u{1b}]0;title\\u{7}") && !safe.contains('\u{1b}'), "{safe}");
    let shown = played(&world, second, &["--safe"])?;
    assert!(shown.contains("42-"), "{shown}");
    let cast = world.olga.tap(["play", second, "--as", "asciicast"])?.success()?.stdout;
    let lines: Vec<Value> = cast.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!((&lines[0]["version"], text(&lines[0]["term"], "type")), (&3.into(), "dumb"));
    assert!(lines[0]["term"]["cols"].is_u64() && lines.len() > 3 && lines.iter().skip(1).all(|line| line[0].is_f64()));
    let json = world.olga.tap(["play", first, "--as", "json"])?.success()?.stdout;
    assert!(json.contains("\"exit\",\"3\"") && json.contains("\"errors\",\"oops\\n\""), "{json}");

    // Each look is in the audit log; jerry has no right to one, and there is none of what was not recorded.
    let seen = world.await_record(0, "session.recording.access", |record| text(record, "session") == second)?;
    assert_eq!(text(&seen, "user"), "olga");
    let refused = world.jerry.tap(["play", first])?.failure(1)?;
    assert!(refused.stderr.contains("a role with a rule for `session`"), "{refused}");
    let missing = world.olga.tap(["play", &"0".repeat(32)])?.failure(1)?;
    assert!(missing.stderr.contains("there is no recording of this session"), "{missing}");
    // On the disk nothing of it can be read.
    for file in std::fs::read_dir(world.lab.path().join("data/recordings"))? {
        let bytes = std::fs::read(file?.path())?;
        assert!(!bytes.windows(5).any(|part| part == b"prod3") && bytes.starts_with(b"TGREC1\n"));
    }
    Ok(())
}

#[test]
fn a_gate_that_is_killed_leaves_what_was_seen() -> Result<()> {
    let mut world = recorded("strict")?;
    let mut shell = world.start_ssh("prod3", &["echo before; cat"])?;
    shell.wait_for("before")?;
    let live = listed(&world)?.first().context("no recording")?.clone();
    assert_eq!(live["live"], true, "{live}");
    let session = text(&live, "session").to_owned();
    let own = |world: &World| played(world, &session, &["--safe"]);
    until("the recording", SOON, || Ok(own(&world)?.contains("before")))?;
    shell.write(b"within a second\n")?;
    until("the next line", SOON, || Ok(own(&world)?.contains("within a second")))?;
    world.kill()?;
    world.start()?;
    let left = own(&world)?;
    assert!(left.contains("before") && left.contains("within a second"), "{left}");
    assert!(left.contains("the gate stopped before its end"), "{left}");
    Ok(())
}

#[test]
fn what_cannot_be_recorded_is_refused_or_goes_on_as_the_role_says() -> Result<()> {
    let world = recorded("strict")?;
    // Where the recordings should go there is a file: nobody can write there, whoever the tests run as.
    let folder = world.lab.path().join("data/recordings");
    std::fs::remove_dir_all(&folder)?;
    std::fs::write(&folder, "")?;
    let refused = world.ssh("prod3", &["echo in"])?;
    assert!(!refused.status.success() && !refused.stdout.contains("in"), "{refused}");
    assert!(refused.stderr.contains("the gate cannot record this session"), "{refused}");
    let failed = world.await_record(0, "session.failed", |_| true)?;
    assert!(text(&failed, "reason").contains("cannot record"), "{failed}");
    world.put_prod_options("require_session_mfa: true, record_session: best_effort")?;
    let opened = world.ssh("prod3", &["echo in"])?.success()?;
    assert_eq!(opened.stdout, "in\n");
    world.await_record(0, "security.warning", |record| text(record, "what").contains("is not recorded"))?;
    Ok(())
}
