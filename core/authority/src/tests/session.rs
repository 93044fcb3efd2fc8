//! Session certificates: the tap names target and key, and nobody else finishes it.

use std::sync::Arc;
use std::time::Duration;

use tapgate_api::{AdminAction, Requirement};
use tapgate_identity::Credential;
use tapgate_model::{Clock, Kind, Login};
use tapgate_session::{Ask, ConnectionFacts, Door, ProtocolName, Spender, Verdict};

use super::lab::{Lab, peer, public_key, wish};
use crate::token;

fn opens(lab: &Lab, gate: &tapgate_session::Gate, pem: &str, target: &str) -> bool {
    let identity = Arc::new(lab.identity(pem));
    let connection = ConnectionFacts {
        peer: (peer(), 4022).into(),
        door: Door::Certificate,
        protocol: ProtocolName::Ssh,
        holder: None,
    };
    let (target, login) = (target.parse().unwrap(), Login::Unix("jerry".parse().unwrap()));
    let ask = Ask { identity: &identity, kind: Kind::Node, target: &target, login: &login, connection: &connection };
    matches!(gate.check(&ask), Verdict::Grant(_))
}

#[test]
fn a_tap_yields_certificates_that_open_the_session() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let certificates = lab.session(&gate, &identity, &mut jerry).unwrap();
    assert!(certificates.reusable);
    assert_eq!(certificates.expires, lab.clock.now().as_secs() + 300);
    let session = lab.identity(&certificates.tls_certificate);
    assert_eq!((session.user().as_str(), session.credential()), ("jerry", Credential::Session));
    let ssh = ssh_key::Certificate::from_openssh(&certificates.ssh_certificate).unwrap();
    let trust = lab.authority.trust();
    let ssh = trust.verify_ssh(&ssh, "jerry@prod3", peer(), lab.clock.now()).unwrap();
    assert_eq!(ssh.key(), session.key());
    assert_eq!(*session.key(), token::sha256(&[&token::from_text(&public_key(3)).unwrap()]));
    assert!(opens(&lab, &gate, &certificates.tls_certificate, "prod3"));
    assert!(!opens(&lab, &gate, &certificates.tls_certificate, "stage1"));
}

#[test]
fn a_login_certificate_alone_opens_nothing_that_requires_a_tap() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let login = lab.certificates(&mut jerry).unwrap();
    assert!(!opens(&lab, &lab.gate(), &login.tls_certificate, "prod3"));
}

#[test]
fn where_no_tap_is_due_none_is_asked_for() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let user = "kind: user\nversion: v2\nmetadata:\n  name: jerry\nspec:\n  roles: [staging]\n";
    lab.admin(&mut olga, &AdminAction::PutResources { yaml: user.into(), replace: true }).unwrap();
    let identity = lab.login(&mut jerry);
    let begun = lab.authority.session_begin(&lab.gate(), &identity, &wish("stage1"), peer()).unwrap();
    assert!(matches!(begun, Requirement::None));
}

#[test]
fn unknown_and_forbidden_targets_look_the_same() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let ask = |name: &str| lab.authority.session_begin(&gate, &identity, &wish(name), peer()).unwrap_err();
    let (unknown, forbidden) = (ask("nowhere"), ask("stage1"));
    assert_eq!((unknown.status, &unknown.error.code), (forbidden.status, &forbidden.error.code));
    assert_eq!(unknown.error.message.replace("nowhere", "stage1"), forbidden.error.message);
}

#[test]
fn only_who_began_it_finishes_it() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let gate = lab.gate();
    let (identity, second) = (lab.login(&mut jerry), lab.login(&mut jerry));
    let stranger = lab.login(&mut olga);
    assert_ne!(identity.fingerprint(), second.fingerprint());
    for other in [&second, &stranger] {
        let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
        let answer = jerry.tap(ceremony);
        let fault = lab.authority.session_finish(&gate, other, &answer, peer()).unwrap_err();
        assert_eq!(fault.status, 401);
        // And by trying, the other one has used it up.
        assert_eq!(lab.authority.session_finish(&gate, &identity, &answer, peer()).unwrap_err().status, 410);
    }
}

#[test]
fn a_tap_for_one_purpose_is_none_for_another() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let identity = lab.login(&mut olga);
    let action = AdminAction::DeleteResource { kind: "node".into(), name: "stage1".into() };
    let body = serde_json::to_vec(&action).unwrap();
    let ceremony = lab.authority.admin_begin(&lab.policy(), &identity, &body, peer()).unwrap();
    let fault = lab.authority.session_finish(&lab.gate(), &identity, &olga.tap(ceremony), peer()).unwrap_err();
    assert_eq!(fault.status, 401);
}

