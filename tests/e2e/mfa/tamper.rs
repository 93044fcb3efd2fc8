//! Somebody writes into the store.

use anyhow::{Context as _, Result};
use tapgate_proof::Link;
use tapgate_store::Store as _;

use crate::world::{ASKED, World, open_store, registrations, text};

#[test]
fn a_tampered_registration_counts_for_nothing_and_is_reported() -> Result<()> {
    let mut world = World::new()?;
    world.ssh("prod3", &["true"])?.success()?;
    world.jerry.tap(["logout"])?.success()?;
    world.log_in(&world.jerry, "jerry")?;
    world.stop()?;
    {
        // The thief gives jerry's registration another public key.
        let store = open_store(&world)?;
        let all = registrations(&store)?;
        let (key, mut jerrys) = all.iter().find(|(_, key)| key.user.as_str() == "jerry").context("none")?.clone();
        jerrys.key = tapgate_proof::testing::SoftKey::generate().key().clone();
        store.put(&key, &serde_json::to_vec(&jerrys)?, None)?;
    }
    let mark = world.mark();
    world.start()?;
    let refused = world.ssh("prod3", &["true"])?.failure(1)?;
    assert!(refused.stderr.contains("user has no MFA devices"), "{refused}");
    let warning = world.await_record(mark, "security.warning", |_| true)?;
    assert!(text(&warning, "what").contains("jerry"), "{warning}");
    assert_eq!(world.prod3.connections(), 1);
    Ok(())
}

#[test]
fn an_administrator_who_is_written_into_the_store_is_none() -> Result<()> {
    let mut world = World::new()?;
    let mallory = crate::world::person(&world.lab, "mallory")?;
    world.invite_and_enrol("mallory", &mallory, "access-prod")?;
    world.log_in(&mallory, "mallory")?;
    world.ssh_as(&mallory, "prod3", &["true"])?.success()?;
    mallory.tap(["logout"])?.success()?;
    world.log_in(&mallory, "mallory")?;
    world.stop()?;
    {
        // A registration that claims to be pinned, which the configuration does not say.
        let store = open_store(&world)?;
        let all = registrations(&store)?;
        let (key, mut own) = all.iter().find(|(_, key)| key.user.as_str() == "mallory").context("none")?.clone();
        own.link = Link::Pinned;
        store.put(&key, &serde_json::to_vec(&own)?, None)?;
    }
    let mark = world.mark();
    world.start()?;
    let refused = world.ssh_as(&mallory, "prod3", &["true"])?;
    assert!(!refused.status.success() && !refused.stderr.contains(ASKED), "{refused}");
    let warning = world.await_record(mark, "security.warning", |_| true)?;
    assert!(text(&warning, "what").contains("mallory"), "{warning}");
    world.ssh("prod3", &["true"])?.success()?;
    mallory.tap(["logout"])?.success()?;
    Ok(())
}
