//! Accepts connections, within limits, and hands each to what it speaks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tapgate_relay::{Accepted, Prefixed, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::limits::{ACCEPT_PAUSE, HANDSHAKE_MAX, HANDSHAKES_PER_ADDRESS_MAX, PLAIN_REQUEST_MAX};
use crate::proxied;
use crate::sniff::{self, Spoken};
use crate::tls::{self, Tls};
use crate::web::Web;

/// What connections are handed to.
pub(crate) struct Edge {
    pub(crate) protocols: Vec<Arc<dyn Protocol>>,
    pub(crate) tls: Tls,
    pub(crate) web: Web,
    pub(crate) handshakes: Arc<Handshakes>,
    /// Networks whose connections say whose they are.
    pub(crate) proxies: Vec<IpNet>,
    /// How many connections more there is room for, on all ports together.
    pub(crate) room: Arc<Semaphore>,
}

/// How many connections of each address are in their handshake.
#[derive(Default)]
pub(crate) struct Handshakes(Mutex<HashMap<IpAddr, usize>>);

/// A handshake under way; dropped when it is over.
struct Handshake(Arc<Handshakes>, IpAddr);

impl Handshakes {
    fn begin(self: &Arc<Self>, address: IpAddr) -> Option<Handshake> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_insert(0);
        if *count >= HANDSHAKES_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        Some(Handshake(Arc::clone(self), address))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
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
            tracing::warn!(%peer, "Refused a connection: the gate is full");
            refused("full");
            continue;
        };
        let (edge, only) = (Arc::clone(&edge), only.clone());
        tokio::spawn(async move {
            serve(&edge, only, stream, peer).await;
            drop(permit);
        });
    }
}

async fn serve(edge: &Arc<Edge>, only: Option<Arc<dyn Protocol>>, mut stream: TcpStream, peer: SocketAddr) {
    let deadline = Instant::now() + HANDSHAKE_MAX;
    let Some(peer) = whose(edge, &mut stream, peer, deadline).await else { return };
    let Some(handshake) = edge.handshakes.begin(peer.ip()) else {
        tracing::warn!(%peer, "Refused a connection: too many handshakes from its address");
        refused("address");
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "Could not set TCP_NODELAY");
    }
    if let Some(protocol) = only {
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
            let io = Box::new(Prefixed::new(head, stream));
            let handshake: Option<Box<dyn Send + Sync>> = Some(Box::new(handshake));
            Arc::clone(protocol).serve(Accepted { io, peer, tls: None, handshake }).await;
        }
        Spoken::Tls => {
            spoken_first("tls");
            // Boxed, as all around it stays as long as the connection.
            let accepted = Box::pin(timeout_at(deadline, edge.tls.accept(Prefixed::new(head, stream)))).await;
            drop(handshake);
            match accepted {
                Ok(Ok(opened)) => Box::pin(inside(edge, opened, peer)).await,
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
            if let Ok(Err(error)) = Box::pin(timeout_at(deadline, use_tls(stream, edge.web.public_addr()))).await {
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
async fn inside(edge: &Arc<Edge>, opened: tls::Opened, peer: SocketAddr) {
    match opened.inside {
        tls::Inside::Protocol(n) => {
            let Some(protocol) = edge.protocols.get(n) else { return };
            let io = Box::new(opened.stream);
            Arc::clone(protocol).serve(Accepted { io, peer, tls: Some(opened.facts), handshake: None }).await;
        }
        // Boxed, or a connection of any other kind would hold the room for this.
        tls::Inside::Http => Box::pin(edge.web.serve(opened, peer)).await,
    }
}

/// Tells a plain HTTP client where the gate is, and nothing else. The caller sets the deadline.
async fn use_tls(mut stream: TcpStream, public: &str) -> std::io::Result<()> {
    let body = format!("This port speaks TLS: use https://{public}/\n");
    let answer = format!(
        "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://{public}/\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // A close with the request's rest unread would reset the connection, and the answer with it.
    tokio::io::copy(&mut stream.take(PLAIN_REQUEST_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}
