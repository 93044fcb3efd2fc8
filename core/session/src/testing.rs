//! A small world for tests and benches: a gate with real authorities, real certificates, real taps.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use futures::future::{BoxFuture, FutureExt as _, ready};
use rustls::pki_types::CertificateDer;
use tapgate_audit::MemorySink;
use tapgate_identity::{CaKind, Identity, LoginSubject, SessionSubject, Trust, TrustParts, X509Ca, spki_digest};
use tapgate_model::{Clock, Digest, Kind, Login, ManualClock, SystemClock, TargetName, TargetUid, UnixTime, UserName};
use tapgate_policy::Policy;
use tapgate_proof::testing::SoftKey;
use tapgate_proof::{
    Expected, Holder, Link, Proof, Purpose, Registration, RelyingParty, Statement, StatementParts, StatementTarget,
    Uses, verify_chain,
};

use crate::evidence::{Probe, Tap};
use crate::{
    Ask, ConnectionFacts, Door, Gate, GateParts, Grant, Invitation, Invited, NoTaps, ProtocolName, Snapshot,
    SpendError, Spender, Taps,
};

/// The moment at which the world begins.
pub const BEGIN: UnixTime = UnixTime::from_secs(1_790_000_000);

/// The gate's fingerprint in this world.
pub const GATE: Digest = Digest::from_bytes([7; 32]);

/// A value that can't be missing in this world.
fn sound<T, E: std::fmt::Display>(value: Result<T, E>) -> T {
    value.unwrap_or_else(|error| unreachable!("the test world is broken: {error}"))
}

/// Spends in memory.
#[derive(Debug, Default)]
pub struct MemorySpender(Mutex<HashSet<Digest>>, Mutex<HashMap<Digest, u32>>);

impl Spender for MemorySpender {
    fn spend(&self, proof: Digest, _: UnixTime) -> BoxFuture<'_, Result<bool, SpendError>> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(proof);
        ready(Ok(fresh)).boxed()
    }

    fn count(&self, key: Digest, to: u32) -> BoxFuture<'_, Result<bool, SpendError>> {
        let before = self.1.lock().unwrap_or_else(PoisonError::into_inner).insert(key, to).unwrap_or(0);
        ready(Ok((before, to) == (0, 0) || to > before)).boxed()
    }
}

/// Counts invitations, and sends everybody to the same page.
#[derive(Debug, Default)]
pub struct CountingTaps(pub std::sync::atomic::AtomicUsize);

impl Taps for CountingTaps {
    fn invite<'a>(
        &'a self,
        _: &'a crate::Challenge,
        _: &'a Ask<'a>,
        _: crate::Occasion<'a>,
    ) -> BoxFuture<'a, Result<Invited, crate::PromptError>> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let page = Invitation { url: "https://tap.example.com/".to_owned(), code: "1234".to_owned() };
        ready(Ok(Invited { invitation: page, keep: None })).boxed()
    }
}

/// A key pair that would live in a client's memory.
#[derive(Debug)]
pub struct ClientKey {
    /// Its `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
}

impl ClientKey {
    /// A new Ed25519 key.
    pub fn generate() -> Self {
        let pair = sound(Ed25519KeyPair::generate());
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        Self { spki: [&prefix[..], pair.public_key().as_ref()].concat() }
    }

    /// The holder that a tap for this key names.
    pub fn holder(&self) -> Holder {
        Holder::SessionKey(spki_digest(&self.spki))
    }
}

/// The world.
pub struct World {
    /// The gate.
    pub gate: Gate,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its audit log.
    pub sink: Arc<MemorySink>,
    /// Where its security keys are registered.
    pub rp: RelyingParty,
    /// jerry's registered security key.
    pub key: SoftKey,
    /// The session authority, which a thief may have, too.
    pub session_ca: X509Ca,
    login_ca: X509Ca,
    trust: Trust,
    registrations: Vec<Registration>,
}

impl World {
    /// A world with this policy, in which jerry has a security key.
    pub fn new(policy: &str) -> Self {
        Self::with_taps(policy, Arc::new(NoTaps))
    }

