//! Accepts connections, within limits, and hands each to what it speaks.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tapgate_relay::{Accepted, Prefixed, Protocol};
use tapgate_session::ConnectionId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

use crate::acme::Challenges;
use crate::handshakes::{Handshake, Handshakes};
use crate::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, FILES_BESIDE, HANDSHAKE_MAX};
use crate::sniff::{self, Spoken};
use crate::tls::{self, Tls};
use crate::web::Web;
use crate::{plain, proxied};

/// What connections are handed to.
pub(crate) struct Edge {
    pub(crate) protocols: Vec<Arc<dyn Protocol>>,
    pub(crate) tls: Tls,
    pub(crate) web: Web,
    pub(crate) handshakes: Arc<Handshakes>,
    /// Whoever accepts, and connections on their way to where they are counted: so none is ever between two counts.
    pub(crate) arriving: TaskTracker,
    /// What a certificate authority looks for.
    pub(crate) challenges: Arc<Challenges>,
    /// Networks whose connections say whose they are.
    pub(crate) proxies: Vec<IpNet>,
    /// How many connections more there is room for, on all ports together.
    pub(crate) room: Arc<Semaphore>,
}

/// A port, and what is spoken there: one protocol, whose server speaks first, or whatever the first bytes say.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) only: Option<Arc<dyn Protocol>>,
}

/// Accepts until it is told to stop; connections go on in tasks of their own.
pub(crate) async fn accept(port: Port, edge: Arc<Edge>, stop: CancellationToken) {
    let room = Arc::clone(&edge.room);
    let Port { listener, only } = port;
    let _arriving = edge.arriving.token();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "Could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            edge.handshakes.refuse("Refused a connection: the gate is full", peer);
            refused("full");
            continue;
        };
        let (edge, only, id) = (Arc::clone(&edge), only.clone(), ConnectionId::next());
        let arrival = edge.arriving.token();
        let served = async move {
            serve(&edge, only, stream, (peer, arrival)).await;
            drop(permit);
        };
        // One number from here to the audit log.
        let span = tracing::info_span!("connection", %id, %peer);
        tokio::spawn(id.carry(served).instrument(span));
    }
}

/// How many connections there is room for: each may want a target's beside it, and files have a limit, which is raised
/// as far as it may be.
pub(crate) fn room() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return CONNECTIONS_MAX };
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    let room = usize::try_from(files.saturating_sub(FILES_BESIDE) / 2).unwrap_or(CONNECTIONS_MAX);
    if room < CONNECTIONS_MAX {
        tracing::warn!(files, room, "There is room for fewer connections than usual (raise the limit of open files)");
    }
    room.clamp(1, CONNECTIONS_MAX)
}

async fn serve(
    edge: &Arc<Edge>,
    only: Option<Arc<dyn Protocol>>,
    mut stream: TcpStream,
    (peer, arrival): (SocketAddr, TaskTrackerToken),
) {
    let deadline = Instant::now() + HANDSHAKE_MAX;
    let Some(peer) = whose(edge, &mut stream, peer, deadline).await else { return };
    let Some(handshake) = edge.handshakes.begin(peer.ip()) else {
        edge.handshakes.refuse("Refused a connection: too many handshakes from its address", peer);
        return refused("address");
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "Could not set TCP_NODELAY");
    }
    let pushed_out = handshake.pushed_out();
    tokio::select! {
        () = pushed_out.cancelled() => {
            edge.handshakes.refuse("Gave up a handshake: too many are under way", peer);
            refused("crowd");
        }
        () = shake(edge, only, stream, (peer, arrival), (handshake, deadline)) => {}
    }
}

