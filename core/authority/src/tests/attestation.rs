//! Attested keys: a maker's word that leads to a listed authority, and what it opens.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_cbor_2::Value;
use tapgate_api::{Assertion, DeviceBegin, DeviceRegister};
use tapgate_model::{Kind, Login};
use tapgate_proof::Registration;
use tapgate_session::{Ask, ConnectionFacts, Door, Gate, ProtocolName, Verdict};
use tapgate_store::Store;
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softpasskey::SoftPasskey;
use webauthn_authenticator_rs::softtoken::{AAGUID, SoftToken};
use webauthn_rs_proto::UserVerificationPolicy;

use super::lab::{Lab, PASSWORD, Person, RESOURCES, origin, peer};
use crate::Fault;

/// The certificate of the authority that has vouched for a software key, as an operator writes it.
fn ca_of(key: &SoftToken) -> String {
    let Value::Map(fields) = serde_cbor_2::from_slice(&key.to_cbor().unwrap()).unwrap() else { panic!("no map") };
    let der = match &fields[&Value::Text("ca_cert".to_owned())] {
        Value::Bytes(der) => der.clone(),
        Value::Text(text) => URL_SAFE_NO_PAD.decode(text).unwrap(),
        other => panic!("no certificate: {other:?}"),
    };
    let lines: Vec<_> =
        STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", lines.join("\n"))
}

fn preference(allowed: &[&SoftToken], denied: &[&SoftToken], aaguids: &[&str]) -> String {
    let mut text = "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  \
                    webauthn:\n    rp_id: localhost\n"
        .to_owned();
    for (field, keys) in [("attestation_allowed_cas", allowed), ("attestation_denied_cas", denied)] {
        if !keys.is_empty() {
            writeln!(text, "    {field}:").unwrap();
        }
        for key in keys {
            writeln!(text, "      - |\n        {}", ca_of(key).replace('\n', "\n        ")).unwrap();
        }
    }
    if !aaguids.is_empty() {
        writeln!(text, "    allowed_aaguids: {aaguids:?}").unwrap();
    }
    text
}

fn put(lab: &Lab, yaml: &str) {
    lab.authority.put_resources_trusted(yaml).unwrap();
}

fn role(mfa: &str) -> String {
    RESOURCES.replacen("require_session_mfa: true", &format!("require_session_mfa: {mfa}"), 1)
}

/// Jerry adds this key with his other one.
fn add(lab: &Lab, jerry: &mut Person, key: &mut impl WebauthnAuthenticator) -> Result<(), Fault> {
    let identity = lab.login(jerry);
    let begin = DeviceBegin { name: "new".to_owned(), passwordless: false };
    let challenge = lab.authority.device_begin(&identity, &begin, peer())?;
    let webauthn = key.do_registration(origin(), challenge.webauthn).unwrap();
    let ceremony = lab.authority.device_register(&identity, &DeviceRegister { id: challenge.id, webauthn }, peer())?;
    lab.authority.device_finish(&identity, &jerry.tap(ceremony), peer()).map(drop)
}

fn registrations(lab: &Lab) -> Vec<Registration> {
    let stored = lab.store.list("registration/jerry/", 0).unwrap();
    stored.into_iter().map(|(_, entry)| serde_json::from_slice(&entry.value).unwrap()).collect()
}

fn is_attested(lab: &Lab, person: &mut Person) -> Vec<bool> {
    let identity = lab.login(person);
    lab.authority.devices(&identity, peer()).unwrap().devices.iter().map(|device| device.attested).collect()
}

/// What the gate itself says of a session certificate.
fn verdict(lab: &Lab, gate: &Gate, pem: &str) -> Verdict {
    let identity = Arc::new(lab.identity(pem));
    let facts = ConnectionFacts {
        peer: (peer(), 4022).into(),
        door: Door::Certificate,
        protocol: ProtocolName::Ssh,
        holder: None,
    };
    let (target, login) = ("prod3".parse().unwrap(), Login::Unix("jerry".parse().unwrap()));
    gate.check(&Ask { identity: &identity, kind: Kind::Node, target: &target, login: &login, connection: &facts })
}

fn attested_person(lab: &Lab, jerry: &mut Person, verifies: bool) -> Person {
    let key = SoftToken::new(verifies).unwrap().0;
    put(lab, &preference(&[&key], &[], &[&AAGUID.to_string()]));
    let mut new = Person { name: "jerry".to_owned(), key };
    add(lab, jerry, &mut new.key).unwrap();
    new
}