    /// The same with tap pages.
    pub fn with_taps(policy: &str, taps: Arc<dyn Taps>) -> Self {
        let clock = Arc::new(ManualClock::new(BEGIN));
        Self::at(policy, taps, clock.clone(), clock)
    }

    /// The same, but the gate reads the machine's clock, as a real one does: for benches. Certificates and
    /// statements are made at the moment of the world's beginning.
    pub fn in_real_time(policy: &str) -> Self {
        Self::at(policy, Arc::new(NoTaps), Arc::new(ManualClock::new(SystemClock.now())), Arc::new(SystemClock))
    }

    fn at(policy: &str, taps: Arc<dyn Taps>, clock: Arc<ManualClock>, gates: Arc<dyn Clock>) -> Self {
        let begin = clock.now();
        let sink = Arc::new(MemorySink::new());
        let rp = RelyingParty { id: "example.com".to_owned(), origins: vec!["https://example.com".to_owned()] };
        let session_ca = sound(X509Ca::generate(CaKind::Session, "example", begin));
        let login_ca = sound(X509Ca::generate(CaKind::Login, "example", begin));
        let trust = sound(Trust::new(TrustParts {
            gate: GATE,
            login: vec![login_ca.certificate().clone()],
            session: vec![session_ca.certificate().clone()],
            login_ssh: Vec::new(),
            session_ssh: Vec::new(),
        }));
        let key = SoftKey::generate();
        let registrations = vec![key.register(&user("jerry"), begin, Link::Pinned)];
        let gate = Gate::new(GateParts {
            clock: gates,
            sink: sink.clone(),
            spender: Arc::new(MemorySpender::default()),
            taps,
            snapshot: snapshot(policy, &registrations, &rp),
            gate: GATE,
            relying_party: rp.clone(),
        });
        Self { gate, clock, sink, rp, key, session_ca, login_ca, trust, registrations }
    }

    /// Another policy, under the same registrations.
    pub fn install(&self, policy: &str) {
        self.gate.install(snapshot(policy, &self.registrations, &self.rp));
    }

    /// The same policy, but nobody's key is registered any more.
    pub fn install_without_keys(&self, policy: &str) {
        self.gate.install(snapshot(policy, &[], &self.rp));
    }

    /// A login identity.
    pub fn login(&self, name: &str) -> Arc<Identity> {
        let (now, key) = (self.clock.now(), ClientKey::generate());
        let expires = now.plus(Duration::from_hours(12));
        let subject = LoginSubject { user: &user(name), spki_der: &key.spki, source_ip: None, expires };
        self.identity(&sound(self.login_ca.issue_login(&subject, &GATE, now)))
    }

    /// A statement for a session of jerry's with these targets.
    pub fn statement(&self, targets: Vec<StatementTarget>, uses: Uses, window: Duration) -> Statement {
        let created = self.clock.now();
        let (gate, person, expires) = (GATE, user("jerry"), created.plus(window));
        let purpose = Purpose::Session;
        sound(Statement::new(StatementParts {
            gate,
            purpose,
            user: person,
            uses,
            source_ip: None,
            action: None,
            targets,
            created,
            expires,
        }))
    }

    /// A session identity: a certificate of the real session authority for this key and proof.
    pub fn session(&self, client: &ClientKey, proof: &Proof) -> Arc<Identity> {
        let now = self.clock.now();
        let login_expires = now.plus(Duration::from_hours(12));
        let not_after = now.plus(Duration::from_mins(5));
        let (user, spki_der) = (user("jerry"), client.spki.as_slice());
        let subject = SessionSubject { user: &user, spki_der, proof, login_expires, not_after };
        self.identity(&sound(self.session_ca.issue_session(&subject, &GATE, now)))
    }

    /// jerry taps for `name` as `login`, and gets a session identity.
    pub fn tapped(&self, name: &str, login: &str, uses: Uses) -> Arc<Identity> {
        let client = ClientKey::generate();
        let entry = self.entry(name, login, client.holder());
        let statement = self.statement(vec![entry], uses, Duration::from_mins(5));
        self.session(&client, &self.key.tap(&statement, [9; 32], &self.rp))
    }

