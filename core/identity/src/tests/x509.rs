//! X.509 certificates that are let in, and every way in which one is not.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer,
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tapgate_model::{Digest, UnixTime};

use super::{Gate, HOUR, MINUTE, NOW, ann, key, refused, spki};
use crate::payload::Payload;
use crate::{CaKind, Credential, IdentityError, LoginSubject, SessionSubject, X509Ca, limits, oid};

/// An authority's key in other hands: it signs whatever it is told.
pub(super) fn forger(ca: &X509Ca) -> Issuer<'static, KeyPair> {
    let (certificate, pkcs8) = ca.to_parts();
    let pkcs8 = PrivatePkcs8KeyDer::from(pkcs8.to_vec());
    let algorithm = if ca.kind() == CaKind::Host { &PKCS_ECDSA_P256_SHA256 } else { &PKCS_ED25519 };
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, algorithm).unwrap();
    Issuer::from_ca_cert_der(&certificate, pair).unwrap()
}

/// What a right certificate holds, to be bent afterwards.
pub(super) fn right(payload: &Payload, credential: Credential) -> CertificateParams {
    let (usage, life) = match credential {
        Credential::Login | Credential::SshKey => (oid::LOGIN_USAGE, 8 * HOUR),
        Credential::Session => (oid::SESSION_USAGE, 5 * MINUTE),
    };
    let uri = format!("tapgate://{}/user/{}/{}", payload.gate, payload.user, credential.as_str());
    let mut params = CertificateParams::default();
    live(&mut params, NOW.minus(limits::SKEW), NOW.plus(life));
    params.distinguished_name.push(DnType::CommonName, payload.user.as_str());
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages = vec![Usage::ClientAuth, Usage::Other(usage.to_vec())];
    params.custom_extensions = vec![CustomExtension::from_oid_content(oid::PAYLOAD, payload.to_der().unwrap())];
    params
}

pub(super) fn live(params: &mut CertificateParams, from: UnixTime, until: UnixTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.as_secs());
    params.not_after = epoch + Duration::from_secs(until.as_secs());
}

fn sign(
    ca: &X509Ca,
    payload: &Payload,
    credential: Credential,
    bend: impl FnOnce(&mut CertificateParams),
) -> CertificateDer<'static> {
    let mut params = right(payload, credential);
    bend(&mut params);
    params.signed_by(&subject_key(), &forger(ca)).unwrap().into()
}

/// The key that certificates here are for.
pub(super) fn subject_key() -> KeyPair {
    let pkcs8 = crate::ssh_key_pkcs8(&key(1)).unwrap();
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8.to_vec()), &PKCS_ED25519).unwrap()
}

impl Gate {
    pub(super) fn session_payload(&self) -> Payload {
        Payload::session(self.pin, &ann(), NOW.plus(8 * HOUR), &self.proof(None)).unwrap()
    }

    pub(super) fn login_payload(&self) -> Payload {
        Payload::login(self.pin, &ann(), NOW.plus(8 * HOUR), None)
    }

    /// A session certificate that the session authority's own key signed, bent.
    pub(super) fn bent(&self, bend: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        sign(&self.session, &self.session_payload(), Credential::Session, bend)
    }
}

#[test]
fn a_login_certificate() {
    let (gate, key) = (Gate::new(), key(1));
    let ip: IpAddr = [192, 0, 2, 7].into();
    let expires = NOW.plus(8 * HOUR);
    let subject = LoginSubject { user: &ann(), spki_der: &spki(&key), source_ip: Some(ip), expires };
    let certificate = gate.login.issue_login(&subject, &gate.pin, NOW).unwrap();
    let identity = gate.trust().verify_x509(&certificate, &[], NOW).unwrap();
    assert_eq!(*identity.user(), ann());
    assert_eq!(identity.credential(), Credential::Login);
    assert_eq!((identity.login_expires(), identity.not_after()), (expires, expires));
    assert_eq!(identity.source_ip(), Some(ip));
    assert!(identity.proof().is_none());
}

