//! One connection from its first byte: who comes, the verdict, the desktop, and then the session.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use tapgate_identity::Identity;
use tapgate_model::tunnel::{self, DesktopHail};
use tapgate_model::{Clock, DesktopProtocol, Digest, Kind, Login, UserName};
use tapgate_proof::Holder;
use tapgate_relay::{Accepted, Io, Protocol, Sniff, StartTls, TlsDoor, hail};
use tapgate_session::{Ask, ConnectionFacts, Door, EndReason, Gate, Live, NoPrompt, ProtocolName};
use tokio::time::timeout;

use crate::enter::{Entered, NotEntered, enter, fits};
use crate::file::Files;
use crate::limits::ENTER_MAX;

/// What desktops are made of.
pub struct DesktopParts {
    /// Who decides.
    pub gate: Gate,
    /// Turns a connection of RDP into TLS.
    pub start_tls: Arc<dyn StartTls>,
    /// The certificates that it shows there, in DER, the gate's own first.
    pub certificates: Vec<Vec<u8>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether a web session still is one.
    pub web: Arc<dyn WebSessions>,
}

/// The web sessions, as somebody else keeps them.
pub trait WebSessions: Send + Sync {
    /// Whether this user's web session of this number still is one, from this address. It may wait for a disk.
    fn holds(&self, user: &UserName, number: &Digest, peer: IpAddr) -> bool;
}

/// Desktops, behind the tunnel of `tap`, on pages, and for clients with a file.
pub struct Desktop {
    pub(crate) gate: Gate,
    pub(crate) start_tls: Arc<dyn StartTls>,
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) files: Files,
}

/// Who comes, and by which door.
pub(crate) struct Guest {
    pub(crate) identity: Arc<Identity>,
    pub(crate) peer: SocketAddr,
    pub(crate) door: Door,
    /// What a tap of theirs names; at the certificate door the certificate's key.
    pub(crate) holder: Option<Holder>,
}

impl Desktop {
    /// Desktops, made of these parts.
    pub fn new(parts: DesktopParts) -> Self {
        let DesktopParts { gate, start_tls, certificates, clock, web } = parts;
        Self { gate, start_tls, certificates, files: Files::new(clock, web) }
    }

    async fn carry(&self, mut io: Box<dyn Io>, peer: SocketAddr, identity: Arc<Identity>) {
        let Some(hail) = hail::read(&mut io).await else {
            let why = "the first line names no desktop (is the client of the gate's version?)";
            return drop(hail::refuse(&mut io, why).await);
        };
        let guest = Guest { identity, peer, door: Door::Certificate, holder: None };
        match Box::pin(self.open(&hail, &guest)).await {
            // Best effort: a client that has gone needs no answer.
            Err(why) => drop(hail::refuse(&mut io, &why).await),
            Ok((entered, live)) => {
                let reason = match hail::open(&mut io).await {
                    Ok(()) => Box::pin(entered.in_tunnel(io, &*self.start_tls, &live, &hail)).await,
                    Err(_) => EndReason::Client,
                };
                live.finish(&reason);
            }
        }
    }

    /// Asks for the session, dials the desktop, and enters it. The error is in words for the client.
    pub(crate) async fn open(&self, hail: &DesktopHail, guest: &Guest) -> Result<(Entered, Live), String> {
        let protocol = match hail.protocol {
            DesktopProtocol::Rdp => ProtocolName::Rdp,
            DesktopProtocol::Vnc => ProtocolName::Vnc,
        };
        let Guest { identity, peer, door, holder } = guest;
        let connection = ConnectionFacts { peer: *peer, door: *door, protocol, holder: holder.clone() };
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
        if let Err(why) = fits(hail, &desktop, &live, *door) {
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
}

impl Protocol for Desktop {
    fn name(&self) -> ProtocolName {
        ProtocolName::Rdp
    }

    fn tls_doors(&self) -> Vec<TlsDoor> {
        vec![TlsDoor::tunnel(tunnel::DESKTOP, true)]
    }

    fn sniff(&self, head: &[u8]) -> Sniff {
        crate::file::sniff(head)
    }

    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()> {
        async move {
            let Accepted { io, peer, tls, handshake } = conn;
            match tls {
                // A client of RDP that has no tunnel has a file.
                None => Box::pin(self.with_file(io, peer, handshake)).await,
                Some(tls) => {
                    drop(handshake);
                    if let Some(identity) = tls.identity {
                        self.carry(io, peer, identity).await;
                    }
                }
            }
        }
        .boxed()
    }
}
