//! The key or connection that a tap is good for.

use std::fmt;
use std::net::IpAddr;

use tapgate_model::Digest;

/// The key or connection that a tap is good for: whoever presents the proof must be it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A session key, by the SHA-256 of its SPKI.
    SessionKey(Digest),
    /// An SSH connection, by its exchange hash.
    SshSession(Digest),
    /// A TLS connection, by its exporter.
    TlsExporter(Digest),
    /// A browser's session with the gate.
    WebSession(Digest),
    /// One connection of a browser's session with the gate: a terminal's.
    WebConnection {
        /// The browser's session.
        session: Digest,
        /// The SHA-256 of the connection's own secret.
        connection: Digest,
    },
    /// Any connection with a login key from one address; a role must have opted in to this.
    LoginKey {
        /// The SHA-256 of the login key's SPKI.
        key: Digest,
        /// The address.
        address: IpAddr,
    },
}

impl Holder {
    /// The browser's session that it is, or is a connection of.
    pub const fn web_session(&self) -> Option<&Digest> {
        match self {
            Self::WebSession(session) | Self::WebConnection { session, .. } => Some(session),
            Self::SessionKey(_) | Self::SshSession(_) | Self::TlsExporter(_) | Self::LoginKey { .. } => None,
        }
    }
}

/// In words, as the person reads it before tapping.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionKey(_) => f.write_str("for this session key only"),
            Self::SshSession(_) => f.write_str("for this SSH connection only"),
            Self::TlsExporter(_) => f.write_str("for this TLS connection only"),
            Self::WebSession(_) => f.write_str("for this browser session only"),
            Self::WebConnection { .. } => f.write_str("for this terminal in this browser only"),
            Self::LoginKey { address, .. } => write!(f, "for ANY connection with your login key from {address}"),
        }
    }
}
