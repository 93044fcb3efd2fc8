//! What the edge hands to a protocol, and the one small trait that a protocol implements.

mod inbox;
mod prefixed;

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use tapgate_identity::{ClientAuth, Identity};
use tapgate_proof::Holder;
use tapgate_session::ProtocolName;
use tokio::io::{AsyncRead, AsyncWrite};

pub use inbox::Inbox;
pub use prefixed::Prefixed;

/// A byte stream to a client, whatever lies under it.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection that the edge has accepted and, where TLS was spoken, terminated.
pub struct Accepted {
    /// The client's bytes, from the first byte of the inner protocol on.
    pub io: Box<dyn Io>,
    /// Where the client connected from.
    pub peer: SocketAddr,
    /// What the TLS around the protocol said, where there is one.
    pub tls: Option<TlsFacts>,
    /// The connection's place among its address's handshakes. The protocol drops it once it knows
    /// who is there, so that connections which never get that far stay few.
    pub handshake: Option<Box<dyn Send + Sync>>,
}

/// What a TLS handshake of the edge said.
#[derive(Debug, Clone, Default)]
pub struct TlsFacts {
    /// Whose certificate was shown, if any: a login's or a session's.
    pub identity: Option<Arc<Identity>>,
    /// The name that the client asked for (RFC 6066 section 3), in lower case.
    pub sni: Option<String>,
    /// The protocol that was agreed on (RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// The connection itself, as a tap may name it (RFC 5705, RFC 9266).
    pub channel: Option<Holder>,
}

/// By what the edge knows that a TLS client wants a protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoorName {
    /// The client offers this ALPN name to the gate's own name.
    Alpn(&'static [u8]),
    /// The client asks for this host name.
    Host(String),
    /// The client asks for a name of one more label before this one.
    Under(String),
    /// The client asks for a host name that the protocol knows just now; the names come and go with resources.
    Known(HostCheck),
}

/// Whether a host name, in lower case, is one of those that a protocol serves.
#[derive(Clone)]
pub struct HostCheck(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl HostCheck {
    /// Asks this at every handshake; it must answer at once.
    pub fn new(check: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Whether the name is one of them.
    pub fn knows(&self, name: &str) -> bool {
        (self.0)(name)
    }
}

impl std::fmt::Debug for HostCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostCheck")
    }
}

impl PartialEq for HostCheck {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for HostCheck {}

/// A way into a protocol through TLS on the one port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsDoor {
    /// By what it is known.
    pub name: DoorName,
    /// What the gate agrees to speak there, the best first.
    pub alpn: Vec<&'static [u8]>,
    /// Whether a client must show a certificate.
    pub client: ClientAuth,
    /// Whether that may be a session's certificate, and not a login's alone.
    pub session: bool,
}

impl TlsDoor {
    /// A tunnel that the `tap` client opens: known by its ALPN name, with a certificate.
    pub fn tunnel(alpn: &'static [u8], session: bool) -> Self {
        Self { name: DoorName::Alpn(alpn), alpn: vec![alpn], client: ClientAuth::Mandatory, session }
    }
}

/// A stream that a protocol has had secured.
pub struct Secured {
    /// The client's bytes, from the first one inside TLS on.
    pub io: Box<dyn Io>,
    /// What the handshake said.
    pub tls: TlsFacts,
}

/// Turns a stream into TLS, for protocols whose own words ask for that (`SSLRequest` and its like). A client
/// certificate may be shown, a login's or a session's; the caller sets the deadline.
pub trait StartTls: Send + Sync {
    /// Does the server's side of the handshake.
    fn start(&self, io: Box<dyn Io>) -> BoxFuture<'_, std::io::Result<Secured>>;
}

/// What a protocol makes of a connection's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniff {
    /// They are this protocol's.
    Yes,
    /// They are not.
    No,
    /// They may be; more bytes would tell.
    NeedMore,
}

/// A protocol that the gate speaks to clients and to targets.
pub trait Protocol: Send + Sync + 'static {
    /// The protocol's name.
    fn name(&self) -> ProtocolName;

    /// The ways into it through TLS on the one port.
    fn tls_doors(&self) -> Vec<TlsDoor> {
        Vec::new()
    }

    /// Tells from the first bytes whether a client speaks this protocol. Pure.
    fn sniff(&self, head: &[u8]) -> Sniff;

    /// Serves one connection to its end. The protocol reaches a target only by a grant of the gate
    /// that it was made with.
    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()>;
}
