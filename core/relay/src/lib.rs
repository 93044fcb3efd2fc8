//! What the edge hands to a protocol, and the one small trait that a protocol implements.

mod prefixed;

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use tapgate_identity::Identity;
use tapgate_session::ProtocolName;
use tokio::io::{AsyncRead, AsyncWrite};

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
    /// Who opened the TLS tunnel around the protocol, where there is one and it showed a certificate.
    pub tls: Option<Arc<Identity>>,
    /// The connection's place among its address's handshakes. The protocol drops it once it knows
    /// who is there, so that connections which never get that far stay few.
    pub handshake: Option<Box<dyn Send + Sync>>,
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

    /// Tells from the first bytes whether a client speaks this protocol. Pure.
    fn sniff(&self, head: &[u8]) -> Sniff;

    /// Serves one connection to its end. The protocol reaches a target only by a grant of the gate
    /// that it was made with.
    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()>;
}
