//! The target's leg: who it must be, how the gate logs in there, and what it says afterwards.

use std::sync::Arc;

use russh::client::{AuthResult, DisconnectReason, Handle, Handler, RawSender};
use russh::keys::ssh_key::{Algorithm, HashAlg, PrivateKey};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Disconnect};
use tapgate_identity::{IssueError, Permit, SshCaSource, TargetSubject};
use tapgate_model::{Clock, Login, LoginName, ObjectName, TargetName};
use tapgate_relay::Io;
use tapgate_session::{Live, NodeSsh, Upstream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::algorithms;
use crate::hop::{self, HopLeg};
use crate::host_key::{HostKeyError, KnownHost};
use crate::limits::{FAREWELL_MAX, TARGET_HANDSHAKE_MAX};
use crate::link::Link;
use crate::severable::Severable;
use crate::side::Side;
use crate::stored_key::{KeySource, StoredKey};
use crate::write::one_line;

/// Why a target that was reached could not be entered. Each is shown to the user after the target's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{0}")]
    HostKey(#[from] HostKeyError),
    #[error(
        "it refused the gate's certificate for the login \"{0}\" (does that login exist, and does it trust the gate's CA?)"
    )]
    Refused(String),
    #[error("it did not finish its handshake within {} seconds", TARGET_HANDSHAKE_MAX.as_secs())]
    Slow,
    #[error(
        "it refused the stored key \"{0}\" for the login \"{1}\" (is the key's line in that login's authorized_keys?)"
    )]
    RefusedKey(ObjectName, String),
    #[error("the gate holds no key \"{0}\" (an administrator of its host adds it: tapgate keys)")]
    NoKey(ObjectName),
    #[error("the gate can't use its key \"{0}\": {1}")]
    Key(ObjectName, String),
    #[error("the way leads through node \"{0}\", and {1}")]
    Way(TargetName, Box<TargetError>),
    #[error("{0}")]
    Onward(&'static str),
    #[error("it shares no {0} with the gate (for an old server an administrator sets ssh.legacy_algorithms)")]
    NothingShared(&'static str),
    #[error("its handshake failed: {0}")]
    Handshake(russh::Error),
    #[error("no certificate could be issued for it: {0}")]
    Issue(#[from] IssueError),
    #[error("the login is not a Unix login")]
    Login,
}

impl From<russh::Error> for TargetError {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::NoCommonAlgo { kind, .. } => Self::NothingShared(match kind {
                AlgorithmKind::Kex => "key exchange",
                AlgorithmKind::Key => "kind of host key",
                AlgorithmKind::Cipher => "cipher",
                AlgorithmKind::Compression => "compression",
                AlgorithmKind::Mac => "MAC",
            }),
            other => Self::Handshake(other),
        }
    }
}

/// What the gate shows to targets.
pub(crate) struct Passport {
    ca: SshCaSource,
    /// One key for the whole process. It proves nothing without a certificate, and each of those
    /// names one session.
    key: Arc<PrivateKey>,
    clock: Arc<dyn Clock>,
    /// The keys for targets that know no authority.
    keys: KeySource,
}

impl Passport {
    /// A passport with a fresh key.
    pub(crate) fn new(
        ca: SshCaSource,
        clock: Arc<dyn Clock>,
        keys: KeySource,
    ) -> Result<Self, russh::keys::ssh_key::Error> {
        let key = Arc::new(PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?);
        Ok(Self { ca, key, clock, keys })
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The stored key of this name.
    async fn stored(&self, name: &ObjectName) -> Result<PrivateKey, TargetError> {
        let broken = |why: String| TargetError::Key(name.clone(), why);
        let text = (self.keys)(name.clone()).await.map_err(broken)?;
        let text = text.ok_or_else(|| TargetError::NoKey(name.clone()))?;
        Ok(StoredKey::parse(&text).map_err(|fault| broken(fault.to_string()))?.into_private())
    }
}

/// An entered target.
pub(crate) struct TargetLeg {
    handle: Handle<Reception>,
    is_gone: bool,
    /// Cuts the connection when the leg is dropped, whatever russh is waiting for.
    _sever: DropGuard,
    /// The nodes on the way; they go when the target does.
    _hops: Vec<HopLeg>,
}

impl TargetLeg {
    /// Enters the target that this connection leads to.
    pub(crate) async fn enter(
        passport: &Passport,
        upstream: Upstream,
        live: &Live,
        link: Arc<Link>,
    ) -> Result<Self, TargetError> {
        let entering = enter(passport, upstream, live, link);
        timeout(TARGET_HANDSHAKE_MAX, entering).await.map_err(|_| TargetError::Slow)?
    }

    /// What sends packets to the target.
    pub(crate) fn sender(&self) -> RawSender {
        self.handle.raw_sender()
    }

    /// Waits until the connection is over.
    pub(crate) async fn gone(&mut self) {
        if !self.is_gone {
            if let Err(error) = (&mut self.handle).await {
                tracing::debug!(%error, "A target's connection broke");
            }
            self.is_gone = true;
        }
    }