#[test]
fn a_makers_word_is_asked_for_where_the_operator_wants_it_and_kept_with_the_key() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let asked = |lab: &Lab, jerry: &mut Person| {
        let identity = lab.login(jerry);
        let begin = DeviceBegin { name: "x".to_owned(), passwordless: false };
        let challenge = lab.authority.device_begin(&identity, &begin, peer()).unwrap();
        serde_json::to_value(&challenge.webauthn).unwrap().pointer("/publicKey/attestation").unwrap().clone()
    };
    assert_eq!(asked(&lab, &mut jerry), "none");
    attested_person(&lab, &mut jerry, true);
    assert_eq!(asked(&lab, &mut jerry), "direct");
    let kept: Vec<_> = registrations(&lab).into_iter().filter_map(|r| r.traits.attested).collect();
    assert_eq!(kept.iter().map(|by| by.aaguid).collect::<Vec<_>>(), [*AAGUID.as_bytes()]);
    assert_eq!(is_attested(&lab, &mut jerry), [false, true]);
    // It counts after a restart, and it is part of what jerry's other key vouched for.
    lab.snapshot();
    assert_eq!(lab.authority.snapshot().unwrap().registrations().of(&"jerry".parse().unwrap()).len(), 2);
    for (key, entry) in lab.store.list("registration/jerry/", 0).unwrap() {
        let mut registration: Registration = serde_json::from_slice(&entry.value).unwrap();
        if let Some(by) = &mut registration.traits.attested {
            by.aaguid = [9; 16];
            lab.store.put(&key, &serde_json::to_vec(&registration).unwrap(), None).unwrap();
        }
    }
    lab.snapshot();
    assert_eq!(is_attested(&lab, &mut jerry), [false], "who changes the model has broken the chain");
}

#[test]
fn keys_that_nobody_who_counts_vouches_for_are_refused() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let (good, other) = (SoftToken::new(true).unwrap().0, SoftToken::new(true).unwrap().0);
    let refused = |lab: &Lab, jerry: &mut Person, key: &mut SoftToken| add(lab, jerry, key).unwrap_err().to_string();
    put(&lab, &preference(&[&good], &[], &[]));
    let mut foreign = SoftToken::new(true).unwrap().0;
    assert!(refused(&lab, &mut jerry, &mut foreign).starts_with("nobody whose word counts here vouches for this key"));
    // A platform's passkey says nothing of its maker.
    let said = add(&lab, &mut jerry, &mut SoftPasskey::new(true)).unwrap_err();
    assert!(said.to_string().starts_with("nobody whose word counts here"), "{said}");
    put(&lab, &preference(&[&good], &[], &["ee882879-721c-4913-9775-3dfcce97072a"]));
    let mut good = good;
    assert_eq!(
        refused(&lab, &mut jerry, &mut good),
        "keys of this model are not accepted here (use a security key that your administrator names)"
    );
    put(&lab, &preference(&[&good], &[&good], &[]));
    assert!(refused(&lab, &mut jerry, &mut good).starts_with("the maker of this key is not accepted here"));
    // Where some are denied and none is allowed, every other key will do, and none counts as attested.
    put(&lab, &preference(&[], &[&other], &[]));
    let mut other = other;
    assert!(refused(&lab, &mut jerry, &mut other).starts_with("the maker of this key is not accepted here"));
    add(&lab, &mut jerry, &mut good).unwrap();
    assert_eq!(is_attested(&lab, &mut jerry), [false, false]);
    // An invite brings in no other keys than these either.
    put(&lab, &preference(&[&good], &[], &[]));
    let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
    assert_eq!(lab.enrol(&invite).err().unwrap().status, 400);
    lab.enrol_key(&invite, &mut good).unwrap();
    assert!(registrations(&lab).iter().all(|registration| registration.traits.attested.is_some()));
}

#[test]
fn what_demands_attested_hardware_is_refused_to_any_other_key() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let gate = lab.gate();
    // A certificate of a plain key, from before the role was made strict.
    let identity = lab.login(&mut jerry);
    let before = lab.session(&gate, &identity, &mut jerry).unwrap();
    assert!(matches!(verdict(&lab, &gate, &before.tls_certificate), Verdict::Grant(_)));
    put(&lab, &role("hardware_key_attested"));
    gate.install(lab.authority.snapshot().unwrap());
    let Verdict::Challenge(challenge) = verdict(&lab, &gate, &before.tls_certificate) else { panic!("it is refused") };
    assert!(challenge.reason().contains("has not verified its user"), "{}", challenge.reason());
    let refused = lab.session_begin(&gate, &identity).unwrap_err();
    assert!(refused.to_string().starts_with("MFA by an attested security key is required"), "{refused}");

    // With a maker's word it opens, and stops to when the maker is taken off the list.
    let mut hard = attested_person(&lab, &mut jerry, true);
    gate.install(lab.authority.snapshot().unwrap());
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    let asked = &ceremony.webauthn.public_key;
    assert_eq!((asked.allow_credentials.len(), asked.user_verification), (1, UserVerificationPolicy::Required));
    let answer = hard.tap(ceremony);
    let certificates = lab.authority.session_finish(&gate, &identity, &answer, peer()).unwrap();
    assert!(matches!(verdict(&lab, &gate, &certificates.tls_certificate), Verdict::Grant(_)));
    let another = SoftToken::new(true).unwrap().0;
    put(&lab, &preference(&[&another], &[], &[]));
    gate.install(lab.authority.snapshot().unwrap());
    let Verdict::Challenge(challenge) = verdict(&lab, &gate, &certificates.tls_certificate) else {
        panic!("it is over")
    };
    assert_eq!(challenge.reason(), "no maker that counts here has vouched for the security key");
    assert_eq!(lab.session_begin(&gate, &identity).unwrap_err().status, 403);
}

