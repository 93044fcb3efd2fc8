//! HTTP applications: by their host names for browsers, and through tunnels for everything else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use pingora::apps::{HttpServerOptions, ServerApp as _};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use tapgate_identity::{ClientAuth, X509CaSource};
use tapgate_model::{Clock, tunnel};
use tapgate_relay::{Accepted, DoorName, HostCheck, Io, Protocol, Sniff, TlsDoor, TlsFacts, hail};
use tapgate_session::{AppResource, Gate, ProtocolName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::codes::Codes;
use crate::conn::{ClientIo, Connection, Way};
use crate::door::{Door, Errand, Offer};
use crate::engine::Engine;
use crate::hosts::Hosts;
use crate::jwt::Signer;
use crate::limits::{CLIENT_H2_IDLE, HEAD_MAX, RETRIES_MAX, UPSTREAM_IDLE_MAX};
use crate::session::{AppSession, Party, SessionKey};
use crate::sessions::{NotOpened, Sessions, Wanted, WebSessions};
use crate::turns;

/// What the HTTP door is made of.
pub struct HttpParts {
    /// The gate.
    pub gate: Gate,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who knows the web sessions.
    pub web: Arc<dyn WebSessions>,
    /// Who signs identities for applications.
    pub signer: Arc<Signer>,
    /// Whose client certificates applications are shown.
    pub target_ca: X509CaSource,
    /// The domain under which every application has a host name, where there is one.
    pub domain: Option<String>,
    /// The port that browsers use.
    pub port: u16,
    /// The address of the tap page, without a query.
    pub tap_page: String,
}

/// HTTP applications.
pub struct Http {
    proxy: Arc<HttpProxy<Engine>>,
    sessions: Arc<Sessions>,
    hosts: Hosts,
    /// Never sent: connections end with their sessions, which the gate cuts when it closes.
    shutdown: watch::Receiver<bool>,
    _running: watch::Sender<bool>,
    /// The same door that the engine has, for the tap page.
    door: Arc<Door>,
}

impl Http {
    /// The door to this gate's applications.
    pub fn new(parts: HttpParts) -> Self {
        let HttpParts { gate, clock, web, signer, target_ca, domain, port, tap_page } = parts;
        let hosts = Hosts::new(gate.clone(), domain, port);
        let sessions = Arc::new(Sessions::new(gate, web, target_ca, Arc::clone(&clock)));
        let door =
            Arc::new(Door { sessions: Arc::clone(&sessions), hosts: hosts.clone(), codes: Codes::default(), tap_page });
        let conf = ServerConf {
            upstream_keepalive_pool_size: UPSTREAM_IDLE_MAX,
            max_retries: RETRIES_MAX,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            ..ServerConf::default()
        };
        let mut proxy = http_proxy(&Arc::new(conf), Engine { door: Arc::clone(&door), signer, clock });
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(CLIENT_H2_IDLE);
        proxy.server_options = Some(options);
        let (running, shutdown) = watch::channel(false);
        Self { proxy: Arc::new(proxy), sessions, hosts, shutdown, _running: running, door }
    }

    /// What the tap page of somebody who is signed in is told of an application.
    pub async fn offer(&self, party: Party, errand: Errand, peer: SocketAddr) -> Offer {
        self.door.offer(party, errand, peer).await
    }

    /// Where browsers open this application; none for TCP, and where it has no name.
    pub fn url(&self, app: &AppResource) -> Option<String> {
        self.hosts.of(app).map(|host| self.hosts.origin(&host))
    }

    async fn run(&self, io: Box<dyn Io>, h2: bool, peer: SocketAddr, way: Way) {
        let connection = Arc::new(Connection::new(peer, way));
        let Some(io) = ClientIo::new(io, h2, connection) else { return };
        if h2 {
            // The whole connection is served in here; what comes back is nothing.
            drop(self.proxy.process_new(Box::new(io), &self.shutdown).await);
        } else {
            turns::serve(&self.proxy, Box::new(io), &self.shutdown).await;
        }
    }

    /// A connection at an application's own host name.
    async fn at_host(&self, io: Box<dyn Io>, peer: SocketAddr, tls: TlsFacts) {
        let Some(host) = tls.sni else { return };
        let h2 = tls.alpn.as_deref() == Some(b"h2");
        self.run(io, h2, peer, Way::Host(host)).await;
    }

    /// A tunnel: it says where it leads, and then speaks HTTP.
    async fn in_tunnel(&self, mut io: Box<dyn Io>, peer: SocketAddr, tls: TlsFacts) {
        let Some(hail) = hail::read(&mut io).await else {
            hail::refuse(&mut io, "the first line names no application (is the client of the gate's version?)")
                .await
                .ok();
            return;
        };
        let Some(identity) = tls.identity else { return };
        let party = Party { identity, holder: None };
        let session = match Box::pin(self.tunnelled(&party, &hail, peer)).await {
            Ok(session) => session,
            Err(why) => {
                hail::refuse(&mut io, why.message()).await.ok();
                return;
            }
        };
        if hail::open(&mut io).await.is_err() {
            return;
        }
        // HTTP/2 without TLS of its own begins with its preface (RFC 9113 section 3.4).
        let Ok(Some((head, h2))) = timeout(HEAD_MAX * 4, preface(&mut io)).await else { return };
        self.run(Box::new(Rewound { head, io }), h2, peer, Way::Tunnel(session)).await;
    }

    /// The session of this certificate and application: the one at hand, or a new one.
    async fn tunnelled(
        &self,
        party: &Party,
        hail: &tunnel::Hail,
        peer: SocketAddr,
    ) -> Result<Arc<AppSession>, NotOpened> {
        if hail.port.is_some() {
            return Err(NotOpened::Refused("only a TCP application has ports to choose from".to_owned()));
        }
        let key = SessionKey::Certificate(*party.identity.fingerprint(), hail.target.clone());
        if let Some(session) = self.sessions.find(&key, None, peer).await {
            return Ok(session);
        }
        self.sessions.open(Wanted { key, app: &hail.target, host: None, party, peer }).await
    }
}

impl Protocol for Http {
    fn name(&self) -> ProtocolName {
        ProtocolName::Http
    }

    fn tls_doors(&self) -> Vec<TlsDoor> {
        let hosts = self.hosts.clone();
        let known = HostCheck::new(move |host| hosts.app(host).is_some());
        let named = |name| TlsDoor { name, alpn: vec![b"h2", b"http/1.1"], client: ClientAuth::Never, session: false };
        let mut doors = vec![TlsDoor::tunnel(tunnel::APP, true), named(DoorName::Known(known))];
        // Names that are no application's as well: who asks learns nothing of which there are.
        doors.extend(self.hosts.domain().map(|domain| named(DoorName::Under(domain.to_owned()))));
        doors
    }

    fn sniff(&self, _: &[u8]) -> Sniff {
        Sniff::No
    }

    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()> {
        async move {
            let Accepted { io, peer, tls, handshake } = conn;
            drop(handshake);
            let Some(tls) = tls else { return };
            if tls.alpn.as_deref() == Some(tunnel::APP) {
                self.in_tunnel(io, peer, tls).await;
            } else {
                self.at_host(io, peer, tls).await;
            }
        }
        .boxed()
    }
}

/// Reads as far as tells HTTP/2 from HTTP/1; gives back what was read. `None`: the client has gone.
async fn preface(io: &mut Box<dyn Io>) -> Option<(Bytes, bool)> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
    let mut head = BytesMut::with_capacity(PREFACE.len());
    loop {
        let all = PREFACE.len().min(head.len());
        if PREFACE.get(..all) != head.get(..all) {
            return Some((head.freeze(), false));
        }
        if all == PREFACE.len() {
            return Some((head.freeze(), true));
        }
        if io.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
}

/// A stream whose first bytes were read already.
struct Rewound {
    head: Bytes,
    io: Box<dyn Io>,
}

impl AsyncRead for Rewound {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let take = self.head.len().min(buf.remaining());
        buf.put_slice(self.head.get(..take).unwrap_or_default());
        self.head.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
