//! What an operator does beside running a gate: the secrets' key, backup and restore, and the way back in.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_authority::{SealedStore, SecretsKey};
use tapgate_lab::Ran;
use tapgate_store::{SqliteStore, Store as _};

use crate::world::{World, enrol, open_store, person, pin_in, tapgate, text, word_after};

/// `tapgate COMMAND --config …` of this world.
fn care(world: &World, command: &str, rest: &[&str]) -> Result<Ran> {
    let config = world.config.display().to_string();
    let arguments: Vec<&str> = [command, "--config", &config].into_iter().chain(rest.iter().copied()).collect();
    tapgate(&arguments)
}

/// Whether any file of the data directory holds these bytes.
fn anywhere(world: &World, needle: &[u8]) -> Result<bool> {
    for file in std::fs::read_dir(world.database().parent().context("no directory")?)? {
        let path = file?.path();
        if path.is_file() && std::fs::read(&path)?.windows(needle.len()).any(|window| window == needle) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn secrets_key(world: &World) -> std::path::PathBuf {
    world.database().with_file_name("secrets.key")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_store_alone_holds_no_private_key_and_an_older_one_is_sealed_when_it_is_opened() -> Result<()> {
    let mut world = World::new()?;
    world.stop()?;
    let sealed = open_store(&world)?;
    let keys = sealed.list("ca/", 0)?;
    assert!(keys.len() >= 10, "{}", keys.len());
    drop(sealed);
    let raw = SqliteStore::open(world.database())?;
    for (name, entry) in raw.list("ca/", 0)? {
        assert!(entry.value.starts_with(b"v1."), "{name} lies in the open");
    }
    // As an older program has left it: in the open.
    raw.delete("sealed-by")?;
    for (name, entry) in &keys {
        raw.put(name, &entry.value, None)?;
    }
    drop(raw);
    let secret = keys.iter().find(|(name, _)| name == "ca/login-ssh").context("no authority")?.1.value.clone();
    assert!(anywhere(&world, &secret)?);

    world.start()?;
    world.ssh("dev1", &["true"])?.success()?;
    assert!(!anywhere(&world, &secret)?, "a key of before lies in the open still");
    Ok(())
}

#[test]
fn a_gate_with_another_secrets_key_or_none_does_not_start_and_makes_none() -> Result<()> {
    let mut world = World::new()?;
    world.stop()?;
    let key = secrets_key(&world);
    let kept = std::fs::read(&key)?;
    std::fs::remove_file(&key)?;
    let ran = care(&world, "start", &[])?.failure(1)?;
    assert!(ran.stderr.contains("is gone, and the store is sealed with it"), "{ran}");
    assert!(!key.exists());
    drop(SecretsKey::of_file(&key)?);
    let ran = care(&world, "start", &[])?.failure(1)?;
    assert!(ran.stderr.contains("is not the one that sealed this store"), "{ran}");
    let ran = care(&world, "ca", &[])?.failure(1)?;
    assert!(ran.stderr.contains("is not the one that sealed this store"), "{ran}");
    std::fs::write(&key, kept)?;
    world.start()?;
    world.ssh("dev1", &["true"])?.success()?;
    Ok(())
}

#[test]
fn another_secrets_key_takes_the_place_of_the_old_one() -> Result<()> {
    let mut world = World::new()?;
    let ran = care(&world, "rekey", &[])?.failure(1)?;
    assert!(ran.stderr.contains("is in use by another gate"), "{ran}");
    world.stop()?;
    let old = world.lab.write("old.key", "")?;
    std::fs::copy(secrets_key(&world), &old)?;
    let ran = care(&world, "rekey", &[])?.success()?;
    assert!(ran.stdout.contains("secrets are sealed with the key"), "{ran}");
    let file = Arc::new(SqliteStore::open(world.database())?);
    assert!(SealedStore::open(file, Arc::new(SecretsKey::in_file(&old)?)).is_err());
    world.start()?;
    world.ssh("prod3", &["true"])?.success()?;
    world.stop()?;

    let elsewhere = shown(&world.lab.path().join("elsewhere.key"));
    let ran = care(&world, "rekey", &["--to", &elsewhere])?.success()?;
    assert!(ran.stdout.contains(&format!("secrets_key: {elsewhere}")), "{ran}");
    care(&world, "start", &[])?.failure(1)?;
    let config = std::fs::read_to_string(&world.config)? + &format!("secrets_key: {elsewhere}\n");
    std::fs::write(&world.config, config)?;
    world.start()?;
    world.ssh("prod3", &["true"])?.success()?;
    let told = |record: &serde_json::Value| text(record, "what").contains("the secrets' key is replaced");
    world.await_record(0, "security.warning", told)?;

    // Changed once more, and cut short before the new file has taken its name.
    world.stop()?;
    let (key, next) = (Path::new(&elsewhere), format!("{elsewhere}.next"));
    let before = std::fs::read(key)?;
    care(&world, "rekey", &[])?.success()?;
    std::fs::rename(key, &next)?;
    std::fs::copy(&old, key)?;
    std::fs::write(key, before)?;
    world.start()?;
    assert!(!Path::new(&next).exists());
    world.ssh("dev1", &["true"])?.success()?;
    Ok(())
}

#[test]
fn a_backup_of_a_running_gate_is_restored_with_what_was_spent_since() -> Result<()> {
    let mut world = World::new()?;
    let copy = shown(&world.lab.path().join("monday.db"));
    let ran = care(&world, "backup", &[&copy])?.success()?;
    assert!(ran.stdout.contains("secrets.key"), "{ran}");
    let ran = care(&world, "backup", &[&copy])?.failure(1)?;
    assert!(ran.stderr.contains("name a file that is not there yet"), "{ran}");
    world.invite("ann", "access-dev")?;
    world.olga.tapctl(["get", "user/ann"])?.success()?;
    let ran = care(&world, "restore", &[&copy])?.failure(1)?;
    assert!(ran.stderr.contains("is in use by another gate"), "{ran}");
    world.stop()?;

    // A store of another gate, whose key this one has not, takes nobody's place.
    let other = shown(&world.lab.path().join("other.db"));
    let file = Arc::new(SqliteStore::open(&other)?);
    drop(SealedStore::open(file, Arc::new(SecretsKey::fresh()?))?);
    let ran = care(&world, "restore", &[&other])?.failure(1)?;
    assert!(ran.stderr.contains("is the secrets' key the one that sealed it?"), "{ran}");

    let ran = care(&world, "restore", &[&copy])?.success()?;
    assert!(ran.stdout.contains(".before-restore-"), "{ran}");
    world.start()?;
    world.olga.tapctl(["get", "user/ann"])?.failure(1)?;
    world.ssh("prod3", &["true"])?.success()?;
    let told = |record: &serde_json::Value| text(record, "what").contains("the store was replaced by the copy");
    world.await_record(0, "security.warning", told)?;
    Ok(())
}

#[test]
fn an_administrator_who_has_lost_every_key_comes_back_by_the_machine_alone() -> Result<()> {
    let mut world = World::new()?;
    let ran = care(&world, "recover", &["--admin", "olga"])?.failure(1)?;
    assert!(ran.stderr.contains("is in use by another gate"), "{ran}");
    world.stop()?;
    let ran = care(&world, "recover", &["--admin", "jerry"])?.failure(1)?;
    assert!(ran.stderr.contains("jerry is no administrator"), "{ran}");
    let ran = care(&world, "recover", &["--admin", "olga"])?.success()?;
    assert!(ran.stderr.contains("WARNING: break-glass: olga may enrol anew"), "{ran}");
    let token = word_after(&ran.stdout, "--token").context("no token")?;
    world.start()?;
    let told = |record: &serde_json::Value| text(record, "what").contains("break-glass: olga");
    world.await_record(0, "security.warning", told)?;

    let anew = person(&world.lab, "olga-anew")?;
    let enrolled = enrol(&anew, &world.address, &world.pin, &token)?.success()?;
    let pin = pin_in(&enrolled.stdout).context("no pin")?;
    // The file's pin is what makes the key count.
    let address = world.address.clone();
    let login = ["login", "--gate", &address, "--user", "olga"];
    anew.tap(login)?.failure(1)?;
    world.stop()?;
    let config = std::fs::read_to_string(&world.config)?;
    std::fs::write(&world.config, config.replace("first_admins: [", &format!("first_admins: [\"{pin}\", ")))?;
    world.start()?;
    anew.tap(login)?.success()?;
    anew.tapctl(["users", "ls"])?.success()?;
    anew.tap(["logout"])?.success()?;
    // The old key opens nothing, and those whom it vouched for keep theirs.
    world.olga.tap(["logout"])?.success()?;
    world.olga.tap(login)?.failure(1)?;
    world.ssh("prod3", &["true"])?.success()?;
    Ok(())
}

#[test]
fn an_old_client_is_told_to_get_a_newer_one() -> Result<()> {
    let mut world = World::new()?;
    let config = std::fs::read_to_string(&world.config)? + "min_client_version: 99.0.0\n";
    std::fs::write(&world.config, config)?;
    world.stop()?;
    world.start()?;
    let told = "and the gate takes 99.0.0 and later (install a newer tap, from where this one came)";
    for command in [&["ls"][..], &["login", "--gate", &world.address, "--user", "jerry"], &["mfa", "ls"]] {
        let ran = world.jerry.tap(command.iter().copied())?.failure(1)?;
        assert!(ran.stderr.contains(told), "{ran}");
    }
    Ok(())
}