#[test]
fn a_touch_of_an_attested_key_does_where_a_pin_would_and_a_touch_of_another_does_not() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    put(&lab, &role("hardware_key_touch"));
    let gate = lab.gate();
    let identity = lab.login(&mut jerry);
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    assert_eq!(ceremony.webauthn.public_key.user_verification, UserVerificationPolicy::Required);
    // A key without a PIN, and a maker who vouches for it.
    let mut touched = attested_person(&lab, &mut jerry, false);
    gate.install(lab.authority.snapshot().unwrap());
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    assert_eq!(ceremony.webauthn.public_key.user_verification, UserVerificationPolicy::Preferred);
    let own = lab.authority.session_finish(&gate, &identity, &touched.tap(ceremony), peer()).unwrap();
    assert!(matches!(verdict(&lab, &gate, &own.tls_certificate), Verdict::Grant(_)));
    // The other one was asked for the same, and gives a touch alone.
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    let refused = lab.authority.session_finish(&gate, &identity, &jerry.tap(ceremony), peer()).unwrap_err();
    assert!(refused.to_string().starts_with("the tap is not strict enough"), "{refused}");
    // With a PIN demanded, the maker's word is not enough.
    put(&lab, &role("hardware_key_pin"));
    gate.install(lab.authority.snapshot().unwrap());
    assert!(matches!(verdict(&lab, &gate, &own.tls_certificate), Verdict::Challenge(_)));
}

#[test]
fn lists_that_make_no_sense_change_nothing() {
    let (lab, _, _) = Lab::with_jerry();
    let key = SoftToken::new(true).unwrap().0;
    let whole = preference(&[&key], &[], &[]);
    let der = STANDARD.encode([&[0x30, 0x82, 0x01, 0x00][..], &[0; 256]].concat());
    let cases = [
        (whole.replace("BEGIN CERT", "BEGIN PUBLIC"), "must be one certificate in PEM"),
        (whole.replace(&ca_of(&key).replace('\n', "\n        "), "/etc/ca.pem"), "must be one certificate in PEM"),
        (whole.clone() + "    allowed_aaguids: [yubikey]\n", "a model is written like"),
        (preference(&[], &[], &["ee882879-721c-4913-9775-3dfcce97072a"]), "needs `attestation_allowed_cas`"),
        (
            whole.replace(
                &ca_of(&key).replace('\n', "\n        "),
                &format!("-----BEGIN CERTIFICATE-----{der}-----END CERTIFICATE-----"),
            ),
            "can't be read",
        ),
    ];
    for (yaml, expect) in cases {
        let error = lab.authority.put_resources_trusted(&yaml).unwrap_err().to_string();
        assert!(error.contains(expect), "{expect}: {error}");
    }
    lab.authority.put_resources_trusted(&whole).unwrap();
}

#[test]
fn a_key_that_counts_backwards_is_refused_flagged_and_vouches_for_nothing() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let mut copy = jerry.cloned();
    lab.login(&mut jerry);
    lab.login(&mut jerry);
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    let behind = copy.tap(ceremony);
    assert_eq!(lab.authority.login_finish(&behind, peer()).unwrap_err().status, 401);
    assert!(lab.sink.names().contains(&"security.warning"));
    // The owner's own goes on, is told, and brings in no other key.
    let identity = lab.login(&mut jerry);
    let listed = lab.authority.devices(&identity, peer()).unwrap().devices;
    assert!(listed[0].copied);
    let refused = add(&lab, &mut jerry, &mut SoftToken::new(true).unwrap().0).unwrap_err();
    assert!(refused.to_string().starts_with("your security key counted backwards"), "{refused}");
    // An administrator's reset ends it.
    let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
    let (mut anew, _) = lab.enrol(&invite).unwrap();
    let identity = lab.login(&mut anew);
    assert!(!lab.authority.devices(&identity, peer()).unwrap().devices[0].copied);
}

#[test]
fn a_key_that_is_flagged_between_the_question_and_the_tap_vouches_for_nothing() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut copy = jerry.cloned();
    let identity = lab.login(&mut jerry);
    let begin = DeviceBegin { name: "new".to_owned(), passwordless: false };
    let challenge = lab.authority.device_begin(&identity, &begin, peer()).unwrap();
    let webauthn = SoftToken::new(true).unwrap().0.do_registration(origin(), challenge.webauthn).unwrap();
    let ceremony =
        lab.authority.device_register(&identity, &DeviceRegister { id: challenge.id, webauthn }, peer()).unwrap();
    let Assertion { id, webauthn } = jerry.tap(ceremony);
    let other = lab.login_begin("jerry", PASSWORD).unwrap();
    assert!(lab.authority.login_finish(&copy.tap(other), peer()).is_err());
    assert_eq!(lab.authority.device_finish(&identity, &Assertion { id, webauthn }, peer()).unwrap_err().status, 403);
}
