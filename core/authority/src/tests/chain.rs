//! What stands in the store is not believed: a registration counts by its taps.

use tapgate_model::Digest;
use tapgate_proof::{Link, Registration};
use tapgate_store::Store;
use webauthn_authenticator_rs::WebauthnAuthenticator;

use super::lab::{Lab, PASSWORD, origin};

/// Changes jerry's stored registration behind the authority's back.
fn tamper(lab: &Lab, change: impl FnOnce(&mut Registration)) {
    let (key, entry) = lab.store.list("registration/jerry/", 0).unwrap().remove(0);
    let mut registration: Registration = serde_json::from_slice(&entry.value).unwrap();
    change(&mut registration);
    lab.store.put(&key, &serde_json::to_vec(&registration).unwrap(), None).unwrap();
    lab.snapshot();
}

fn warnings(lab: &Lab) -> usize {
    lab.sink.names().iter().filter(|name| **name == "security.warning").count()
}

fn counts(lab: &Lab) -> bool {
    !lab.authority.snapshot().unwrap().registrations().of(&"jerry".parse().unwrap()).is_empty()
}

#[test]
fn a_tampered_registration_in_the_store_is_dropped_and_reported() {
    let (lab, olga, mut jerry) = Lab::with_jerry();
    assert!(counts(&lab));
    let before = warnings(&lab);
    tamper(&lab, |registration| registration.link = Link::Pinned);
    assert!(!counts(&lab));
    assert_eq!(warnings(&lab), before + 1);
    lab.snapshot();
    assert_eq!(warnings(&lab), before + 1, "it is reported once");
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    assert!(jerry.key.do_authentication(origin(), ceremony.webauthn).is_err());
    drop(olga);
}

#[test]
fn an_invite_for_another_user_vouches_for_nobody() {
    let (lab, _, _) = Lab::with_jerry();
    tamper(&lab, |registration| {
        if let Link::Invite { invite, .. } = &mut registration.link {
            invite.token_sha256 = Digest::from_bytes([7; 32]);
        }
    });
    assert!(!counts(&lab));
}

#[test]
fn another_key_under_a_users_name_is_not_used() {
    let (lab, mut olga, jerry) = Lab::with_jerry();
    // Jerry's key takes the place of olga's in the state that the library reads.
    let state = lab.store.list("credential-state/jerry/", 0).unwrap().remove(0).1.value;
    let (key, _) = lab.store.list("credential-state/olga/", 0).unwrap().remove(0);
    lab.store.put(&key, &state, None).unwrap();
    lab.snapshot();
    let ceremony = lab.login_begin("olga", PASSWORD).unwrap();
    let mut thief = jerry.cloned();
    assert!(thief.key.do_authentication(origin(), ceremony.webauthn.clone()).is_err());
    assert!(olga.key.do_authentication(origin(), ceremony.webauthn).is_err());
}

#[test]
fn a_retired_key_that_is_put_back_counts_for_nothing() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let (old_key, old) = lab.store.list("registration/jerry/", 0).unwrap().remove(0);
    let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
    lab.enrol(&invite).unwrap();
    lab.store.put(&old_key, &old.value, None).unwrap();
    let snapshot = lab.authority.snapshot().unwrap();
    assert_eq!(snapshot.registrations().of(&"jerry".parse().unwrap()).len(), 1);
    let retired: Registration = serde_json::from_slice(&old.value).unwrap();
    assert!(snapshot.registrations().credential(&retired.user, &retired.credential_id).is_none());
}

#[test]
fn without_the_pin_nothing_counts() {
    let (lab, _, _) = Lab::with_jerry();
    let reopened = lab.reopened();
    let snapshot = reopened.snapshot().unwrap();
    assert_eq!(snapshot.registrations().iter().count(), 0);
}

#[test]
fn the_authorities_are_the_same_after_a_restart() {
    let lab = Lab::new();
    let reopened = lab.reopened();
    assert_eq!(reopened.gate_fingerprint(), lab.authority.gate_fingerprint());
    assert_eq!(reopened.target_ca_line().unwrap(), lab.authority.target_ca_line().unwrap());
    let (first, second) = (lab.authority.host_ssh().unwrap(), reopened.host_ssh().unwrap());
    assert_eq!(first.0.public_key(), second.0.public_key());
    assert_eq!(first.1.valid_principals(), ["localhost", "127.0.0.1", "lab.example.com"]);
    assert_eq!(lab.authority.host_tls(&[]).unwrap().0.len(), 2);
}
