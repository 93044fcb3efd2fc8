//! A small gate with all its authorities, and the tests of what it lets in.

mod issue;
mod record;
mod ssh;
mod tls;
mod x509;

use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Certificate, PrivateKey};
use tapgate_model::{Digest, Kind, Login, LoginName, TargetName, TargetRef, TargetUid, UnixTime, UserName};
use tapgate_proof::{Holder, Proof, Purpose, Statement, StatementParts, StatementTarget, Uses};

use crate::{
    CaKind, Identity, IdentityError, LoginSubject, SessionSubject, SshCa, SshLoginSubject, SshSessionSubject, Trust,
    TrustParts, X509Ca, spki_digest, ssh_key_spki,
};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

struct Gate {
    pin: Digest,
    login: X509Ca,
    session: X509Ca,
    host: X509Ca,
    login_ssh: SshCa,
    session_ssh: SshCa,
}

impl Gate {
    fn new() -> Self {
        let x509 = |kind| X509Ca::generate(kind, "demo", NOW).unwrap();
        let ssh = |kind| SshCa::generate(kind, "demo", NOW).unwrap();
        let host = x509(CaKind::Host);
        Self {
            pin: host.pin(),
            login: x509(CaKind::Login),
            session: x509(CaKind::Session),
            host,
            login_ssh: ssh(CaKind::LoginSsh),
            session_ssh: ssh(CaKind::SessionSsh),
        }
    }

    fn trust(&self) -> Trust {
        Trust::new(TrustParts {
            gate: self.pin,
            login: vec![self.login.certificate().clone()],
            session: vec![self.session.certificate().clone()],
            login_ssh: vec![self.login_ssh.public_key().clone()],
            session_ssh: vec![self.session_ssh.public_key().clone()],
        })
        .unwrap()
    }

    fn proof(&self, source_ip: Option<IpAddr>) -> Proof {
        proof(self.pin, source_ip)
    }

    fn login(&self, key: &PrivateKey) -> CertificateDer<'static> {
        let spki_der = &spki(key);
        let subject = LoginSubject { user: &ann(), spki_der, source_ip: None, expires: NOW.plus(8 * HOUR) };
        self.login.issue_login(&subject, &self.pin, NOW).unwrap()
    }

    fn session(&self, key: &PrivateKey) -> CertificateDer<'static> {
        let subject = SessionSubject {
            user: &ann(),
            spki_der: &spki(key),
            proof: &self.proof(None),
            login_expires: NOW.plus(8 * HOUR),
            not_after: NOW.plus(5 * MINUTE),
        };
        self.session.issue_session(&subject, &self.pin, NOW).unwrap()
    }

    fn login_ssh(&self, key: &PrivateKey, source_ip: Option<IpAddr>) -> Certificate {
        let public_key = key.public_key();
        let subject = SshLoginSubject { user: &ann(), public_key, source_ip, expires: NOW.plus(8 * HOUR) };
        self.login_ssh.issue_login(&subject, &self.pin, NOW).unwrap()
    }

    fn session_ssh(&self, key: &PrivateKey, source_ip: Option<IpAddr>) -> Certificate {
        let subject = SshSessionSubject {
            user: &ann(),
            public_key: key.public_key(),
            logins: &[(login("jerry"), target("prod3")), (login("jerry"), target("prod4"))],
            proof: &self.proof(source_ip),
            login_expires: NOW.plus(8 * HOUR),
            not_after: NOW.plus(5 * MINUTE),
        };
        self.session_ssh.issue_session(&subject, &self.pin, NOW).unwrap()
    }
}

/// A tap of `ann` for `jerry@prod3`. Its signature is not looked at here.
fn proof(gate: Digest, source_ip: Option<IpAddr>) -> Proof {
    let target = TargetRef { kind: Kind::Node, name: target("prod3"), uid: TargetUid::from_bytes([7; 16]) };
    let login = Login::Unix(login("jerry"));
    let holder = Holder::SessionKey(Digest::from_bytes([8; 32]));
    let statement = Statement::new(StatementParts {
        gate,
        purpose: Purpose::Session,
        user: ann(),
        uses: Uses::Window,
        source_ip,
        action: None,
        targets: vec![StatementTarget { target, login, holder }],
        created: NOW,
        expires: NOW.plus(5 * MINUTE),
    });
    Proof {
        random: [1; 32],
        statement: statement.unwrap().to_der(),
        credential_id: vec![2; 16],
        authenticator_data: vec![3; 37],
        client_data_json: vec![4; 139],
        signature: vec![5; 71],
    }
}

fn ann() -> UserName {
    "ann".parse().unwrap()
}

fn login(name: &str) -> LoginName {
    name.parse().unwrap()
}

fn target(name: &str) -> TargetName {
    name.parse().unwrap()
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
}

fn spki(key: &PrivateKey) -> Vec<u8> {
    ssh_key_spki(key.public_key()).unwrap()
}

fn refused(verified: Result<Identity, IdentityError>) -> IdentityError {
    match verified {
        Ok(identity) => panic!("accepted: {identity:?}"),
        Err(error) => error,
    }
}

#[test]
fn one_key_has_one_digest_in_both_formats() {
    let (gate, key) = (Gate::new(), key(1));
    let trust = gate.trust();
    let tls = trust.verify_x509(&gate.session(&key), &[], NOW).unwrap();
    let ssh = trust.verify_ssh(&gate.session_ssh(&key, None), "jerry@prod3", [192, 0, 2, 7].into(), NOW).unwrap();
    assert_eq!(tls.key(), ssh.key());
    assert_eq!(*tls.key(), spki_digest(&spki(&key)));
    assert_ne!(tls.fingerprint(), ssh.fingerprint());
}

#[test]
fn one_key_for_two_kinds_is_no_trust() {
    let gate = Gate::new();
    let (certificate, pkcs8) = gate.login.to_parts();
    let twin = X509Ca::from_parts(CaKind::Session, certificate, &pkcs8).unwrap();
    let parts = |session: Vec<CertificateDer<'static>>, session_ssh| TrustParts {
        gate: gate.pin,
        login: vec![gate.login.certificate().clone()],
        session,
        login_ssh: vec![gate.login_ssh.public_key().clone()],
        session_ssh,
    };
    let check = |parts: TrustParts| {
        assert!(matches!(Trust::new(parts), Err(IdentityError::Authority(_))));
    };
    check(parts(vec![twin.certificate().clone()], vec![]));
    check(parts(vec![], vec![gate.login_ssh.public_key().clone()]));
    check(parts(vec![CertificateDer::from(vec![0x30, 0])], vec![]));
}
