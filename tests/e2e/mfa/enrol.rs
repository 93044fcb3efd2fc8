//! Enrolment: the first administrator's pin, and invites.

use anyhow::Result;
use tapgate_lab::Gate;

use crate::world::{World, enrol, person};

#[test]
fn an_unpinned_first_administrator_counts_for_nothing() -> Result<()> {
    let before = World::without_admin()?;
    let login = ["login", "--gate", &before.address, "--user", "olga"];
    before.olga.tap(login)?.failure(1)?;
    // A start alone changes nothing; the pin does.
    before.gate.stop()?;
    let gate = Gate::start_again(&before.config)?;
    before.olga.tap(login)?.failure(1)?;
    gate.stop()?;
    let pinned = std::fs::read_to_string(&before.config)? + &format!("first_admins: [\"{}\"]\n", before.first_pin);
    std::fs::write(&before.config, pinned)?;
    let gate = Gate::start_again(&before.config)?;
    before.olga.tap(login)?.success()?;
    before.olga.tapctl(["get", "roles"])?.success()?;
    before.olga.tap(["logout"])?.success()?;
    drop(gate);
    drop(before.lab);
    Ok(())
}

#[test]
fn an_invite_works_once() -> Result<()> {
    let world = World::new()?;
    let token = world.invite("ann", "access-dev")?;
    let (ann, mallory) = (person(&world.lab, "ann")?, person(&world.lab, "mallory")?);
    enrol(&ann, &world.address, &world.pin, &token)?.success()?;
    let late = enrol(&mallory, &world.address, &world.pin, &token)?.failure(1)?;
    assert!(late.stderr.contains("the invite is not valid"), "{late}");
    world.log_in(&ann, "ann")?;
    world.ssh_as(&ann, "dev1", &["true"])?.success()?;
    ann.tap(["logout"])?.success()?;
    Ok(())
}

#[test]
fn a_newer_invite_voids_the_older_one() -> Result<()> {
    let world = World::new()?;
    let older = world.invite("ann", "access-dev")?;
    let reset = world.olga.tapctl(["users", "reset", "ann"])?.success()?;
    let ann = person(&world.lab, "ann")?;
    enrol(&ann, &world.address, &world.pin, &older)?.failure(1)?;
    let newer = reset.stdout.split_whitespace().last().unwrap_or_default();
    enrol(&ann, &world.address, &world.pin, newer)?.success()?;
    Ok(())
}

#[test]
fn a_wrong_pin_of_the_gate_ends_the_first_contact() -> Result<()> {
    let world = World::new()?;
    let token = world.invite("ann", "access-dev")?;
    let ann = person(&world.lab, "ann")?;
    let wrong = format!("sha256:{}", "0".repeat(64));
    let refused = enrol(&ann, &world.address, &wrong, &token)?.failure(1)?;
    assert!(refused.stderr.contains("did not prove itself"), "{refused}");
    // Neither password nor token went to whoever answered: the invite still works.
    enrol(&ann, &world.address, &world.pin, &token)?.success()?;
    Ok(())
}
