//! SSH certificates that are let in, and every way in which one is not.

use std::net::IpAddr;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::{Certificate, PrivateKey};
use tapgate_model::UnixTime;

use super::{Gate, HOUR, MINUTE, NOW, key, refused};
use crate::payload::Payload;
use crate::{Credential, Identity, IdentityError, SshCa, limits};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const SESSION: &str = "tapgate-session@tapgate";
const LOGIN: &str = "tapgate-login@tapgate";

/// What a certificate holds; the default is a right session certificate but for its record.
struct Draft {
    kind: CertType,
    principals: Vec<&'static str>,
    options: Vec<(&'static str, String)>,
    from: UnixTime,
    until: UnixTime,
    key: PrivateKey,
}

impl Draft {
    fn new(options: Vec<(&'static str, String)>) -> Self {
        let (from, until) = (NOW.minus(limits::SKEW), NOW.plus(5 * MINUTE));
        Self { kind: CertType::User, principals: vec!["jerry@prod3"], options, from, until, key: key(1) }
    }

    /// Signed by an authority's key in other hands.
    fn sign(self, ca: &SshCa) -> Certificate {
        self.sign_with(&forger(ca))
    }

    fn sign_with(self, signer: &PrivateKey) -> Certificate {
        let (from, until) = (self.from.as_secs(), self.until.as_secs());
        let mut builder = Builder::new([1; 32], self.key.public_key(), from, until).unwrap();
        builder.cert_type(self.kind).unwrap().key_id("ann").unwrap().all_principals_valid().unwrap();
        for principal in self.principals {
            builder.valid_principal(principal).unwrap();
        }
        for (name, value) in self.options {
            builder.critical_option(name, value).unwrap();
        }
        builder.sign(signer).unwrap()
    }
}

fn forger(ca: &SshCa) -> PrivateKey {
    PrivateKey::from_openssh(ca.to_parts().unwrap().as_bytes()).unwrap()
}

fn record(payload: &Payload) -> String {
    BASE64_STANDARD.encode(payload.to_der().unwrap())
}

fn verify(gate: &Gate, certificate: &Certificate) -> Result<Identity, IdentityError> {
    gate.trust().verify_ssh(certificate, "jerry@prod3", PEER, NOW)
}

fn right(gate: &Gate) -> Draft {
    Draft::new(vec![(SESSION, record(&gate.session_payload()))])
}

/// A session certificate that the session authority's own key signed, bent, is refused like this.
fn check(gate: &Gate, bend: impl FnOnce(&mut Draft), expect: &IdentityError) {
    let mut draft = right(gate);
    bend(&mut draft);
    assert_eq!(refused(verify(gate, &draft.sign(&gate.session_ssh))), *expect);
}

#[test]
fn a_login_certificate() {
    let gate = Gate::new();
    let identity = verify(&gate, &gate.login_ssh(&key(1), Some(PEER))).unwrap();
    assert_eq!(identity.user().as_str(), "ann");
    assert_eq!(identity.credential(), Credential::Login);
    assert_eq!((identity.login_expires(), identity.not_after()), (NOW.plus(8 * HOUR), NOW.plus(8 * HOUR)));
    assert_eq!(identity.source_ip(), Some(PEER));
    assert!(identity.proof().is_none());
}

#[test]
fn a_session_certificate() {
    let gate = Gate::new();
    let certificate = gate.session_ssh(&key(1), Some(PEER));
    let certificate = Certificate::from_openssh(&certificate.to_openssh().unwrap()).unwrap();
    for user in ["jerry@prod3", "jerry@prod4"] {
        let identity = gate.trust().verify_ssh(&certificate, user, PEER, NOW).unwrap();
        assert_eq!(identity.credential(), Credential::Session);
        assert_eq!((identity.login_expires(), identity.not_after()), (NOW.plus(8 * HOUR), NOW.plus(5 * MINUTE)));
        assert_eq!(
            identity.proof().map(|proof| proof.to_der().unwrap()),
            Some(gate.proof(Some(PEER)).to_der().unwrap())
        );
    }
    assert!(verify(&gate, &right(&gate).sign(&gate.session_ssh)).is_ok());
}

#[test]
fn principals() {
    let gate = Gate::new();
    let (trust, certificate) = (gate.trust(), gate.session_ssh(&key(1), None));
    for other in ["root@prod3", "jerry@prod5", "jerry", "", "ann", "jerry@prod3,jerry@prod4", "JERRY@prod3"] {
        let error = refused(trust.verify_ssh(&certificate, other, PEER, NOW));
        assert_eq!(error, IdentityError::Principal(other.to_owned()));
    }
    check(&gate, |draft| draft.principals.clear(), &IdentityError::NoPrincipals);
    let wrong = IdentityError::Principal("jerry@prod3".to_owned());
    check(&gate, |draft| draft.principals = vec!["jerry@prod3,root@prod3"], &wrong);
}

#[test]
fn a_login_certificate_names_its_user_alone() {
    let gate = Gate::new();
    let check = |principals: Vec<&'static str>, expect: Option<IdentityError>| {
        let mut draft = Draft::new(vec![(LOGIN, record(&gate.login_payload()))]);
        (draft.principals, draft.until) = (principals, NOW.plus(8 * HOUR));
        assert_eq!(verify(&gate, &draft.sign(&gate.login_ssh)).err(), expect);
    };
    let other = IdentityError::Inconsistent("the principal is not the user");
    check(vec!["ann"], None);
    check(vec!["bob"], Some(other.clone()));
    check(vec!["ann", "bob"], Some(other.clone()));
    check(vec!["jerry@prod3"], Some(other));
    check(vec![], Some(IdentityError::NoPrincipals));
}

#[test]
fn a_host_certificate_is_no_user() {
    let gate = Gate::new();
    check(&gate, |draft| draft.kind = CertType::Host, &IdentityError::NotUser);
    let ca = SshCa::generate(crate::CaKind::HostSsh, "demo", NOW).unwrap();
    let certificate = ca.issue_host(key(1).public_key(), &["gate.example".to_owned()], NOW).unwrap();
    assert_eq!(refused(verify(&gate, &certificate)), IdentityError::NotUser);
}

#[test]
fn foreign_authorities() {
    let (gate, other) = (Gate::new(), Gate::new());
    assert_eq!(refused(verify(&gate, &other.session_ssh(&key(1), None))), IdentityError::UnknownCa);
    assert_eq!(refused(verify(&gate, &other.login_ssh(&key(1), None))), IdentityError::UnknownCa);
    assert_eq!(refused(verify(&gate, &right(&gate).sign_with(&key(1)))), IdentityError::UnknownCa);
    let payload = Payload { gate: other.pin, ..gate.session_payload() };
    check(&gate, |draft| draft.options = vec![(SESSION, record(&payload))], &IdentityError::OtherGate);
}

/// The wire form of a certificate up to and with the signing key, then the signature, cut apart.
fn with_signing_key(certificate: &Certificate, signing_key: &[u8]) -> Vec<u8> {
    let bytes = certificate.to_bytes().unwrap();
    let old = ssh_key::PublicKey::from(certificate.signature_key().clone()).to_bytes().unwrap();
    let at = bytes.windows(old.len()).rposition(|window| window == old.as_slice()).unwrap();
    let length = u32::try_from(signing_key.len()).unwrap().to_be_bytes();
    [&bytes[..at - 4], &length, signing_key, &bytes[at + old.len()..]].concat()
}

#[test]
fn a_certificate_signed_by_a_certificate() {
    let gate = Gate::new();
    let session = gate.session_ssh(&key(1), None);
    // The session authority's key, certified by itself, stands where its plain key belongs.
    let mut authority = right(&gate);
    authority.key = forger(&gate.session_ssh);
    let authority = authority.sign(&gate.session_ssh);
    let forged = Certificate::from_bytes(&with_signing_key(&session, &authority.to_bytes().unwrap())).unwrap();
    assert!(forged.signature_key().is_certificate());
    assert_eq!(refused(verify(&gate, &forged)), IdentityError::SignedByCertificate);
}

#[test]
fn a_signature_that_does_not_fit() {
    let gate = Gate::new();
    let foreign = Gate::new().session_ssh(&key(1), None);
    let ours = gate.session_ssh.public_key().to_bytes().unwrap();
    let forged = Certificate::from_bytes(&with_signing_key(&foreign, &ours)).unwrap();
    assert_eq!(refused(verify(&gate, &forged)), IdentityError::Signature);
}

#[test]
fn time() {
    let gate = Gate::new();
    let (trust, certificate) = (gate.trust(), gate.session_ssh(&key(1), None));
    let at = |now| trust.verify_ssh(&certificate, "jerry@prod3", PEER, now);
    assert_eq!(refused(at(NOW.minus(limits::SKEW + Duration::from_secs(1)))), IdentityError::NotYetValid);
    assert!(at(NOW.minus(limits::SKEW)).is_ok());
    assert!(at(NOW.plus(5 * MINUTE).minus(Duration::from_secs(1))).is_ok());
    assert_eq!(refused(at(NOW.plus(5 * MINUTE))), IdentityError::Expired);
    check(&gate, |draft| draft.until = NOW.plus(6 * MINUTE), &IdentityError::Lifetime("session"));
    let forever = UnixTime::from_secs(u64::MAX);
    check(&gate, |draft| draft.until = forever, &IdentityError::Lifetime("session"));
}

#[test]
fn critical_options() {
    let gate = Gate::new();
    for unknown in ["force-command", "verify-required", "no-touch-required", "x", "SOURCE-ADDRESS", LOGIN] {
        let expect = IdentityError::CriticalOption(unknown.to_owned());
        check(&gate, |draft| draft.options.push((unknown, "1".to_owned())), &expect);
    }
}

#[test]
fn source_address() {
    let gate = Gate::new();
    let trust = gate.trust();
    let from = |certificate: &Certificate, peer: &str| {
        trust.verify_ssh(certificate, "jerry@prod3", peer.parse().unwrap(), NOW).map(drop)
    };
    for certificate in [gate.session_ssh(&key(1), Some(PEER)), gate.login_ssh(&key(1), Some(PEER))] {
        assert_eq!(from(&certificate, "192.0.2.7"), Ok(()));
        assert_eq!(from(&certificate, "::ffff:192.0.2.7"), Ok(()));
        assert_eq!(from(&certificate, "192.0.2.8"), Err(IdentityError::SourceAddress));
        assert_eq!(from(&certificate, "2001:db8::7"), Err(IdentityError::SourceAddress));
    }
    // The option alone binds, and so does the record alone.
    for list in ["192.0.2.8/32", "nonsense", ""] {
        let option = ("source-address", list.to_owned());
        check(&gate, |draft| draft.options.push(option), &IdentityError::SourceAddress);
    }
    let payload = Payload { source_ip: Some([192, 0, 2, 8].into()), ..gate.session_payload() };
    check(&gate, |draft| draft.options = vec![(SESSION, record(&payload))], &IdentityError::SourceAddress);
}

#[test]
fn a_login_certificate_is_no_session_certificate_and_the_reverse() {
    let gate = Gate::new();
    let (login, session) = (record(&gate.login_payload()), record(&gate.session_payload()));
    let check = |ca: &SshCa, option: &'static str, record: &str, expect: IdentityError| {
        let mut draft = Draft::new(vec![(option, record.to_owned())]);
        draft.principals = vec!["jerry@prod3"];
        assert_eq!(refused(verify(&gate, &draft.sign(ca))), expect);
    };
    check(&gate.session_ssh, LOGIN, &login, IdentityError::CriticalOption(LOGIN.to_owned()));
    check(&gate.login_ssh, SESSION, &session, IdentityError::CriticalOption(SESSION.to_owned()));
    let lacks = "a session certificate carries no proof";
    check(&gate.session_ssh, SESSION, &login, IdentityError::Inconsistent(lacks));
    let mut draft = Draft::new(vec![(LOGIN, session.clone())]);
    draft.principals = vec!["ann"];
    let error = refused(verify(&gate, &draft.sign(&gate.login_ssh)));
    assert_eq!(error, IdentityError::Inconsistent("a login certificate carries a proof"));
}

