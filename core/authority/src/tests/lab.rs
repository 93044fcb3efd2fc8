//! What the tests share: an authority, its clock and log, a gate over it, and people with keys.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tapgate_api::{
    AdminAction, AdminOutcome, Assertion, Ceremony, EnrolBegin, EnrolFinish, Enrolled, InviteCreated, LoginBegin,
    LoginCertificates, Requirement, SessionBegin, SessionCertificates, SessionTarget,
};
use tapgate_audit::MemorySink;
use tapgate_identity::Identity;
use tapgate_model::{Clock, Digest, ManualClock, UnixTime};
use tapgate_policy::Policy;
use tapgate_proof::RelyingParty;
use tapgate_session::{Gate, GateParts};
use tapgate_store::SqliteStore;
use tempfile::TempDir;
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softtoken::SoftToken;
use webauthn_rs::prelude::Url;

use crate::{Authority, AuthorityParts, Fault, InBand, SecretsKey, token};

pub(super) const ORIGIN: &str = "https://localhost:3080";
pub(super) const PASSWORD: &str = "correct horse battery";

pub(super) struct Lab {
    pub(super) authority: Arc<Authority>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) sink: Arc<MemorySink>,
    pub(super) store: Arc<SqliteStore>,
    pub(super) dir: TempDir,
}

/// Somebody with a key.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) key: SoftToken,
}

pub(super) fn peer() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

fn parts(dir: &TempDir, store: &Arc<SqliteStore>, clock: &Arc<ManualClock>, sink: &Arc<MemorySink>) -> AuthorityParts {
    AuthorityParts {
        store: Arc::<SqliteStore>::clone(store),
        clock: Arc::<ManualClock>::clone(clock),
        sink: Arc::<MemorySink>::clone(sink),
        cluster: "lab.example.com".to_owned(),
        relying_party: RelyingParty { id: "localhost".to_owned(), origins: vec![ORIGIN.to_owned()] },
        pins: Vec::new(),
        host_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        resource_dir: None,
        secrets: Arc::new(SecretsKey::of_file(&dir.path().join("secrets.key")).unwrap()),
    }
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::with(None)
    }

    pub(super) fn with(resource_dir: Option<PathBuf>) -> Self {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path().join("store.db")).unwrap());
        let clock = Arc::new(ManualClock::new(UnixTime::from_secs(1_800_000_000)));
        let sink = Arc::new(MemorySink::new());
        let parts = AuthorityParts { resource_dir, ..parts(&dir, &store, &clock, &sink) };
        let authority = Arc::new(Authority::open(parts).unwrap());
        Self { authority, clock, sink, store, dir }
    }

    /// The same authority after a restart, with its pins gone.
    pub(super) fn reopened(&self) -> Authority {
        Authority::open(parts(&self.dir, &self.store, &self.clock, &self.sink)).unwrap()
    }

    /// A cluster with its first administrator, and a role and a node that require a tap.
    pub(super) fn founded() -> (Self, Person) {
        let lab = Self::new();
        let invite = lab.authority.first_admin(&"olga".parse().unwrap()).unwrap();
        let (olga, enrolled) = lab.enrol(&invite).unwrap();
        lab.pin(&enrolled);
        lab.authority.put_resources_trusted(RESOURCES).unwrap();
        lab.snapshot();
        (lab, olga)
    }

    /// The same with jerry, who was invited.
    pub(super) fn with_jerry() -> (Self, Person, Person) {
        let (lab, mut olga) = Self::founded();
        let invite = lab.invite(&mut olga, "jerry", &["dev"]).unwrap();
        let (jerry, _) = lab.enrol(&invite).unwrap();
        (lab, olga, jerry)
    }

    pub(super) fn pin(&self, enrolled: &Enrolled) {
        let pin: Digest = enrolled.pin.as_ref().unwrap().trim_start_matches("sha256:").parse().unwrap();
        self.authority.install_pins(vec![pin]);
        self.snapshot();
    }

    pub(super) fn snapshot(&self) {
        drop(self.authority.snapshot().unwrap());
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(self.authority.snapshot().unwrap().policy())
    }

    /// A gate over what is true now.
    pub(super) fn gate(&self) -> Gate {
        Gate::new(GateParts {
            clock: Arc::<ManualClock>::clone(&self.clock),
            sink: Arc::<MemorySink>::clone(&self.sink),
            spender: Arc::<Authority>::clone(&self.authority),
            taps: Arc::new(InBand::new(Arc::clone(&self.authority), ORIGIN)),
            snapshot: self.authority.snapshot().unwrap(),
            gate: self.authority.gate_fingerprint(),
            relying_party: self.authority.relying_party().clone(),
        })
    }

    pub(super) fn enrol(&self, invite: &InviteCreated) -> Result<(Person, Enrolled), Fault> {
        let (mut key, _) = SoftToken::new(true).unwrap();
        let enrolled = self.enrol_key(invite, &mut key)?;
        Ok((Person { name: invite.user.clone(), key }, enrolled))
    }

    pub(super) fn enrol_key(&self, invite: &InviteCreated, key: &mut SoftToken) -> Result<Enrolled, Fault> {
        let begin = EnrolBegin {
            token: invite.token.clone(),
            password: PASSWORD.to_owned(),
            device_name: "soft".to_owned(),
            passwordless: false,
        };
        let challenge = self.authority.enrol_begin(&begin, peer())?;
        let webauthn = key.do_registration(origin(), challenge.webauthn).unwrap();
        self.authority.enrol_finish(&EnrolFinish { id: challenge.id, webauthn }, peer())
    }

    pub(super) fn login_begin(&self, name: &str, password: &str) -> Result<Ceremony, Fault> {
        let begin = LoginBegin {
            user: name.to_owned(),
            password: password.to_owned(),
            tls_public_key: public_key(1),
            ssh_public_key: ssh_line(2),
        };
        self.authority.login_begin(&begin, peer())
    }

    pub(super) fn certificates(&self, person: &mut Person) -> Result<LoginCertificates, Fault> {
        let ceremony = self.login_begin(&person.name, PASSWORD)?;
        self.authority.login_finish(&person.tap(ceremony), peer())
    }

    pub(super) fn login(&self, person: &mut Person) -> Identity {
        self.identity(&self.certificates(person).unwrap().tls_certificate)
    }

    pub(super) fn identity(&self, pem: &str) -> Identity {
        self.authority.trust().verify_x509(&der(pem), &[], self.clock.now()).unwrap()
    }

    pub(super) fn admin(&self, person: &mut Person, action: &AdminAction) -> Result<AdminOutcome, Fault> {
        let identity = self.login(person);
        let body = serde_json::to_vec(action).unwrap();
        let ceremony = self.authority.admin_begin(&self.policy(), &identity, &body, peer())?;
        self.authority.admin_finish(&self.policy(), &identity, &person.tap(ceremony), peer())
    }

    pub(super) fn invite(&self, admin: &mut Person, user: &str, roles: &[&str]) -> Result<InviteCreated, Fault> {
        let roles = roles.iter().map(ToString::to_string).collect();
        let outcome = self.admin(admin, &AdminAction::Invite { user: user.to_owned(), roles })?;
        Ok(outcome.invite.unwrap())
    }

    pub(super) fn session_begin(&self, gate: &Gate, identity: &Identity) -> Result<(Ceremony, bool), Fault> {
        match self.authority.session_begin(gate, identity, &wish("prod3"), peer())? {
            Requirement::Tap { ceremony, reusable } => Ok((*ceremony, reusable)),
            Requirement::None | Requirement::Sso => Err(Fault::internal("no tap was asked for")),
        }
    }

    pub(super) fn session(
        &self,
        gate: &Gate,
        identity: &Identity,
        person: &mut Person,
    ) -> Result<SessionCertificates, Fault> {
        let (ceremony, _) = self.session_begin(gate, identity)?;
        self.authority.session_finish(gate, identity, &person.tap(ceremony), peer())
    }
}