    /// jerry taps for prod3 as himself, good for this holder; verified as the gate verifies it.
    pub fn tap(&self, holder: Holder, uses: Uses, window: Duration) -> Arc<Tap> {
        let statement = self.statement(vec![self.entry("prod3", "jerry", holder)], uses, window);
        let proof = Arc::new(self.key.tap(&statement, rand::random(), &self.rp));
        let expected = Expected {
            key: self.key.key(),
            relying_party: &self.rp.clone().into(),
            gate: &GATE,
            purpose: Purpose::Session,
            user: &user("jerry"),
            user_verification: false,
            at: self.clock.now(),
        };
        Arc::new(sound(Tap::verify(&proof, &expected)))
    }

    /// An entry of a statement.
    pub fn entry(&self, name: &str, login: &str, holder: Holder) -> StatementTarget {
        let snapshot = self.gate.snapshot();
        let target = sound(snapshot.find(Kind::Node, &target(name)).ok_or("no such node")).target.clone();
        StatementTarget { target, login: unix(login), holder }
    }

    fn identity(&self, certificate: &CertificateDer<'_>) -> Arc<Identity> {
        Arc::new(sound(self.trust.verify_x509(certificate, &[], self.clock.now())))
    }
}

/// The look-up of one piece of evidence in the gate's own cache and nothing else: what a warm check is
/// measured against.
pub struct BareHit<'a> {
    gate: Gate,
    probe: Probe<'a>,
}

impl<'a> BareHit<'a> {
    /// The look-up that a check of this ask makes.
    pub fn of(gate: &Gate, ask: &Ask<'a>) -> Self {
        Self { gate: gate.clone(), probe: Probe::of(ask) }
    }

    /// Looks the evidence up; whether it is there.
    pub fn hit(&self) -> bool {
        self.gate.cached().get(&self.probe).is_some()
    }
}

/// Whether a grant rests on evidence that was at hand, so that nothing was verified for it.
pub const fn is_warm(grant: &Grant) -> bool {
    grant.warm
}

/// A user's name.
pub fn user(name: &str) -> UserName {
    sound(name.parse())
}

/// A target's name.
pub fn target(name: &str) -> TargetName {
    sound(name.parse())
}

/// A Unix login.
pub fn unix(name: &str) -> Login {
    Login::Unix(sound(name.parse()))
}

/// The uid that a node of the world has: its letter, sixteen times.
pub const fn uid(letter: u8) -> TargetUid {
    TargetUid::from_bytes([letter; 16])
}

/// SSH by the certificate door from 192.0.2.1.
pub fn facts() -> ConnectionFacts {
    let peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
    ConnectionFacts { peer, door: Door::Certificate, protocol: ProtocolName::Ssh, holder: None }
}

/// A node's YAML document.
pub fn node(name: &str, env: &str, addr: &str) -> String {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1b1QmXyzZ0YB9V1YMQvC4vKtAmwJY7zYlTq0F0XxTj";
    format!(
        "kind: node\nversion: v2\nmetadata:\n  name: {name}\n  labels: {{ env: {env} }}\nspec:\n  addr: \"{addr}\"\n  host_keys: [\"{key}\"]\n---\n"
    )
}

fn snapshot(policy: &str, registrations: &[Registration], rp: &RelyingParty) -> Snapshot {
    let documents = match tapgate_policy::parse("world", policy) {
        Ok(documents) => documents,
        Err(problems) => unreachable!("the test world's policy is broken: {problems:?}"),
    };
    let policy = match Policy::build(&documents) {
        Ok(policy) => policy,
        Err(problems) => unreachable!("the test world's policy is broken: {problems:?}"),
    };
    let pins: Vec<Digest> = registrations.iter().map(Registration::pin).collect();
    let (chained, refused) = verify_chain(registrations.to_vec(), &pins, rp, &GATE);
    assert!(refused.is_empty(), "the test world's registrations are broken");
    Snapshot::new(Arc::new(policy), chained)
}
