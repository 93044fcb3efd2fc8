//! What the authorities refuse to issue, and that their stored parts are the same authority again.

use std::time::Duration;

use ssh_key::PrivateKey;
use ssh_key::certificate::CertType;
use tapgate_model::{SessionId, UnixTime};
use tapgate_proof::{Proof, Purpose, Statement};

use super::{Gate, HOUR, MINUTE, NOW, ann, key, login, spki, target};
use crate::{
    CaKind, IssueError, LoginSubject, Permit, SessionSubject, SshCa, SshSessionSubject, TargetSubject, X509Ca,
    gate_pin, limits, ssh_key_pkcs8,
};

#[test]
fn a_login_lasts_twelve_hours_at_most() {
    let (gate, spki_der) = (Gate::new(), &spki(&key(1)));
    let issue = |expires| {
        let subject = LoginSubject { user: &ann(), spki_der, source_ip: None, expires };
        gate.login.issue_login(&subject, &gate.pin, NOW)
    };
    assert!(issue(NOW.plus(limits::LOGIN_MAX)).is_ok());
    assert_eq!(issue(NOW.plus(limits::LOGIN_MAX + Duration::from_secs(1))), Err(too_long(limits::LOGIN_MAX)));
    assert_eq!(issue(UnixTime::from_secs(u64::MAX)), Err(too_long(limits::LOGIN_MAX)));
    assert_eq!(issue(NOW), Err(IssueError::Past));
}

#[test]
fn a_session_certificate_lasts_five_minutes_and_not_beyond_the_login() {
    let (gate, key) = (Gate::new(), key(1));
    let issue = |not_after, login_expires| {
        let subject =
            SessionSubject { user: &ann(), spki_der: &spki(&key), proof: &gate.proof(None), login_expires, not_after };
        let certificate = gate.session.issue_session(&subject, &gate.pin, NOW)?;
        Ok(gate.trust().verify_x509(&certificate, &[], NOW).unwrap().not_after())
    };
    let (window, login_end) = (NOW.plus(limits::SESSION_MAX), NOW.plus(HOUR));
    assert_eq!(issue(window, login_end), Ok(window));
    assert_eq!(issue(window, NOW.plus(MINUTE)), Ok(NOW.plus(MINUTE)));
    assert_eq!(issue(window.plus(Duration::from_secs(1)), login_end), Err(too_long(limits::SESSION_MAX)));
    assert_eq!(issue(window, NOW.plus(24 * HOUR)), Err(too_long(limits::LOGIN_MAX)));
    assert_eq!(issue(NOW.minus(MINUTE), login_end), Err(IssueError::Past));
    assert_eq!(issue(window, NOW), Err(IssueError::Past));
}

#[test]
fn a_tap_of_somebody_else_is_not_certified() {
    let (gate, other, key) = (Gate::new(), Gate::new(), key(1));
    let subject = |user, proof| SessionSubject {
        user,
        spki_der: &[],
        proof,
        login_expires: NOW.plus(HOUR),
        not_after: NOW.plus(MINUTE),
    };
    let (ann, bob) = (ann(), "bob".parse().unwrap());
    let proof = gate.proof(None);
    let spki_der = &spki(&key);
    let mallory = SessionSubject { spki_der, ..subject(&bob, &proof) };
    let error = gate.session.issue_session(&mallory, &gate.pin, NOW).unwrap_err();
    assert_eq!(error, IssueError::Proof("it is another user's"));
    let foreign = other.proof(None);
    let error = gate.session.issue_session(&subject(&ann, &foreign), &gate.pin, NOW).unwrap_err();
    assert_eq!(error, IssueError::Proof("it is for another gate"));
    let mut add_device = gate.proof(None).statement().unwrap().into_parts();
    add_device.purpose = Purpose::AddDevice;
    (add_device.action, add_device.targets) = (Some(gate.pin), vec![]);
    let add_device = Proof { statement: Statement::new(add_device).unwrap().to_der(), ..gate.proof(None) };
    let error = gate.session.issue_session(&subject(&ann, &add_device), &gate.pin, NOW).unwrap_err();
    assert_eq!(error, IssueError::Proof("it is not for a session"));
    let mut torn = gate.proof(None);
    torn.statement.pop();
    let error = gate.session.issue_session(&subject(&ann, &torn), &gate.pin, NOW).unwrap_err();
    assert_eq!(error, IssueError::Proof("its statement cannot be read"));
}

#[test]
fn only_the_keys_of_the_profile_are_certified() {
    let gate = Gate::new();
    let issue = |spki_der: &[u8]| {
        let subject = LoginSubject { user: &ann(), spki_der, source_ip: None, expires: NOW.plus(HOUR) };
        gate.login.issue_login(&subject, &gate.pin, NOW).map(drop)
    };
    assert_eq!(issue(&spki(&key(1))), Ok(()));
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let p256 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    assert_eq!(issue(&rcgen::PublicKeyData::subject_public_key_info(&p256)), Ok(()));
    assert_eq!(issue(&rcgen::PublicKeyData::subject_public_key_info(&p384)), Err(IssueError::Key));
    assert_eq!(issue(&[]), Err(IssueError::Key));
    assert_eq!(issue(&[spki(&key(1)), vec![0]].concat()), Err(IssueError::Key));
}

