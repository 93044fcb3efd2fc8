//! The authority: what it is made of, and what it holds in memory.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tapgate_audit::{Event, Sink};
use tapgate_identity::{SshCa, SshCaSource, Trust, X509Ca, X509CaSource};
use tapgate_model::{Clock, Digest, UnixTime};
use tapgate_proof::{KnownParty, RelyingParty};
use tapgate_store::Store;
use zeroize::Zeroizing;

use crate::cas::{Cas, Rotating, kept};
use crate::in_band::Asks;
use crate::login::pem;
use crate::password::Passwords;
use crate::rate::Rates;
use crate::snapshot::State;
use crate::sso::Sso;
use crate::token::{Secret, random, sha256};
use crate::webauthn::Ceremonies;
use crate::{AuthorityError, SecretsKey, limits, otp, webauthn};

/// What an authority is made of.
pub struct AuthorityParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the audit log goes.
    pub sink: Arc<dyn Sink>,
    /// The cluster's name.
    pub cluster: String,
    /// What security keys are registered with.
    pub relying_party: RelyingParty,
    /// The pins of the first administrators' keys.
    pub pins: Vec<Digest>,
    /// The names and addresses under which clients reach the gate.
    pub host_names: Vec<String>,
    /// A directory of resource files beside the store's resources.
    pub resource_dir: Option<PathBuf>,
    /// What seals the secrets in the store.
    pub secrets: Arc<SecretsKey>,
}

/// Users, login, certificate authorities, ceremonies and issuing.
pub struct Authority {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) cluster: String,
    pub(crate) relying_party: KnownParty,
    pub(crate) pins: ArcSwap<Vec<Digest>>,
    pub(crate) host_names: Vec<String>,
    pub(crate) resource_dir: Option<PathBuf>,
    pub(crate) secrets: Arc<SecretsKey>,
    pub(crate) cas: ArcSwap<Cas>,
    pub(crate) gate: Digest,
    pub(crate) webauthn: Ceremonies,
    pub(crate) passwords: Passwords,
    pub(crate) rates: Rates,
    pub(crate) sso: Sso,
    /// Taps that stock clients wait for.
    pub(crate) asks: Arc<Asks>,
    /// From which invites are derived. It is never stored: a copy of the store holds no invite.
    pub(crate) invites: Secret,
    /// From which the keys of users who are not there are derived, the same ones after a restart.
    pub(crate) decoys: Secret,
    pub(crate) state: ArcSwap<State>,
    /// Held from reading the resources to writing them, so that what was checked is what is written.
    pub(crate) writing: Mutex<()>,
    /// Held from reading what is true to making it count, so that an older truth never follows a newer.
    pub(crate) reading: Mutex<()>,
    /// What was warned of, so that a lasting fault is reported once.
    reported: Mutex<HashSet<Digest>>,
}

impl Authority {
    /// Opens the authority: reads its certificate authorities from the store, or makes them.
    pub fn open(parts: AuthorityParts) -> Result<Self, AuthorityError> {
        let now = parts.clock.now();
        let relying_party = webauthn::both_spellings(parts.relying_party);
        let cas = Cas::open(&*parts.store, &parts.cluster, now)?;
        otp::seal_plain(&*parts.store, &parts.secrets, now)?;
        let decoys = kept(&*parts.store, "decoys", now, || Ok(Zeroizing::new(random::<32>().to_vec())))?;
        Ok(Self {
            webauthn: Ceremonies::new(&relying_party, &parts.cluster)?,
            passwords: Passwords::new()?,
            rates: Rates::new(),
            sso: Sso::default(),
            asks: Arc::default(),
            invites: Secret::new(&random::<32>()),
            decoys: Secret::new(&decoys),
            state: ArcSwap::from_pointee(State::empty(&relying_party, &cas.gate())?),
            gate: cas.gate(),
            cas: ArcSwap::from_pointee(cas),
            store: parts.store,
            clock: parts.clock,
            sink: parts.sink,
            cluster: parts.cluster,
            relying_party: relying_party.into(),
            pins: ArcSwap::from_pointee(parts.pins),
            host_names: parts.host_names,
            resource_dir: parts.resource_dir,
            secrets: parts.secrets,
            writing: Mutex::new(()),
            reading: Mutex::new(()),
            reported: Mutex::default(),
        })
    }

