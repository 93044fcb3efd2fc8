//! TCP applications: a tunnel names application and port, and carries bytes to it; each is a session of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tapgate_identity::Identity;
use tapgate_model::{Kind, Login, tunnel};
use tapgate_relay::{Accepted, Io, Protocol, Sniff, TlsDoor};
use tapgate_session::{Ask, ConnectionFacts, Door, EndReason, Gate, Live, NoPrompt, ProtocolName, Upstream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use crate::hail;
use crate::limits::{COPY_BUFFER, LINGER_MAX, TCP_IDLE_MAX, WRITE_MAX};

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
                    Ok(()) => relay(io, upstream, &live).await,
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

/// Carries bytes both ways until one side ends, the session is cut, or nothing moves for too long.
async fn relay(client: Box<dyn Io>, target: Upstream, live: &Live) -> EndReason {
    let idle = live.terms().client_idle_timeout.unwrap_or(TCP_IDLE_MAX).min(TCP_IDLE_MAX);
    let mut cut = live.cut();
    let moved = Notify::new();
    let (from_client, to_client) = split(client);
    let (from_target, to_target) = split(target);
    let mut up = Box::pin(copy(from_client, to_target, &moved));
    let mut down = Box::pin(copy(from_target, to_client, &moved));
    let mut due = Instant::now() + idle;
    loop {
        tokio::select! {
            reason = cut.wanted() => return EndReason::Cut(reason),
            // The end of the one way is told on; the other may still have something to say.
            ended = &mut up => {
                return match timeout(LINGER_MAX, &mut down).await {
                    Ok(Err(why)) => EndReason::Error(why),
                    _ => ended.err().map_or(EndReason::Client, EndReason::Error),
                };
            }
            ended = &mut down => {
                return match timeout(LINGER_MAX, &mut up).await {
                    Ok(Err(why)) => EndReason::Error(why),
                    _ => ended.err().map_or(EndReason::Target, EndReason::Error),
                };
            }
            () = moved.notified() => due = Instant::now() + idle,
            () = sleep_until(due) => return EndReason::Idle,
        }
    }
}

/// One way, to its end.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, moved: &Notify) -> Result<(), String> {
    let mut buffer = vec![0; COPY_BUFFER];
    let in_words = |error: std::io::Error| error.kind().to_string();
    loop {
        let n = from.read(&mut buffer).await.map_err(in_words)?;
        if n == 0 {
            // The other side may have gone first, which its own way says.
            to.shutdown().await.ok();
            return Ok(());
        }
        moved.notify_one();
        let write = async {
            to.write_all(buffer.get(..n).unwrap_or_default()).await?;
            to.flush().await
        };
        timeout(WRITE_MAX, write).await.map_err(|_| "the other side does not read".to_owned())?.map_err(in_words)?;
    }
}
