//! Assertions and proofs that come a second time.

use anyhow::Result;
use tapgate_lab::KeyPair;

use crate::world::{Tapper, World, lay};

#[test]
fn an_assertion_finishes_its_ceremony_once() -> Result<()> {
    let world = World::new()?;
    let (key, other) = (KeyPair::make(&world.lab, "key")?, KeyPair::make(&world.lab, "other")?);
    let tapper = Tapper::new(&world, &world.jerry, "jerry")?;
    let (assertion, reusable) = tapper.assertion(&key, "prod3")?;
    assert!(reusable);
    tapper.finish(&assertion)?;
    let again = tapper.finish(&assertion).unwrap_err().to_string();
    assert!(again.contains("too late") || again.contains("before"), "{again}");

    // Nor does it finish another ceremony, which has a challenge of its own.
    let (mut fresh, _) = tapper.assertion(&other, "prod3")?;
    let mark = world.mark();
    fresh.webauthn = assertion.webauthn;
    tapper.finish(&fresh).unwrap_err();
    world.await_record(mark, "mfa.failed", |_| true)?;
    tapper.finish(&fresh).unwrap_err();
    Ok(())
}

#[test]
fn somebody_elses_ceremony_cannot_be_finished() -> Result<()> {
    let world = World::new()?;
    let ann = crate::world::person(&world.lab, "ann")?;
    world.invite_and_enrol("ann", &ann, "access-prod")?;
    world.log_in(&ann, "ann")?;
    let key = KeyPair::make(&world.lab, "key")?;
    let (assertion, _) = Tapper::new(&world, &world.jerry, "jerry")?.assertion(&key, "prod3")?;
    Tapper::new(&world, &ann, "ann")?.finish(&assertion).unwrap_err();
    Ok(())
}

#[test]
fn a_proof_for_once_opens_once_and_stays_spent_after_a_restart() -> Result<()> {
    let mut world = World::new()?;
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 0s")?;
    let key = KeyPair::make(&world.lab, "key")?;
    let tapper = Tapper::new(&world, &world.jerry, "jerry")?;
    let (assertion, reusable) = tapper.assertion(&key, "prod3")?;
    assert!(!reusable);
    lay(&key, &tapper.finish(&assertion)?.ssh_certificate)?;
    world.stock_with(&key, &world.at("prod3"), "true")?.success()?;
    for _ in 0..2 {
        let spent = world.stock_with(&key, &world.at("prod3"), "true")?.failure(255)?;
        assert!(spent.stderr.contains("is spent"), "{spent}");
        world.kill()?;
        world.start()?;
    }
    assert_eq!(world.prod3.connections(), 1);
    Ok(())
}

#[test]
fn a_proof_is_worth_nothing_once_its_window_is_over() -> Result<()> {
    let world = World::new()?;
    let key = KeyPair::make(&world.lab, "key")?;
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    world.stock_with(&key, &world.at("prod3"), "true")?.success()?;
    // A shorter window counts for taps that were made before it as well.
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 1s")?;
    crate::world::until("the end of the window", std::time::Duration::from_secs(30), || {
        Ok(!world.stock_with(&key, &world.at("prod3"), "true")?.status.success())
    })?;
    let mark = world.mark();
    world.stock_with(&key, &world.at("prod3"), "true")?.failure(255)?;
    assert_eq!(world.denied(mark)?, "the tap's window is over");
    Ok(())
}
