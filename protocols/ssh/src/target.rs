//! The target's leg: who it must be, how the gate logs in there, and what it says afterwards.

use std::sync::Arc;

use russh::Disconnect;
use russh::client::{AuthResult, DisconnectReason, Handle, Handler, RawSender};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::{Algorithm, PrivateKey};
use tapgate_identity::{IssueError, Permit, SshCa, TargetSubject};
use tapgate_model::{Clock, Login};
use tapgate_session::{Live, Upstream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::algorithms;
use crate::host_key::{HostKeyError, KnownHost};
use crate::limits::{FAREWELL_MAX, TARGET_HANDSHAKE_MAX};
use crate::link::Link;
use crate::severable::Severable;
use crate::side::Side;
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
    #[error("its handshake failed: {0}")]
    Handshake(#[from] russh::Error),
    #[error("no certificate could be issued for it: {0}")]
    Issue(#[from] IssueError),
    #[error("the login is not a Unix login")]
    Login,
}

/// What the gate shows to targets.
pub(crate) struct Passport {
    ca: Arc<SshCa>,
    /// One key for the whole process. It proves nothing without a certificate, and each of those
    /// names one session.
    key: Arc<PrivateKey>,
    clock: Arc<dyn Clock>,
}

impl Passport {
    /// A passport with a fresh key.
    pub(crate) fn new(ca: Arc<SshCa>, clock: Arc<dyn Clock>) -> Result<Self, russh::keys::ssh_key::Error> {
        let key = Arc::new(PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?);
        Ok(Self { ca, key, clock })
    }
}

/// An entered target.
pub(crate) struct TargetLeg {
    handle: Handle<Reception>,
    is_gone: bool,
    /// Cuts the connection when the leg is dropped, whatever russh is waiting for.
    _sever: DropGuard,
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
    let trust = upstream.about().node().ok_or(TargetError::Login)?;
    let known = KnownHost::new(&live.target().name, trust);
    let config = Arc::new(algorithms::client(known.pinned(), known.has_authority()));
    let reception = Reception { known, clock: Arc::clone(&passport.clock), link };
    let token = CancellationToken::new();
    let sever = token.clone().drop_guard();
    let mut handle = russh::client::connect_stream(config, Severable::new(upstream, token), reception).await?;

    let terms = live.terms();
    let permits = [
        Some(Permit::Pty),
        Some(Permit::UserRc),
        terms.port_forwarding.then_some(Permit::PortForwarding),
        terms.forward_agent.then_some(Permit::AgentForwarding),
    ];
    let permits: Vec<Permit> = permits.into_iter().flatten().collect();
    let subject = TargetSubject {
        public_key: passport.key.public_key(),
        login,
        user: live.user(),
        session: live.id(),
        permits: &permits,
    };
    let certificate = passport.ca.issue_target(&subject, passport.clock.now())?;
    let key = Arc::clone(&passport.key);
    match handle.authenticate_openssh_cert(login.as_str(), key, certificate).await? {
        AuthResult::Success => Ok(TargetLeg { handle, is_gone: false, _sever: sever }),
        AuthResult::Failure { .. } => Err(TargetError::Refused(login.to_string())),
    }
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
