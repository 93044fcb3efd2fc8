//! What must be nowhere: session keys on a disk, secrets in a log.

use std::path::Path;

use anyhow::Result;

use crate::world::{World, files_below, login_files};

fn holds(file: &Path, needle: &str) -> Result<bool> {
    let bytes = std::fs::read(file)?;
    Ok(bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
}

#[test]
fn session_keys_are_nowhere_on_the_disk() -> Result<()> {
    let world = World::new()?;
    let mut session = world.start_ssh("prod3", &["echo up; exec cat"])?;
    session.wait_for("up")?;
    // While the session is open, its window is kept, and its files lie in the run folder.
    let mut keys = Vec::new();
    for file in files_below(&world.jerry.tap_home())? {
        if holds(&file, "PRIVATE KEY")? {
            keys.push(file);
        }
    }
    keys.sort();
    let login = login_files(&world, &world.jerry);
    let mut expected = [login.ssh_key, login.tls_key];
    expected.sort();
    assert_eq!(keys, expected);
    session.close_input();
    assert!(session.wait(std::time::Duration::from_secs(30))?.success());
    Ok(())
}

#[test]
fn no_secret_is_in_any_log() -> Result<()> {
    let world = World::new()?;
    let token = world.invite("ann", "access-dev")?;
    let ann = crate::world::person(&world.lab, "ann")?;
    crate::world::enrol(&ann, &world.address, &world.pin, &token)?.success()?;
    world.ssh("prod3", &["true"])?.success()?;
    world.await_record(0, "session.end", |_| true)?;
    let files = login_files(&world, &world.jerry);
    let mut secrets = vec![token, "correct horse battery".to_owned(), "PRIVATE KEY".to_owned()];
    for key in [files.ssh_key, files.tls_key] {
        let text = std::fs::read_to_string(key)?;
        secrets.extend(text.lines().filter(|line| !line.starts_with('-') && line.len() > 20).map(str::to_owned));
    }
    assert!(secrets.len() > 4);
    let logs = [
        std::fs::read_to_string(world.audit_log())?,
        world.gate().process().stderr(),
        world.gate().process().stdout(),
        world.dev1.log(),
        world.prod3.log(),
    ];
    for secret in &secrets {
        assert!(!logs.iter().any(|log| log.contains(secret)), "a log holds {secret}");
    }
    // The store has the invite and the password as hashes alone.
    for file in files_below(world.database().parent().unwrap_or(Path::new("/")))? {
        for secret in secrets.iter().take(2) {
            assert!(!holds(&file, secret)?, "{} holds {secret}", file.display());
        }
    }
    Ok(())
}