#[test]
fn a_session_certificate() {
    let (gate, key) = (Gate::new(), key(1));
    let ip: IpAddr = "2001:db8::7".parse().unwrap();
    let proof = gate.proof(Some(ip));
    let subject = SessionSubject {
        user: &ann(),
        spki_der: &spki(&key),
        proof: &proof,
        login_expires: NOW.plus(HOUR),
        not_after: NOW.plus(4 * MINUTE),
    };
    let certificate = gate.session.issue_session(&subject, &gate.pin, NOW).unwrap();
    let with_its_ca = [gate.session.certificate().clone()];
    let identity = gate.trust().verify_x509(&certificate, &with_its_ca, NOW).unwrap();
    assert_eq!(identity.credential(), Credential::Session);
    assert_eq!((identity.login_expires(), identity.not_after()), (NOW.plus(HOUR), NOW.plus(4 * MINUTE)));
    assert_eq!(identity.source_ip(), Some(ip));
    assert_eq!(identity.proof().map(|proof| proof.to_der().unwrap()), Some(proof.to_der().unwrap()));
}

#[test]
fn the_unbent_certificate_is_right() {
    let gate = Gate::new();
    assert!(gate.trust().verify_x509(&gate.bent(|_| ()), &[], NOW).is_ok());
}

#[test]
fn time() {
    let gate = Gate::new();
    let (trust, certificate) = (gate.trust(), gate.session(&key(1)));
    let at = |now| trust.verify_x509(&certificate, &[], now);
    assert_eq!(refused(at(NOW.minus(limits::SKEW + Duration::from_secs(1)))), IdentityError::NotYetValid);
    assert!(at(NOW.minus(limits::SKEW)).is_ok());
    assert!(at(NOW.plus(5 * MINUTE)).is_ok());
    assert_eq!(refused(at(NOW.plus(5 * MINUTE + Duration::from_secs(1)))), IdentityError::Expired);
}

#[test]
fn foreign_authorities() {
    let (gate, other, key) = (Gate::new(), Gate::new(), key(1));
    let check = |trust: &crate::Trust, certificate: &CertificateDer<'_>, expect: IdentityError| {
        assert_eq!(refused(trust.verify_x509(certificate, &[], NOW)), expect);
    };
    // The authorities have the same names, so the signature has to tell them apart.
    check(&gate.trust(), &other.session(&key), IdentityError::Signature);
    check(&gate.trust(), &other.login(&key), IdentityError::Signature);
    let (host, _) = gate.host.issue_host(&["gate.example".to_owned()], NOW).unwrap();
    check(&gate.trust(), &host, IdentityError::UnknownCa);
    let own: CertificateDer<'_> =
        right(&gate.session_payload(), Credential::Session).self_signed(&subject_key()).unwrap().into();
    check(&gate.trust(), &own, IdentityError::UnknownCa);
    check(&gate.trust(), gate.session.certificate(), IdentityError::Inconsistent("it is an authority's own"));
    let payload = Payload { gate: other.pin, ..gate.session_payload() };
    check(&gate.trust(), &sign(&gate.session, &payload, Credential::Session, |_| ()), IdentityError::OtherGate);
}