#[test]
fn each_authority_signs_its_own_kind() {
    let (gate, key) = (Gate::new(), key(1));
    let subject = LoginSubject { user: &ann(), spki_der: &spki(&key), source_ip: None, expires: NOW.plus(HOUR) };
    let error = gate.session.issue_login(&subject, &gate.pin, NOW).unwrap_err();
    assert_eq!(error, IssueError::WrongCa { ca: CaKind::Session, due: CaKind::Login });
    assert!(gate.login.issue_host(&["localhost".to_owned()], NOW).is_err());
    assert!(gate.login_ssh.issue_host(key.public_key(), &["localhost".to_owned()], NOW).is_err());
    for kind in CaKind::ALL {
        assert_eq!(X509Ca::generate(kind, "demo", NOW).is_ok(), !kind.is_ssh(), "{kind}");
        assert_eq!(SshCa::generate(kind, "demo", NOW).is_ok(), kind.is_ssh(), "{kind}");
    }
}

#[test]
fn stored_parts_are_the_same_authority() {
    let (gate, key) = (Gate::new(), key(1));
    let (certificate, pkcs8) = gate.login.to_parts();
    let login_ca = X509Ca::from_parts(CaKind::Login, certificate.clone(), &pkcs8).unwrap();
    let subject = LoginSubject { user: &ann(), spki_der: &spki(&key), source_ip: None, expires: NOW.plus(HOUR) };
    let issued = login_ca.issue_login(&subject, &gate.pin, NOW).unwrap();
    assert!(gate.trust().verify_x509(&issued, &[], NOW).is_ok());

    let (_, other) = gate.session.to_parts();
    let error = X509Ca::from_parts(CaKind::Login, certificate, &other).unwrap_err();
    assert_eq!(error, IssueError::Parts("the certificate is of another key"));

    let ssh = SshCa::from_parts(CaKind::LoginSsh, &gate.login_ssh.to_parts().unwrap()).unwrap();
    assert_eq!(ssh.public_key(), gate.login_ssh.public_key());
    assert!(SshCa::from_parts(CaKind::Login, &gate.login_ssh.to_parts().unwrap()).is_err());
    assert!(!format!("{ssh:?} {login_ca:?}").contains("PRIVATE"));
}

#[test]
fn a_target_certificate_is_short_and_says_who_is_behind_it() {
    let ca = SshCa::generate(CaKind::TargetSsh, "demo", NOW).unwrap();
    let (key, login, user) = (key(1), login("jerry"), ann());
    let session = SessionId::from_bytes([9; 16]);
    let permits = &[Permit::Pty, Permit::PortForwarding];
    let subject = TargetSubject { public_key: key.public_key(), login: &login, user: &user, session, permits };
    let certificate = ca.issue_target(&subject, NOW).unwrap();
    assert_eq!(certificate.cert_type(), CertType::User);
    assert_eq!(certificate.valid_principals(), ["jerry"]);
    assert_eq!(certificate.key_id(), format!("ann@{session}"));
    assert_eq!(certificate.valid_before(), NOW.plus(5 * MINUTE).as_secs());
    assert!(certificate.critical_options().is_empty());
    let permitted: Vec<_> = certificate.extensions().keys().map(String::as_str).collect();
    assert_eq!(permitted, ["permit-port-forwarding", "permit-pty"]);
    assert_eq!(certificate.signature_key(), ca.public_key().key_data());
}

#[test]
fn a_host_certificate_names_hosts() {
    let ca = SshCa::generate(CaKind::HostSsh, "demo", NOW).unwrap();
    let key = key(1);
    let issue = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        ca.issue_host(key.public_key(), &names, NOW)
    };
    let certificate = issue(&["gate.example", "192.0.2.1", "::1"]).unwrap();
    assert_eq!(certificate.cert_type(), CertType::Host);
    assert_eq!(certificate.valid_principals(), ["gate.example", "192.0.2.1", "::1"]);
    for bad in [&[][..], &["a,b"], &["*"], &[""], &["a b"], &["x"; limits::NAMES_MAX + 1]] {
        assert!(matches!(issue(bad), Err(IssueError::Names(_))), "{bad:?}");
    }
}

#[test]
fn session_principals_are_neither_absent_nor_too_many() {
    let (gate, key, user) = (Gate::new(), key(1), ann());
    let proof = gate.proof(None);
    let issue = |logins: &[_]| {
        let subject = SshSessionSubject {
            user: &user,
            public_key: key.public_key(),
            logins,
            proof: &proof,
            login_expires: NOW.plus(HOUR),
            not_after: NOW.plus(MINUTE),
        };
        let issued = gate.session_ssh.issue_session(&subject, &gate.pin, NOW);
        issued.map(|certificate| certificate.valid_principals().to_vec())
    };
    let one = (login("jerry"), target("prod3"));
    assert_eq!(issue(&[]), Ok(vec!["-".to_owned()]), "a tap for no node: good for no login, and never for all");
    assert_eq!(issue(&vec![one.clone(); limits::NAMES_MAX + 1]), Err(IssueError::Names("there are too many")));
    assert_eq!(issue(&[one]), Ok(vec!["jerry@prod3".to_owned()]));
}

#[test]
fn the_pin_is_the_host_key() {
    let gate = Gate::new();
    assert_eq!(gate_pin(gate.host.certificate()), Ok(gate.pin));
    assert!(gate_pin(&vec![0x30, 0].into()).is_err());
}

#[test]
fn an_ssh_key_serves_tls() {
    let key: PrivateKey = key(3);
    let pkcs8 = ssh_key_pkcs8(&key).unwrap();
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).unwrap();
    let public = aws_lc_rs::signature::KeyPair::public_key(&pair);
    assert!(spki(&key).ends_with(public.as_ref()));
}

fn too_long(max: Duration) -> IssueError {
    IssueError::TooLong { max_seconds: max.as_secs() }
}