/// From the first byte on.
async fn shake(
    edge: &Arc<Edge>,
    only: Option<Arc<dyn Protocol>>,
    mut stream: TcpStream,
    (peer, arrival): (SocketAddr, TaskTrackerToken),
    (handshake, deadline): (Handshake, Instant),
) {
    if let Some(protocol) = only {
        drop(arrival);
        let handshake: Option<Box<dyn Send + Sync>> = Some(Box::new(handshake));
        return protocol.serve(Accepted { io: Box::new(stream), peer, tls: None, handshake }).await;
    }
    let sniffed = Box::pin(timeout_at(deadline, sniff::sniff(&mut stream, &edge.protocols))).await;
    let Ok(Ok((spoken, head))) = sniffed else {
        tracing::debug!(%peer, "Closed a connection that did not say what it speaks in time");
        refused("silent");
        return;
    };
    match spoken {
        Spoken::Protocol(n) => {
            let Some(protocol) = edge.protocols.get(n) else { return };
            spoken_first(protocol.name().as_str());
            drop(arrival);
            let io = Box::new(Prefixed::new(head, stream));
            let handshake: Option<Box<dyn Send + Sync>> = Some(Box::new(handshake));
            Arc::clone(protocol).serve(Accepted { io, peer, tls: None, handshake }).await;
        }
        Spoken::Tls => {
            spoken_first("tls");
            // Boxed, and so is what comes of it, as all around it stays as long as the connection.
            let opened = async { edge.tls.accept(Prefixed::new(head, stream)).await.map(Box::new) };
            let accepted = Box::pin(timeout_at(deadline, opened));
            let accepted = accepted.instrument(tracing::debug_span!("handshake")).await;
            drop(handshake);
            match accepted {
                Ok(Ok(opened)) => Box::pin(inside(edge, opened, peer, arrival)).await,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "A TLS handshake failed");
                    refused("handshake");
                }
                Err(_) => {
                    tracing::debug!(%peer, "A TLS handshake took too long");
                    refused("slow_handshake");
                }
            }
        }
        Spoken::PlainHttp => {
            spoken_first("http");
            let answer = plain::answer(&head, stream, edge.web.public_addr(), &edge.challenges);
            if let Ok(Err(error)) = Box::pin(timeout_at(deadline, answer)).await {
                tracing::debug!(%peer, %error, "A plain HTTP client went away");
            }
        }
        Spoken::Unknown => {
            tracing::debug!(%peer, head = ?head.get(..head.len().min(16)), "Closed a connection in an unknown protocol");
            refused("unknown");
        }
    }
}

/// Whose connection it is: the peer's, or the client's that a load balancer names.
async fn whose(edge: &Edge, stream: &mut TcpStream, peer: SocketAddr, deadline: Instant) -> Option<SocketAddr> {
    if !proxied::is_proxy(&edge.proxies, peer) {
        return Some(peer);
    }
    match Box::pin(timeout_at(deadline, proxied::client(stream, peer))).await {
        Ok(Ok(client)) => return Some(client),
        Ok(Err(error)) => tracing::warn!(%peer, %error, "Refused a load balancer's connection"),
        Err(_) => tracing::warn!(%peer, "Refused a load balancer's connection: no PROXY header in time"),
    }
    refused("proxy_header");
    None
}

fn spoken_first(what: &'static str) {
    metrics::counter!("tapgate_connections_total", "spoken" => what).increment(1);
}

fn refused(why: &'static str) {
    metrics::counter!("tapgate_connections_refused_total", "why" => why).increment(1);
}

/// What is inside a TLS connection, by its ALPN.
async fn inside(edge: &Arc<Edge>, opened: Box<tls::Opened>, peer: SocketAddr, arrival: TaskTrackerToken) {
    match opened.inside {
        tls::Inside::Protocol(n) => {
            let Some(protocol) = edge.protocols.get(n) else { return };
            drop(arrival);
            let tls::Opened { stream, facts, .. } = *opened;
            let io = Box::new(stream);
            Arc::clone(protocol).serve(Accepted { io, peer, tls: Some(facts), handshake: None }).await;
        }
        // Boxed, or a connection of any other kind would hold the room for this.
        tls::Inside::Http => Box::pin(edge.web.serve(*opened, peer, arrival)).await,
    }
}