#[test]
fn a_tap_is_good_once_and_for_five_minutes() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    let answer = jerry.tap(ceremony);
    lab.authority.session_finish(&gate, &identity, &answer, peer()).unwrap();
    assert_eq!(lab.authority.session_finish(&gate, &identity, &answer, peer()).unwrap_err().status, 410);
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    let answer = jerry.tap(ceremony);
    lab.clock.advance(Duration::from_mins(5));
    assert_eq!(lab.authority.session_finish(&gate, &identity, &answer, peer()).unwrap_err().status, 410);
}

#[test]
fn the_certificates_end_with_the_login() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    lab.clock.advance(Duration::from_secs(8 * 3600 - 100));
    let certificates = lab.session(&gate, &identity, &mut jerry).unwrap();
    assert_eq!(certificates.expires, identity.not_after().as_secs());
    lab.clock.advance(Duration::from_secs(100));
    assert_eq!(lab.session(&gate, &identity, &mut jerry).unwrap_err().status, 401);
}

#[test]
fn what_changed_between_begin_and_finish_is_seen() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    let answer = jerry.tap(ceremony);
    lab.admin(&mut olga, &AdminAction::DeleteResource { kind: "node".into(), name: "prod3".into() }).unwrap();
    gate.install(lab.authority.snapshot().unwrap());
    assert_eq!(lab.authority.session_finish(&gate, &identity, &answer, peer()).unwrap_err().status, 403);
}

#[test]
fn a_role_may_ask_for_one_session_a_pinned_address_and_a_pin() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let role = "\
kind: role
version: v7
metadata:
  name: dev
spec:
  options:
    require_session_mfa: hardware_key_touch
    session_mfa_window: 0s
    pin_source_ip: true
  allow:
    logins: [jerry]
    node_labels: {env: prod}
";
    lab.admin(&mut olga, &AdminAction::PutResources { yaml: role.into(), replace: true }).unwrap();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    assert_eq!(identity.source_ip(), Some(peer()));
    let elsewhere = "198.51.100.1".parse().unwrap();
    let fault = lab.authority.session_begin(&gate, &identity, &wish("prod3"), elsewhere).unwrap_err();
    assert_eq!(fault.status, 401);
    let (ceremony, reusable) = lab.session_begin(&gate, &identity).unwrap();
    assert!(!reusable);
    let required = serde_json::to_value(ceremony.webauthn.public_key.user_verification).unwrap();
    assert_eq!(required, "required");
    let certificates = lab.authority.session_finish(&gate, &identity, &jerry.tap(ceremony), peer()).unwrap();
    assert_eq!(certificates.expires, lab.clock.now().as_secs() + 60);
    let session = lab.identity(&certificates.tls_certificate);
    assert_eq!(session.proof().unwrap().statement().unwrap().parts().source_ip, Some(peer()));
    assert!(opens(&lab, &gate, &certificates.tls_certificate, "prod3"));
}

#[test]
fn a_session_certificate_asks_for_nothing() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let certificates = lab.session(&gate, &identity, &mut jerry).unwrap();
    let session = lab.identity(&certificates.tls_certificate);
    assert_eq!(lab.session(&gate, &session, &mut jerry).unwrap_err().status, 401);
}

#[test]
fn waiting_taps_are_counted() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let begun = (0..40).filter(|_| lab.session_begin(&gate, &identity).is_ok()).count();
    assert_eq!(begun, crate::limits::CEREMONIES_MAX);
    assert_eq!(lab.session_begin(&gate, &identity).unwrap_err().status, 429);
    lab.clock.advance(Duration::from_mins(5));
    assert!(lab.session_begin(&gate, &identity).is_ok());
    assert!(lab.authority.sweep().unwrap() >= 64);
}

#[tokio::test]
async fn a_proof_is_spent_once() {
    let lab = tokio::task::spawn_blocking(Lab::new).await.unwrap();
    let (proof, until) = (token::sha256(&[b"proof"]), lab.clock.now().plus(Duration::from_mins(1)));
    let spent = futures::future::join_all((0..16).map(|_| lab.authority.spend(proof, until))).await;
    assert_eq!(spent.iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
    lab.clock.advance(Duration::from_secs(100));
    assert!(!lab.authority.spend(proof, until).await.unwrap());
}