    /// SHA-256 of the first host authority's public key, by which statements name the gate.
    pub const fn gate_fingerprint(&self) -> Digest {
        self.gate
    }

    /// SHA-256 of the present host authority's public key, which clients pin. It is the same until that one is rotated.
    pub fn ca_pin(&self) -> Digest {
        self.cas.load().host.pin()
    }

    /// Whose certificates become identities.
    pub fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.cas.load().trust)
    }

    /// The authority that signs the gate's SSH host certificates.
    pub fn host_ca(&self) -> Arc<SshCa> {
        Arc::clone(&self.cas.load().host_ssh.now)
    }

    /// Whose TLS client certificates the gate shows to databases and other targets.
    pub fn target_tls_ca(&self) -> Arc<X509Ca> {
        Arc::clone(&self.cas.load().target_tls.now)
    }

    /// The same authority's certificate, PEM, for the targets that shall trust it; in a rotation both.
    pub fn target_tls_ca_pem(&self) -> String {
        self.cas.load().target_tls.all().map(|ca| pem(ca.certificate())).collect()
    }

    /// The authority that signs what the gate shows to targets.
    pub fn target_ca(&self) -> Arc<SshCa> {
        Arc::clone(&self.cas.load().target_ssh.now)
    }

    /// Its public key as one line, for `TrustedUserCAKeys` of the targets; in a rotation two.
    pub fn target_ca_line(&self) -> Result<String, AuthorityError> {
        ssh_lines(&self.cas.load().target_ssh)
    }

    /// Where the SSH protocol finds the authority of hosts, which a rotation changes.
    pub fn host_source(self: &Arc<Self>) -> SshCaSource {
        let own = Arc::clone(self);
        Arc::new(move || own.host_ca())
    }

    /// Where the protocols find the authorities for targets, which a rotation changes.
    pub fn target_sources(self: &Arc<Self>) -> (SshCaSource, X509CaSource) {
        let (ssh, tls) = (Arc::clone(self), Arc::clone(self));
        (Arc::new(move || ssh.target_ca()), Arc::new(move || tls.target_tls_ca()))
    }

    /// What security keys are registered with, each origin in both its spellings: the gate must be
    /// given this one.
    pub fn relying_party(&self) -> &RelyingParty {
        &self.relying_party
    }

    /// Makes other pins count, as after a change of `tapgate.yaml`. [`Authority::snapshot`] must follow.
    pub fn install_pins(&self, pins: Vec<Digest>) {
        self.pins.store(Arc::new(pins));
    }

    /// Frees the space of what has expired; says how much there was. To be called now and then.
    pub fn sweep(&self) -> Result<usize, AuthorityError> {
        Ok(self.store.sweep(self.now().as_secs())?)
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Warns of something that is found again at each look.
    pub(crate) fn warn_once(&self, what: String) {
        let new = self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(sha256(&[what.as_bytes()]));
        if new {
            self.warn(what);
        }
    }

    pub(crate) fn warn(&self, what: String) {
        tracing::warn!(what, "Security warning");
        self.sink.record(Event::security_warning(what));
    }
}

/// The public keys of an authority, one a line.
pub(crate) fn ssh_lines(ca: &Rotating<SshCa>) -> Result<String, AuthorityError> {
    let lines: Result<Vec<_>, _> = ca.all().map(|ca| ca.public_key().to_openssh()).collect();
    Ok(lines.map_err(AuthorityError::internal)?.join("\n"))
}

/// Never prints keys or secrets.
impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).field("gate", &self.gate).finish_non_exhaustive()
    }
}

const _: () = assert!(limits::ONCE_TTL.as_secs() <= limits::CEREMONY_TTL.as_secs());
