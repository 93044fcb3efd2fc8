//! An ask: may this identity open this target under this login, over this connection?

use std::net::SocketAddr;
use std::sync::Arc;

use tapgate_identity::Identity;
use tapgate_model::{Kind, Login, TargetName};
use tapgate_proof::Holder;

/// How a client brings its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// In a session certificate.
    Certificate,
    /// By a tap that is asked for over the connection itself.
    InBand,
    /// By a tap in a web session.
    Web,
}

impl Door {
    /// The word for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::InBand => "in-band",
            Self::Web => "web",
        }
    }
}

/// The protocols that the gate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolName {
    /// SSH.
    Ssh,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// HTTP applications.
    Http,
    /// TCP applications.
    Tcp,
    /// Kubernetes.
    Kube,
    /// RDP.
    Rdp,
    /// VNC.
    Vnc,
}

impl ProtocolName {
    /// The word for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Kube => "kube",
            Self::Rdp => "rdp",
            Self::Vnc => "vnc",
        }
    }
}

/// What is known of the connection that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Where the client connected from.
    pub peer: SocketAddr,
    /// How it brings its proof.
    pub door: Door,
    /// What it speaks.
    pub protocol: ProtocolName,
    /// What a tap over this very connection would be good for; `None` at the certificate door,
    /// where the certificate's key is the holder.
    pub holder: Option<Holder>,
}

/// May this identity open this target under this login, over this connection?
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks; made only by verifying a certificate.
    pub identity: &'a Arc<Identity>,
    /// The kind of target.
    pub kind: Kind,
    /// The target's name.
    pub target: &'a TargetName,
    /// Who to become there.
    pub login: &'a Login,
    /// The connection.
    pub connection: &'a ConnectionFacts,
}

impl Ask<'_> {
    /// The holder that evidence for this ask must name.
    pub(crate) fn holder(&self) -> Holder {
        self.connection.holder.clone().unwrap_or(Holder::SessionKey(*self.identity.key()))
    }
}
