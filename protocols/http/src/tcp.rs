//! TCP applications: a tunnel names application and port, and carries bytes to it; each is a session of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tapgate_identity::Identity;
use tapgate_model::{Kind, Login, tunnel};
use tapgate_relay::carry::{Blind, Pace, carry};
use tapgate_relay::{Accepted, Io, Protocol, Sniff, TlsDoor, hail};
use tapgate_session::{Ask, ConnectionFacts, Door, EndReason, Gate, Live, NoPrompt, ProtocolName, Upstream};

use crate::limits::{LINGER_MAX, TCP_IDLE_MAX};

/// What moves either way is somebody's doing: nobody can tell what it is.
const STIRS: Blind = Blind { stirs: true };

const PACE: Pace = Pace { idle_max: TCP_IDLE_MAX, linger_max: LINGER_MAX };

/// TCP applications.
pub struct Tcp {
    gate: Gate,
}

impl Tcp {
    /// The door to this gate's TCP applications.
    pub const fn new(gate: Gate) -> Self {
        Self { gate }
    }

    async fn carry(&self, mut io: Box<dyn Io>, peer: SocketAddr, identity: Arc<Identity>) {
        let Some(hail) = hail::read(&mut io).await else {
            hail::refuse(&mut io, "the first line names no application (is the client of the gate's version?)")
                .await
                .ok();
            return;
        };
        match self.open(&hail, peer, &identity).await {
            // Best effort: a client that has gone needs no answer.
            Err(why) => drop(hail::refuse(&mut io, &why).await),
            Ok((upstream, live)) => {
                let reason = match hail::open(&mut io).await {
                    Ok(()) => carry(io, upstream, &live, PACE, (STIRS, STIRS)).await,
                    Err(_) => EndReason::Client,
                };
                live.finish(&reason);
            }
        }
    }

    async fn open(
        &self,
        hail: &tunnel::Hail,
        peer: SocketAddr,
        identity: &Arc<Identity>,
    ) -> Result<(Upstream, Live), String> {
        let connection = ConnectionFacts { peer, door: Door::Certificate, protocol: ProtocolName::Tcp, holder: None };
        let ask = Ask { identity, kind: Kind::App, target: &hail.target, login: &Login::App, connection: &connection };
        let grant = self.gate.open(&ask, &mut NoPrompt).await.map_err(|refusal| refusal.message().to_owned())?;
        let (upstream, live) = grant.dial_at(hail.port).await.map_err(|error| error.to_string())?;
        if live.about().app().is_some_and(|app| app.is_tcp()) {
            return Ok((upstream, live));
        }
        // Requests are seen and named where that is possible; as bytes they would pass unseen.
        let why = format!("\"{}\" is no TCP application", hail.target);
        live.finish(&EndReason::Error(why.clone()));
        Err(why)
    }
}

impl Protocol for Tcp {
    fn name(&self) -> ProtocolName {
        ProtocolName::Tcp
    }

    fn tls_doors(&self) -> Vec<TlsDoor> {
        vec![TlsDoor::tunnel(tunnel::TCP, true)]
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
