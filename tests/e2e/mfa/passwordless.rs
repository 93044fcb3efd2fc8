//! `tap login --auth=passwordless`: the key says whose it is.

use anyhow::Result;

use crate::world::{World, text};

#[test]
fn a_key_that_was_added_for_it_logs_in_alone() -> Result<()> {
    let world = World::new()?;
    let file = world.jerry.home().join("bio.json");
    let path = file.display().to_string();
    let add = ["mfa", "add", "--name", "bio", "--passwordless", "--new-software-key", &path];
    world.jerry.tap(add)?.success()?;
    let listed = world.jerry.tap(["mfa", "ls"])?.success()?;
    assert!(listed.stdout.contains("passkey (logs in without a password)"), "{listed}");
    world.jerry.tap(["logout"])?.success()?;

    // Neither a name nor a password is given, and there is none to be found.
    let alone = world.jerry.clone().with("TAP_SOFTWARE_KEY", &file).with("TAP_PASSWORD_FILE", "/nowhere");
    let mark = world.mark();
    let login = ["login", "--gate", &world.address, "--auth=passwordless"];
    let ran = alone.tap(login)?.success()?;
    assert!(ran.stdout.contains("jerry"), "{ran}");
    let record = world.await_record(mark, "auth.login", |_| true)?;
    assert_eq!(text(&record, "user"), "jerry");
    world.ssh_as(&alone, "prod3", &["true"])?.success()?;

    // The key that was enrolled for taps alone does not.
    let refused = world.jerry.tap(login)?.failure(1)?;
    assert!(refused.stderr.contains("has no login without a password for this gate"), "{refused}");

    world.put(
        "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  \
         allow_passwordless: false\n",
    )?;
    let refused = alone.tap(login)?.failure(1)?;
    assert!(refused.stderr.contains("does not allow logins without a password"), "{refused}");
    Ok(())
}