impl Person {
    pub(super) fn tap(&mut self, ceremony: Ceremony) -> Assertion {
        let webauthn = self.key.do_authentication(origin(), ceremony.webauthn).unwrap();
        Assertion { id: ceremony.id, webauthn }
    }

    /// The same key a second time, as a thief would have copied it.
    pub(super) fn cloned(&self) -> Self {
        let key = SoftToken::from_cbor(&self.key.to_cbor().unwrap()).unwrap();
        Self { name: self.name.clone(), key }
    }
}

pub(super) fn origin() -> Url {
    Url::parse(ORIGIN).unwrap()
}

/// The public key of an Ed25519 key pair with this seed.
pub(super) fn public_key(seed: u8) -> String {
    token::to_text(&tapgate_identity::ssh_key_spki(private_key(seed).public_key()).unwrap())
}

fn ssh_line(seed: u8) -> String {
    private_key(seed).public_key().to_openssh().unwrap()
}

fn private_key(seed: u8) -> ssh_key::PrivateKey {
    ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]).into()
}

pub(super) fn wish(target: &str) -> SessionBegin {
    let target = SessionTarget { kind: "node".to_owned(), name: target.to_owned(), login: "jerry".to_owned() };
    SessionBegin { targets: vec![target], public_key: public_key(3) }
}

pub(super) fn der(pem: &str) -> CertificateDer<'static> {
    use base64::Engine;
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap().into()
}

pub(super) const RESOURCES: &str = "\
kind: role
version: v7
metadata:
  name: dev
spec:
  options:
    require_session_mfa: true
    max_session_ttl: 8h
  allow:
    logins: [jerry]
    node_labels:
      env: prod
---
kind: role
version: v7
metadata:
  name: staging
spec:
  allow:
    logins: [jerry]
    node_labels:
      env: staging
---
kind: node
version: v2
metadata:
  name: prod3
  labels:
    env: prod
spec:
  addr: 127.0.0.1:22
  host_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ
---
kind: node
version: v2
metadata:
  name: stage1
  labels:
    env: staging
spec:
  addr: 127.0.0.1:22
  host_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ
";