#[test]
fn a_certificate_signed_by_a_certificate() {
    let gate = Gate::new();
    let trust = gate.trust();
    let plain = gate.session(&key(1));
    let authority = gate.bent(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    for signer in [plain, authority] {
        let issuer = Issuer::from_ca_cert_der(&signer, subject_key()).unwrap();
        let params = right(&gate.session_payload(), Credential::Session);
        let leaf: CertificateDer<'_> = params.signed_by(&subject_key(), &issuer).unwrap().into();
        assert_eq!(refused(trust.verify_x509(&leaf, &[], NOW)), IdentityError::UnknownCa);
        assert_eq!(refused(trust.verify_x509(&leaf, &[signer], NOW)), IdentityError::Chain);
    }
}

#[test]
fn usage() {
    let gate = Gate::new();
    let trust = gate.trust();
    let own = || Usage::Other(oid::SESSION_USAGE.to_vec());
    let login = || Usage::Other(oid::LOGIN_USAGE.to_vec());
    let check = |usages: Vec<Usage>| {
        let certificate = gate.bent(|params| params.extended_key_usages = usages.clone());
        assert_eq!(refused(trust.verify_x509(&certificate, &[], NOW)), IdentityError::Usage, "{usages:?}");
    };
    check(vec![]);
    check(vec![Usage::ClientAuth]);
    check(vec![own()]);
    check(vec![Usage::Any]);
    check(vec![Usage::Any, Usage::ClientAuth, own()]);
    check(vec![Usage::ServerAuth, Usage::ClientAuth, own()]);
    check(vec![Usage::ClientAuth, login()]);
    check(vec![Usage::ClientAuth, own(), login()]);
}

#[test]
fn a_login_certificate_is_no_session_certificate_and_the_reverse() {
    let gate = Gate::new();
    let trust = gate.trust();
    let check = |ca: &X509Ca, payload: &Payload, credential, expect: IdentityError| {
        let certificate = sign(ca, payload, credential, |_| ());
        assert_eq!(refused(trust.verify_x509(&certificate, &[], NOW)), expect);
    };
    let (login, session) = (gate.login_payload(), gate.session_payload());
    check(&gate.login, &session, Credential::Session, IdentityError::Usage);
    check(&gate.session, &login, Credential::Login, IdentityError::Usage);
    let carries = "a login certificate carries a proof";
    check(&gate.login, &session, Credential::Login, IdentityError::Inconsistent(carries));
    let lacks = "a session certificate carries no proof";
    check(&gate.session, &login, Credential::Session, IdentityError::Inconsistent(lacks));
}

#[test]
fn the_record() {
    let gate = Gate::new();
    let trust = gate.trust();
    let check = |records: Vec<CustomExtension>, expect: IdentityError| {
        let certificate = gate.bent(|params| params.custom_extensions = records);
        assert_eq!(refused(trust.verify_x509(&certificate, &[], NOW)), expect);
    };
    let record = |content: Vec<u8>| CustomExtension::from_oid_content(oid::PAYLOAD, content);
    let der = gate.session_payload().to_der().unwrap();
    check(vec![], IdentityError::NoPayload("session"));
    check(vec![record(der.clone()), record(der.clone())], IdentityError::NoPayload("session"));
    check(vec![record(der[..der.len() - 1].to_vec())], IdentityError::Malformed("its record is not valid"));
    check(vec![record([der.as_slice(), &[0]].concat())], IdentityError::Malformed("its record is not valid"));
    let mut critical = record(der);
    critical.set_criticality(true);
    check(vec![critical], IdentityError::Malformed("it holds an unknown critical extension"));
}

#[test]
fn parts_that_contradict_each_other() {
    let gate = Gate::new();
    let trust = gate.trust();
    let check = |certificate: CertificateDer<'_>, expect: IdentityError| {
        assert_eq!(refused(trust.verify_x509(&certificate, &[], NOW)), expect);
    };
    let uri = |user: &str| format!("tapgate://{}/user/{user}/session", gate.pin).try_into().map(SanType::URI).unwrap();
    let subject = IdentityError::Inconsistent("the subject is not the user");
    let name = IdentityError::Inconsistent("the alternative name is not the user's");
    check(gate.bent(|params| params.distinguished_name.push(DnType::CommonName, "bob")), subject.clone());
    check(gate.bent(|params| params.distinguished_name.push(DnType::OrganizationName, "admins")), subject);
    check(gate.bent(|params| params.subject_alt_names = vec![uri("bob")]), name.clone());
    check(gate.bent(|params| params.subject_alt_names.push(uri("bob"))), name.clone());
    check(gate.bent(|params| params.subject_alt_names = vec![]), name);
    let payload = Payload { login_expires: NOW.plus(MINUTE), ..gate.session_payload() };
    let outlives = IdentityError::Inconsistent("the session certificate outlives the login");
    check(sign(&gate.session, &payload, Credential::Session, |_| ()), outlives);
    let payload = Payload { login_expires: NOW.plus(MINUTE), ..gate.login_payload() };
    let ends = IdentityError::Inconsistent("the login ends at another time than its certificate");
    check(sign(&gate.login, &payload, Credential::Login, |_| ()), ends);
}