    /// Lets the target know, after all that is on its way.
    pub(crate) async fn farewell(&mut self) {
        let said = async {
            // A target that is gone needs no farewell.
            drop(self.handle.disconnect(Disconnect::ByApplication, "the session is over", "").await);
            self.gone().await;
        };
        let _ = timeout(FAREWELL_MAX, said).await;
    }
}

async fn enter(
    passport: &Passport,
    upstream: Upstream,
    live: &Live,
    link: Arc<Link>,
) -> Result<TargetLeg, TargetError> {
    let Login::Unix(login) = live.login() else { return Err(TargetError::Login) };
    let way = Arc::clone(upstream.about().node().ok_or(TargetError::Login)?);
    let mut hops = Vec::new();
    let mut io: Box<dyn Io> = Box::new(upstream);
    for hop in &way.hops {
        let passed = hop::pass(passport, io, hop, login, live).await;
        let (leg, stream) = passed.map_err(|error| TargetError::Way(hop.node.name.clone(), Box::new(error)))?;
        hops.push(leg);
        io = Box::new(stream);
    }
    let known = KnownHost::new(&live.target().name, &way.trust);
    let config = algorithms::client(known.pinned(), known.has_authority(), way.ssh.legacy_algorithms);
    let reception = Reception { known, clock: Arc::clone(&passport.clock), link };
    let token = CancellationToken::new();
    let sever = token.clone().drop_guard();
    let mut handle = russh::client::connect_stream(Arc::new(config), Severable::new(io, token), reception).await?;

    let terms = live.terms();
    let permits = [
        Some(Permit::Pty),
        Some(Permit::UserRc),
        terms.port_forwarding.then_some(Permit::PortForwarding),
        terms.forward_agent.then_some(Permit::AgentForwarding),
    ];
    let permits: Vec<Permit> = permits.into_iter().flatten().collect();
    log_in(passport, &mut handle, &Door { ssh: &way.ssh, login, permits: &permits }, live).await?;
    Ok(TargetLeg { handle, is_gone: false, _sever: sever, _hops: hops })
}

/// How and as whom a server is entered.
pub(crate) struct Door<'a> {
    pub(crate) ssh: &'a NodeSsh,
    pub(crate) login: &'a LoginName,
    /// What the certificate permits, where one is shown.
    pub(crate) permits: &'a [Permit],
}

/// Logs in: with a certificate made for this session, or with the key that the node names.
pub(crate) async fn log_in<H: Handler<Error = TargetError>>(
    passport: &Passport,
    handle: &mut Handle<H>,
    door: &Door<'_>,
    live: &Live,
) -> Result<(), TargetError> {
    let login = door.login;
    if let Some(name) = &door.ssh.key {
        let key = passport.stored(name).await?;
        let hashes = if key.algorithm().is_rsa() { rsa_hashes(handle, door.ssh).await? } else { vec![None] };
        let key = Arc::new(key);
        for hash in hashes {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
            if let AuthResult::Success = handle.authenticate_publickey(login.as_str(), key).await? {
                return Ok(());
            }
        }
        return Err(TargetError::RefusedKey(name.clone(), login.to_string()));
    }
    let subject = TargetSubject {
        public_key: passport.key.public_key(),
        login,
        user: live.user(),
        session: live.id(),
        permits: door.permits,
    };
    let certificate = (passport.ca)().issue_target(&subject, passport.clock.now())?;
    match handle.authenticate_openssh_cert(login.as_str(), Arc::clone(&passport.key), certificate).await? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { .. } => Err(TargetError::Refused(login.to_string())),
    }
}

/// The hashes for a signature by RSA, to be tried in turn: what the server says it takes, else SHA-256. SHA-1 is for
/// servers that are marked as old, and the last there: some say that they take more than they do.
async fn rsa_hashes<H: Handler<Error = TargetError>>(
    handle: &Handle<H>,
    ssh: &NodeSsh,
) -> Result<Vec<Option<HashAlg>>, TargetError> {
    let said = handle.best_supported_rsa_hash().await?.flatten();
    let new = if ssh.legacy_algorithms { said } else { said.or(Some(HashAlg::Sha256)) };
    let old = ssh.legacy_algorithms.then_some(None);
    Ok(new.map(Some).into_iter().chain(old).collect())
}

/// The handler of the target's leg.
pub(crate) struct Reception {
    known: KnownHost,
    clock: Arc<dyn Clock>,
    link: Arc<Link>,
}

impl Handler for Reception {
    type Error = TargetError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        self.known.verify(shown, self.clock.now())?;
        Ok(true)
    }

    async fn raw_packet(&mut self, packet: &[u8]) -> Result<bool, Self::Error> {
        self.link.packet(Side::Target, packet);
        Ok(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                tracing::debug!(message = %one_line(&info.message), "The target said goodbye");
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }
}
