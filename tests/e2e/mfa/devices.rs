//! A user's own keys: a second one is vouched for by the first, and the first can go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_lab::{Client, Process, Ran, own_binary};
use tapgate_model::{Clock as _, SystemClock};
use totp_rs::Totp;

use crate::world::{ASKED, World, text};

/// The same home, with another software key at hand.
fn with_key(client: &Client, key: &Path) -> Client {
    client.clone().with("TAP_SOFTWARE_KEY", key)
}

/// jerry adds a key in this file.
fn add(world: &World, name: &str) -> Result<PathBuf> {
    let path = world.jerry.home().join(format!("{name}.json"));
    let file = path.display().to_string();
    let added = world.jerry.tap(["mfa", "add", "--name", name, "--new-software-key", &file])?.success()?;
    assert_eq!(added.stdout, format!("security key \"{name}\" has been added\n"));
    assert!(added.stderr.contains("WARNING: using the software security key"), "{added}");
    assert!(added.stderr.contains("tap one that is registered ALREADY"), "{added}");
    Ok(path)
}

#[test]
fn a_second_key_takes_over_and_the_first_is_removed() -> Result<()> {
    let world = World::new()?;
    let mark = world.mark();
    let second = with_key(&world.jerry, &add(&world, "second")?);
    let enrolled = world.await_record(mark, "auth.enrolled", |record| text(record, "name") == "second")?;
    assert_eq!(text(&enrolled, "link"), "device");

    world.jerry.tap(["logout"])?.success()?;
    world.log_in(&second, "jerry")?;
    let opened = world.ssh_as(&second, "prod3", &["echo in"])?.success()?;
    assert_eq!(opened.stdout, "in\n");
    assert!(opened.stderr.contains(ASKED), "{opened}");

    let removed = second.tap(["mfa", "rm", "software"])?.success()?;
    assert_eq!(removed.stdout, "security key \"software\" has been removed\n");
    let gone = world.await_record(mark, "auth.device", |_| true)?;
    assert_eq!(text(&gone, "change"), "deleted");
    // The window of before is closed, the old key answers no more, and the new one does.
    let refused = world.jerry.tap(["login", "--gate", &world.address, "--user", "jerry"])?.failure(1)?;
    assert!(refused.stderr.contains("the software key did not answer"), "{refused}");
    world.ssh_as(&second, "prod3", &["true"])?.success()?;
    let last = second.tap(["mfa", "rm", "second"])?.failure(1)?;
    assert!(last.stderr.contains("\"second\" is your last security key"), "{last}");
    let listed = second.tap(["mfa", "ls", "--format", "json"])?.success()?.json()?;
    assert_eq!(listed["devices"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn a_login_certificate_adds_no_key() -> Result<()> {
    let world = World::new()?;
    let thief = world.jerry.clone().without_key();
    let key = world.jerry.home().join("thief.json").display().to_string();
    let add = ["mfa", "add", "--name", "mine", "--new-software-key", &key];
    let refused = thief.tap(add)?.failure(1)?;
    assert!(refused.stderr.contains("cannot reach security keys"), "{refused}");
    // Nor does another user's key vouch for the new one.
    let stranger = with_key(&thief, &world.olga.home().join("software-key.json"));
    let refused = stranger.tap(add)?.failure(1)?;
    assert!(refused.stderr.contains("the software key did not answer"), "{refused}");
    let refused = stranger.tap(["mfa", "rename", "software", "mine"])?.failure(1)?;
    assert!(refused.stderr.contains("the software key did not answer"), "{refused}");
    let listed = world.jerry.tap(["mfa", "ls", "--format", "json"])?.success()?.json()?;
    assert_eq!(listed["devices"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn removing_the_key_of_a_live_session_cuts_it() -> Result<()> {
    let world = World::new()?;
    let second = with_key(&world.jerry, &add(&world, "second")?);
    let mut session = world.start_ssh("prod3", &["echo up; exec cat"])?;
    session.wait_for("up")?;
    second.tap(["mfa", "rm", "software"])?.success()?;
    session.wait_for_error("the security key of this session's tap was removed")?;
    assert_eq!(session.wait(Duration::from_secs(20))?.code(), Some(255));
    Ok(())
}

const BOTH: &str = "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  \
                    second_factors: [webauthn, otp]\n";

/// Runs `tap` with a code on its standard input.
fn with_code(client: &Client, arguments: &[&str], code: impl FnOnce(&Process) -> Result<String>) -> Result<Ran> {
    let mut process = client.start(&own_binary("tap")?, arguments)?;
    let code = code(&process)?;
    process.write(format!("{code}\n").as_bytes())?;
    process.finish(Duration::from_mins(1))
}

#[test]
fn a_code_logs_in_once_and_opens_no_session() -> Result<()> {
    let world = World::new()?;
    world.put(BOTH)?;
    let now = || SystemClock.now().as_secs();
    let uri = |line: &str| line.starts_with("otpauth://").then(|| line.trim().to_owned());
    let mut totp = None;
    let add = ["mfa", "add", "--otp", "--name", "phone"];
    with_code(&world.jerry, &add, |process| {
        let app = Totp::from_url(process.wait_for_error_line("the secret", uri)?)?;
        let code = app.generate(now()).to_string();
        totp = Some(app);
        Ok(code)
    })?
    .success()?;
    let app = totp.context("no secret was shown")?;

    // The code that was shown is spent; the next one is good already, and once.
    let next = app.generate(now() + 30).to_string();
    let thief = world.jerry.clone().without_key();
    let login = ["--mfa-mode=otp", "login", "--gate", &world.address, "--user", "jerry"];
    let mark = world.mark();
    with_code(&thief, &login, |_| Ok(next.clone()))?.success()?;
    let record = world.await_record(mark, "auth.login", |_| true)?;
    assert_eq!(text(&record, "method"), "otp");
    let again = with_code(&thief, &login, |_| Ok(next.clone()))?.failure(1)?;
    assert!(again.stderr.contains("the code was used before"), "{again}");
    world.ssh_as(&thief, "dev1", &["true"])?.success()?;
    let refused = world.ssh_as(&thief, "prod3", &["true"])?.failure(1)?;
    assert!(refused.stderr.contains(ASKED), "{refused}");
    Ok(())
}

#[test]
fn codes_are_for_where_the_preference_names_them_and_never_for_a_session() -> Result<()> {
    let world = World::new()?;
    let refused = world.jerry.tap(["mfa", "add", "--otp"])?.failure(1)?;
    assert!(refused.stderr.contains("one-time codes are not accepted here"), "{refused}");
    let session = world.jerry.tap(["--mfa-mode=otp", "ssh", &world.at("prod3"), "true"])?.failure(1)?;
    assert!(session.stderr.contains("per-session MFA is not satisfied by 'otp' devices"), "{session}");
    Ok(())
}