#[test]
fn too_long_a_life() {
    let gate = Gate::new();
    let trust = gate.trust();
    let bend = |params: &mut CertificateParams| live(params, NOW.minus(limits::SKEW), NOW.plus(6 * MINUTE));
    assert_eq!(refused(trust.verify_x509(&gate.bent(bend), &[], NOW)), IdentityError::Lifetime("session"));
    let payload = Payload { login_expires: NOW.plus(24 * HOUR), ..gate.login_payload() };
    let login = sign(&gate.login, &payload, Credential::Login, |params| live(params, NOW, NOW.plus(24 * HOUR)));
    assert_eq!(refused(trust.verify_x509(&login, &[], NOW)), IdentityError::Lifetime("login"));
}

#[test]
fn another_kind_of_key() {
    let gate = Gate::new();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let params = right(&gate.session_payload(), Credential::Session);
    let certificate: CertificateDer<'_> = params.signed_by(&p384, &forger(&gate.session)).unwrap().into();
    assert_eq!(refused(gate.trust().verify_x509(&certificate, &[], NOW)), IdentityError::Key);
}

#[test]
fn truncated_oversized_and_changed() {
    let gate = Gate::new();
    let (trust, certificate) = (gate.trust(), gate.session(&key(1)));
    for end in 0..certificate.len() {
        let torn = CertificateDer::from(&certificate[..end]);
        assert!(matches!(refused(trust.verify_x509(&torn, &[], NOW)), IdentityError::Malformed(_)), "{end}");
    }
    let padded = CertificateDer::from([certificate.as_ref(), &[0]].concat());
    assert!(matches!(refused(trust.verify_x509(&padded, &[], NOW)), IdentityError::Malformed(_)));
    let huge = CertificateDer::from([certificate.to_vec(), vec![0; limits::X509_MAX]].concat());
    assert_eq!(refused(trust.verify_x509(&huge, &[], NOW)), IdentityError::Oversized { max: limits::X509_MAX });
    let bulky = gate.bent(|params| {
        let filler = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 9], vec![0; limits::X509_MAX]);
        params.custom_extensions.push(filler);
    });
    assert_eq!(refused(trust.verify_x509(&bulky, &[], NOW)), IdentityError::Oversized { max: limits::X509_MAX });
    for at in (0..certificate.len()).step_by(7) {
        let mut changed = certificate.to_vec();
        changed[at] ^= 0x10;
        refused(trust.verify_x509(&CertificateDer::from(changed), &[], NOW));
    }
}

#[test]
fn a_rotation_trusts_old_and_new() {
    let (old, new, key) = (Gate::new(), Gate::new(), key(1));
    let trust = crate::Trust::new(crate::TrustParts {
        gate: old.pin,
        login: vec![],
        session: vec![new.session.certificate().clone(), old.session.certificate().clone()],
        login_ssh: vec![],
        session_ssh: vec![],
    })
    .unwrap();
    assert!(trust.verify_x509(&old.session(&key), &[], NOW).is_ok());
    assert_eq!(refused(trust.verify_x509(&new.session(&key), &[], NOW)), IdentityError::OtherGate);
    assert_eq!(refused(trust.verify_x509(&old.login(&key), &[], NOW)), IdentityError::UnknownCa);
    assert_ne!(old.pin, Digest::from_bytes([0; 32]));
}
