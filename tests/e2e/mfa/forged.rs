//! Stolen authorities: what somebody opens who can sign certificates, and cannot tap.

use anyhow::Result;
use ssh_key::PublicKey;
use tapgate_identity::{CaKind, SshCa, SshLoginSubject, SshSessionSubject};
use tapgate_lab::{Client, KeyPair};
use tapgate_model::{Clock as _, Login, SystemClock, UserName};
use tapgate_proof::testing::SoftKey;
use tapgate_proof::{Holder, Proof, Purpose, RelyingParty, Statement, StatementParts, Uses};

use crate::world::{Tapper, World, authority, copy, lay, open_store, text};

/// An authority out of the store, with the gate up again behind it.
fn steal(world: &mut World, kind: CaKind) -> Result<SshCa> {
    world.stop()?;
    let stolen = authority(&open_store(world)?, kind)?;
    world.start()?;
    Ok(stolen)
}

/// A session certificate for this key with this proof, by whoever has the authority.
fn forge(world: &World, ca: &SshCa, key: &KeyPair, target: &str, proof: &Proof) -> Result<()> {
    let (user, now): (UserName, _) = ("jerry".parse()?, SystemClock.now());
    let logins = [(world.login.parse()?, target.parse()?)];
    let ends = now.plus(std::time::Duration::from_mins(4));
    let public_key = PublicKey::from_openssh(key.public())?;
    let subject = SshSessionSubject {
        user: &user,
        public_key: &public_key,
        logins: &logins,
        proof,
        login_expires: ends,
        not_after: ends,
    };
    lay(key, &ca.issue_session(&subject, &world.fingerprint()?, now)?.to_openssh()?)
}

/// The proof of a session on prod3, out of the audit log.
fn last_tap(world: &World) -> Result<Proof> {
    let start = world.await_record(0, "session.start", |record| record["target"] == "prod3")?;
    let der = tapgate_client::keys::from_base64(text(&start["tap"], "proof")).map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(Proof::from_der(&der)?)
}

#[test]
fn a_stolen_session_ca_opens_nothing_that_requires_mfa() -> Result<()> {
    let mut world = World::new()?;
    world.ssh("prod3", &["true"])?.success()?;
    let ca = steal(&mut world, CaKind::SessionSsh)?;
    let key = KeyPair::make(&world.lab, "forged")?;
    let refused = |world: &World, why: &str| -> Result<()> {
        let mark = world.mark();
        let ran = world.stock_with(&key, &world.at("prod3"), "true")?.failure(255)?;
        assert!(ran.stderr.contains("MFA is required"), "{ran}");
        let reason = world.denied(mark)?;
        assert!(reason.contains(why), "{reason}");
        Ok(())
    };

    // A true proof of jerry's, but over another session key.
    let old = last_tap(&world)?;
    forge(&world, &ca, &key, "prod3", &old)?;
    refused(&world, "the tap names another target, login or key")?;

    // A proof over the right things, by a key that the thief has made.
    let parts = Statement::from_der(&old.statement)?.parts().clone();
    let spki = tapgate_identity::ssh_key_spki(&PublicKey::from_openssh(key.public())?).unwrap_or_default();
    let mut targets = parts.targets.clone();
    targets[0].holder = Holder::SessionKey(tapgate_identity::spki_digest(&spki));
    targets[0].login = Login::Unix(world.login.parse()?);
    let now = SystemClock.now();
    let (uses, purpose, expires) = (Uses::Window, Purpose::Session, now.plus(std::time::Duration::from_mins(4)));
    let statement = Statement::new(StatementParts { targets, uses, purpose, created: now, expires, ..parts })?;
    let rp = RelyingParty { id: "localhost".to_owned(), origins: vec![format!("https://{}", world.address)] };
    let mut made = SoftKey::generate().tap(&statement, [7; 32], &rp);
    forge(&world, &ca, &key, "prod3", &made)?;
    refused(&world, "not registered")?;

    // The same under the name of jerry's own credential.
    made.credential_id = old.credential_id;
    forge(&world, &ca, &key, "prod3", &made)?;
    refused(&world, "does not verify")?;
    assert_eq!(world.prod3.connections(), 1);
    Ok(())
}

#[test]
fn a_tap_for_one_target_opens_no_other() -> Result<()> {
    let mut world = World::new()?;
    let prod4 = world.target("prod4", world.trusting("prod"))?;
    let key = KeyPair::make(&world.lab, "key")?;
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    world.stock_with(&key, &world.at("prod3"), "true")?.success()?;
    // jerry's own key and tap, in a certificate that says another target.
    let proof = last_tap(&world)?;
    let ca = steal(&mut world, CaKind::SessionSsh)?;
    forge(&world, &ca, &key, "prod4", &proof)?;
    let mark = world.mark();
    world.stock_with(&key, &world.at("prod4"), "true")?.failure(255)?;
    assert_eq!(world.denied(mark)?, "the tap names another target, login or key");
    forge(&world, &ca, &key, "prod3", &proof)?;
    world.stock_with(&key, &world.at("prod3"), "true")?.success()?;
    assert_eq!(prod4.connections(), 0);
    Ok(())
}

#[test]
fn a_login_certificate_adds_no_key() -> Result<()> {
    let world = World::new()?;
    let thief = Client::new(&world.lab, "thief")?.without_key();
    copy(&world.olga.tap_home(), &thief.tap_home())?;
    let mark = world.mark();
    for words in [["users", "reset", "olga"], ["users", "reset", "jerry"], ["rm", "user/jerry", "--no-agent"]] {
        let refused = thief.tapctl(words)?.failure(1)?;
        assert!(!refused.stdout.contains("--token"), "{refused}");
    }
    let done = ["auth.invite", "admin.changed", "auth.enrolled"];
    let records = world.records();
    assert!(!records.iter().skip(mark).any(|record| done.contains(&text(record, "event"))));
    world.ssh("prod3", &["true"])?.success()?;
    Ok(())
}

#[test]
fn a_stolen_login_ca_opens_what_requires_no_mfa_and_nothing_else() -> Result<()> {
    let mut world = World::new()?;
    let ca = steal(&mut world, CaKind::LoginSsh)?;
    let (key, user) = (KeyPair::make(&world.lab, "forged")?, "jerry".parse()?);
    let (public_key, now) = (PublicKey::from_openssh(key.public())?, SystemClock.now());
    let expires = now.plus(std::time::Duration::from_hours(1));
    let subject = SshLoginSubject { user: &user, public_key: &public_key, source_ip: None, expires };
    lay(&key, &ca.issue_login(&subject, &world.fingerprint()?, now)?.to_openssh()?)?;
    world.stock_with(&key, &world.at("dev1"), "true")?.success()?;
    let ran = world.stock_with(&key, &world.at("prod3"), "true")?.failure(255)?;
    assert!(ran.stderr.contains("MFA is required"), "{ran}");
    Ok(())
}

#[test]
fn a_changed_role_ends_evidence_and_sessions() -> Result<()> {
    let world = World::new()?;
    let key = KeyPair::make(&world.lab, "key")?;
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    world.stock_with(&key, &world.at("prod3"), "true")?.success()?;
    let session = world.start_ssh("prod3", &["echo up; exec cat"])?;
    session.wait_for("up")?;
    world.put(&world.role("access-prod", "elsewhere", "require_session_mfa: true"))?;
    session.wait_for_error("this session was ended")?;
    let mark = world.mark();
    world.stock_with(&key, &world.at("prod3"), "true")?.failure(255)?;
    world.denied(mark)?;
    Ok(())
}
