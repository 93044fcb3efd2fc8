//! A login that fails says one thing, whatever was wrong.

use anyhow::Result;
use tapgate_lab::Client;

use crate::world::{World, event, person};

/// A login as this user, with these files, that fails; what it says.
fn failing(world: &World, client: &Client, user: &str) -> Result<String> {
    let login = ["login", "--gate", &world.address, "--ca-pin", &world.pin, "--user", user];
    let ran = client.tap(login)?.failure(1)?;
    let said = ran.stderr.lines().filter(|line| !line.starts_with("WARNING: using the software"));
    Ok(said.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_wrong_password_a_stranger_and_a_wrong_key_look_the_same() -> Result<()> {
    let world = World::new()?;
    let logins = || world.records().iter().filter(|record| event(record) == "auth.login").count();
    let before = logins();
    let wrong = world.lab.write("password-wrong", "not the right one at all")?;
    let password = failing(&world, &world.jerry.clone().with("TAP_PASSWORD_FILE", wrong), "jerry")?;
    let stranger = failing(&world, &world.jerry, "nobody-of-this-name")?;
    // A key that was never enrolled here, with the right password beside it.
    let other = person(&world.lab, "other")?;
    world.invite_and_enrol("other", &other, "access-dev")?;
    let key = failing(&world, &other.with("TAP_PASSWORD_FILE", world.lab.path().join("password-jerry")), "jerry")?;
    for said in [&password, &stranger, &key] {
        assert!(!said.contains("password is wrong") && !said.contains("Detected"), "{said}");
    }
    assert_eq!(password, stranger);
    assert_eq!(password, key);
    assert_eq!(logins(), before);
    Ok(())
}

#[test]
fn a_logout_closes_the_windows_and_forgets_the_login() -> Result<()> {
    let world = World::new()?;
    world.ssh("prod3", &["true"])?.success()?;
    world.jerry.tap(["logout"])?.success()?;
    let nobody = world.ssh("dev1", &["true"])?.failure(1)?;
    assert!(nobody.stderr.contains("nobody is logged in"), "{nobody}");
    world.log_in(&world.jerry, "jerry")?;
    let again = world.ssh("prod3", &["true"])?.success()?;
    assert!(again.stderr.contains(crate::world::ASKED), "{again}");
    Ok(())
}
