//! The audit log and the kept keys alone prove who signed in for what.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tapgate_audit::{Event, read_file};
use tapgate_proof::{ExpectedSso, Proof, ProofError, ProviderKey, Purpose, SsoRegistration, verify_sso};
use tapgate_store::Store as _;

use super::Scene;
use crate::mfa::audit::{independent, text};
use crate::world::open_store;

#[derive(Deserialize)]
struct Kept {
    issuer: String,
    key: ProviderKey,
}

#[test]
fn the_proof_of_a_session_by_the_provider_verifies_offline() -> Result<()> {
    let mut scene = Scene::logged_in()?;
    scene.ssh("ann", "true")?.success()?;
    let issuer = scene.provider.issuer();
    let out = scene.world.lab.path().join("keys.json");
    scene.world.olga.tapctl(["audit", "export-keys", "--out", &text(&out)])?.success()?;
    scene.provider.stop()?;
    assert!(scene.world.stop()?.success());

    let mut start = None;
    read_file(scene.world.audit_log(), |record| {
        if let Event::SessionStart { facts } = record.event
            && facts.user.as_str() == "ann"
        {
            start = Some((facts, record.time));
        }
    })?;
    let (facts, time) = start.context("no session.start of ann's")?;
    let tap = facts.tap.context("no tap in session.start")?;
    assert_eq!(tap.method.to_string(), "sso");
    let proof = Proof::from_der(&tap.proof_der().context("no proof")?)?;
    assert_eq!(proof.id(), tap.proof_id);

    let store = open_store(&scene.world)?;
    let kept: Vec<Kept> = store
        .list("sso/key/", 0)?
        .iter()
        .map(|(_, entry)| serde_json::from_slice(&entry.value))
        .collect::<Result<_, _>>()?;
    let keys: Vec<ProviderKey> = kept.into_iter().filter(|kept| kept.issuer == issuer).map(|kept| kept.key).collect();
    let entry = store.get("sso/user/ann", 0)?.context("ann has no account")?;
    let account: SsoRegistration = serde_json::from_slice(&entry.value)?;
    let (gate, classes) = (scene.world.fingerprint()?, ["urn:lab:mfa".to_owned()]);
    let expected = ExpectedSso {
        issuer: &issuer,
        audience: "tapgate",
        classes: &classes,
        account: Some(account.account()),
        keys: &keys,
        gate: &gate,
        purpose: Purpose::Session,
        user: &facts.user,
        at: time,
    };
    let verified = verify_sso(&proof, &expected)?;
    let parts = verified.statement().parts();
    assert_eq!(parts.targets.len(), 1);
    assert_eq!(parts.targets[0].target.name.as_str(), "prod3");
    assert_eq!(Some(parts.targets[0].target.uid), facts.uid);
    assert_eq!(account.issuer, issuer);

    proven_by_the_commands(&scene)?;

    // Without the provider's key, or for somebody else's account, it proves nothing.
    let keyless = verify_sso(&proof, &ExpectedSso { keys: &[], ..expected });
    assert_eq!(keyless.map(drop), Err(ProofError::ProviderSignature));
    let other = SsoRegistration { subject: "bob".to_owned(), ..account };
    let other = verify_sso(&proof, &ExpectedSso { account: Some(other.account()), ..expected });
    assert_eq!(other.map(drop), Err(ProofError::Account));
    Ok(())
}

/// The commands come to the same.
fn proven_by_the_commands(scene: &Scene) -> Result<()> {
    let keys = scene.world.lab.path().join("keys.json");
    let log = scene.world.audit_log();
    let words = ["audit", "verify", "--format", "json", "--log", &text(&log), "--keys", &text(&keys)];
    let audit = scene.world.olga.tapctl(words)?.success()?.json()?;
    assert_eq!(
        (audit["sso"].as_u64(), audit["required"].as_u64(), audit["faults"].as_u64()),
        (Some(1), Some(1), Some(0))
    );
    let again = independent(&scene.world, &keys)?;
    assert_eq!(
        (&again["sso"], &again["other_taps"], &again["faults"]),
        (&audit["sso"], &audit["other_taps"], &audit["faults"])
    );
    Ok(())
}
