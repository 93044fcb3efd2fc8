//! One connection from its first byte: who comes, the verdict, the desktop, and then the session.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use tapgate_identity::Identity;
use tapgate_model::tunnel::{self, DesktopHail};
use tapgate_model::{DesktopProtocol, Kind, Login};
use tapgate_relay::{Accepted, Io, Protocol, Sniff, StartTls, TlsDoor};
use tapgate_session::{
    Ask, ConnectionFacts, DesktopMode, DesktopResource, Door, EndReason, Gate, Live, NoPrompt, ProtocolName, Upstream,
};
use tokio::time::timeout;

use crate::limits::ENTER_MAX;
use crate::password::Password;
use crate::{hail, rdp, vnc};

/// What desktops are made of.
pub struct DesktopParts {
    /// Who decides.
    pub gate: Gate,
    /// Turns a connection of RDP into TLS.
    pub start_tls: Arc<dyn StartTls>,
}

/// Desktops, behind the tunnel of `tap`.
pub struct Desktop {
    gate: Gate,
    start_tls: Arc<dyn StartTls>,
}

/// Why a desktop was not entered, in words for its user.
#[derive(Debug, thiserror::Error)]
enum NotEntered {
    #[error("the gate has no password for {0} there (its resource names them in `auth.password_files`)")]
    NoPassword(String),
    #[error("the gate can't use its password for it (its log says why)")]
    Password,
    #[error("{0}")]
    Rdp(#[from] rdp::EnterError),
    #[error("{0}")]
    Vnc(#[from] vnc::EnterError),
    #[error("it did not let the gate in within {} seconds", ENTER_MAX.as_secs())]
    Slow,
}

/// A desktop that the gate is in.
enum Entered {
    Rdp(Box<rdp::Entered>),
    Passthrough(Upstream),
    Vnc(Box<vnc::Entered>),
}

impl Desktop {
    /// Desktops, made of these parts.
    pub fn new(parts: DesktopParts) -> Self {
        Self { gate: parts.gate, start_tls: parts.start_tls }
    }

    async fn carry(&self, mut io: Box<dyn Io>, peer: SocketAddr, identity: Arc<Identity>) {
        let Some(hail) = hail::read(&mut io).await else {
            let why = "the first line names no desktop (is the client of the gate's version?)";
            return drop(hail::refuse(&mut io, why).await);
        };
        match Box::pin(self.open(&hail, peer, &identity)).await {
            // Best effort: a client that has gone needs no answer.
            Err(why) => drop(hail::refuse(&mut io, &why).await),
            Ok((entered, live)) => {
                let reason = match hail::open(&mut io).await {
                    Ok(()) => Box::pin(self.session(io, entered, &live, &hail)).await,
                    Err(_) => EndReason::Client,
                };
                live.finish(&reason);
            }
        }
    }

    /// Asks for the session, dials the desktop, and enters it. The error is in words for the client.
    async fn open(
        &self,
        hail: &DesktopHail,
        peer: SocketAddr,
        identity: &Arc<Identity>,
    ) -> Result<(Entered, Live), String> {
        let protocol = match hail.protocol {
            DesktopProtocol::Rdp => ProtocolName::Rdp,
            DesktopProtocol::Vnc => ProtocolName::Vnc,
        };
        let connection = ConnectionFacts { peer, door: Door::Certificate, protocol, holder: None };
        let login = Login::Desktop(hail.login.clone());
        let ask =
            Ask { identity, kind: Kind::WindowsDesktop, target: &hail.target, login: &login, connection: &connection };
        let grant = self.gate.open(&ask, &mut NoPrompt).await.map_err(|refusal| refusal.message().to_owned())?;
        let (upstream, live) = grant.dial().await.map_err(|error| error.to_string())?;
        let refused = |live: Live, why: String| {
            live.finish(&EndReason::Error(why.clone()));
            why
        };
        let Some(desktop) = live.about().desktop().cloned() else {
            return Err(refused(live, format!("\"{}\" is no desktop", hail.target)));
        };
        if let Err(why) = fits(hail, &desktop, &live) {
            return Err(refused(live, why));
        }
        let mut cut = live.cut();
        let entered = tokio::select! {
            reason = cut.wanted() => {
                live.finish(&EndReason::Cut(reason.clone()));
                return Err(reason.to_string());
            }
            entered = timeout(ENTER_MAX, Box::pin(enter(upstream, &desktop, hail))) => entered,
        };
        match entered.unwrap_or(Err(NotEntered::Slow)) {
            Ok(entered) => Ok((entered, live)),
            Err(error) => {
                tracing::warn!(target = %desktop.name, %error, "Could not enter a desktop");
                Err(refused(live, format!("the desktop \"{}\" can't be entered: {error}", desktop.name)))
            }
        }
    }

    async fn session(&self, io: Box<dyn Io>, entered: Entered, live: &Live, hail: &DesktopHail) -> EndReason {
        match entered {
            Entered::Rdp(entered) => rdp::session(io, *entered, &*self.start_tls, live, hail).await,
            Entered::Passthrough(upstream) => rdp::passthrough(io, upstream, live).await,
            Entered::Vnc(entered) => vnc::session(io, *entered, live).await,
        }
    }
}

/// Whether what the client wants, the desktop and the role go together.
fn fits(hail: &DesktopHail, desktop: &DesktopResource, live: &Live) -> Result<(), String> {
    let name = &desktop.name;
    if desktop.protocol != hail.protocol {
        return Err(format!("\"{name}\" speaks another protocol (it may have changed; start again)"));
    }
    let terms = live.terms().desktop;
    let passes = desktop.mode == DesktopMode::Passthrough;
    if passes && !(terms.clipboard && terms.directory_sharing) {
        return Err(format!(
            "your role forbids clipboard or drives, which the gate can't see in \"{name}\" (mode: passthrough)"
        ));
    }
    if passes && hail.password.is_some() {
        return Err(format!("\"{name}\" (mode: passthrough) has no place for the port's password (leave --port out)"));
    }
    Ok(())
}

async fn enter(upstream: Upstream, desktop: &Arc<DesktopResource>, hail: &DesktopHail) -> Result<Entered, NotEntered> {
    if desktop.mode == DesktopMode::Passthrough {
        return Ok(Entered::Passthrough(upstream));
    }
    let password = match desktop.password_file(&hail.login) {
        None => None,
        Some(path) => Some(Password::read(path).map_err(|error| {
            tracing::warn!(target = %desktop.name, path = %path.display(), %error, "Could not use a desktop's password");
            NotEntered::Password
        })?),
    };
    match (desktop.protocol, password) {
        (DesktopProtocol::Vnc, password) => {
            Ok(Entered::Vnc(Box::new(vnc::enter(upstream, desktop, &hail.login, password.as_ref()).await?)))
        }
        (DesktopProtocol::Rdp, Some(password)) => {
            Ok(Entered::Rdp(Box::new(rdp::enter(upstream, desktop, &hail.login, password).await?)))
        }
        (DesktopProtocol::Rdp, None) => Err(NotEntered::NoPassword(hail.login.to_string())),
    }
}

impl Protocol for Desktop {
    fn name(&self) -> ProtocolName {
        ProtocolName::Rdp
    }

    fn tls_doors(&self) -> Vec<TlsDoor> {
        vec![TlsDoor::tunnel(tunnel::DESKTOP, true)]
    }

    fn sniff(&self, _: &[u8]) -> Sniff {
        Sniff::No
    }

    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()> {
        async move {
            let Accepted { io, peer, tls, handshake } = conn;
            drop(handshake);
            if let Some(identity) = tls.and_then(|tls| tls.identity) {
                self.carry(io, peer, identity).await;
            }
        }
        .boxed()
    }
}
