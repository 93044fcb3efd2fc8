//! The audit log alone proves who tapped for what.

use anyhow::{Context as _, Result};
use tapgate_audit::{Event, read_file};
use tapgate_model::UnixTime;
use tapgate_proof::{Expected, Proof, Purpose, RelyingParty, verify};

use crate::world::{World, open_store, registrations};

#[test]
fn the_proof_of_a_session_verifies_offline() -> Result<()> {
    let mut world = World::new()?;
    world.ssh("prod3", &["true"])?.success()?;
    assert!(world.stop()?.success());

    let mut start = None;
    read_file(world.audit_log(), |record| {
        if let Event::SessionStart { facts } = record.event {
            start = Some((facts, record.time));
        }
    })?;
    let (facts, time): (_, UnixTime) = start.context("no session.start")?;
    let tap = facts.tap.context("no tap in session.start")?;
    let proof = Proof::from_der(&tap.proof_der().context("no proof")?)?;

    let known = registrations(&open_store(&world)?)?;
    let registered = known.iter().find(|(_, registration)| registration.user == facts.user);
    let (_, registration) = registered.context("jerry has no key")?;
    let gate = world.fingerprint()?;
    let relying_party =
        RelyingParty { id: "localhost".to_owned(), origins: vec![format!("https://{}", world.address)] };
    let relying_party = relying_party.into();
    let expected = Expected {
        key: &registration.key,
        relying_party: &relying_party,
        gate: &gate,
        purpose: Purpose::Session,
        user: &facts.user,
        user_verification: false,
        at: time,
    };
    let verified = verify(&proof, &expected)?;
    let parts = verified.statement().parts();
    assert_eq!(parts.targets.len(), 1);
    assert_eq!(parts.targets[0].target.name.as_str(), "prod3");
    assert_eq!(Some(parts.targets[0].target.uid), facts.uid);
    assert_eq!(proof.id(), tap.proof_id);

    // olga's key did not make it.
    let (_, olgas) = known.iter().find(|(_, key)| key.user.as_str() == "olga").context("olga has no key")?;
    assert!(verify(&proof, &Expected { key: &olgas.key, ..expected }).is_err());
    Ok(())
}