#[test]
fn the_record() {
    let gate = Gate::new();
    let der = gate.session_payload().to_der().unwrap();
    check(&gate, |draft| draft.options.clear(), &IdentityError::NoPayload("session"));
    let put = |draft: &mut Draft, value: String| draft.options = vec![(SESSION, value)];
    let not_base64 = IdentityError::Malformed("its record is not base64");
    check(&gate, |draft| put(draft, format!("{} ", BASE64_STANDARD.encode(&der))), &not_base64);
    check(&gate, |draft| put(draft, "*".to_owned()), &not_base64);
    let not_valid = IdentityError::Malformed("its record is not valid");
    check(&gate, |draft| put(draft, String::new()), &not_valid);
    check(&gate, |draft| put(draft, BASE64_STANDARD.encode(&der[..der.len() - 1])), &not_valid);
    check(&gate, |draft| put(draft, BASE64_STANDARD.encode([&der[..], &[0]].concat())), &not_valid);
}

#[test]
fn truncated_and_oversized() {
    let gate = Gate::new();
    let bytes = gate.session_ssh(&key(1), None).to_bytes().unwrap();
    for end in 0..bytes.len() {
        assert!(Certificate::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let oversized = IdentityError::Oversized { max: limits::SSH_MAX };
    check(&gate, |draft| draft.options.push(("x", "x".repeat(limits::SSH_MAX))), &oversized);
    check(&gate, |draft| draft.principals = vec!["jerry@prod3"; limits::SSH_MAX / 8], &oversized);
}

#[test]
fn another_kind_of_key() {
    let gate = Gate::new();
    let p256 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = rcgen::PublicKeyData::der_bytes(&p256);
    let point = ssh_key::public::EcdsaPublicKey::from_sec1_bytes(point).unwrap();
    let digest = crate::spki_digest(&rcgen::PublicKeyData::subject_public_key_info(&p256));
    assert_eq!(crate::ssh_key_spki(&point.into()).map(|spki| crate::spki_digest(&spki)), Some(digest));

    let mut builder = Builder::new([1; 32], sk_key(), NOW.as_secs(), NOW.plus(MINUTE).as_secs()).unwrap();
    builder.valid_principal("jerry@prod3").unwrap();
    builder.critical_option(SESSION, record(&gate.session_payload())).unwrap();
    let certificate = builder.sign(&forger(&gate.session_ssh)).unwrap();
    assert_eq!(refused(verify(&gate, &certificate)), IdentityError::Key);
}

/// A security key's public key, which is of a kind that is not used here.
fn sk_key() -> ssh_key::public::KeyData {
    let text = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat();
    let point = [&32_u32.to_be_bytes()[..], key(1).public_key().key_data().ed25519().unwrap().as_ref()].concat();
    let bytes = [text("sk-ssh-ed25519@openssh.com"), point, text("ssh:")].concat();
    ssh_key::PublicKey::from_bytes(&bytes).unwrap().into()
}
