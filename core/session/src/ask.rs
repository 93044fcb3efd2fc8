//! An ask: may this identity open this target under this login, over this connection?

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tapgate_identity::{Credential, Identity};
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
    /// The door by which a client with this certificate comes: who brings a tap is asked for none.
    pub fn of(identity: &Identity) -> Self {
        match identity.credential() {
            Credential::Login | Credential::SshKey => Self::InBand,
            Credential::Session => Self::Certificate,
        }
    }

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

/// What is counted as one address: an IPv6 customer has a whole /64.
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
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

    /// The login key and the address, for asks that may have a tap by these: stock clients with a login certificate or a registered key.
    pub(crate) fn login_key(&self) -> Option<Holder> {
        let stock = self.connection.door == Door::InBand && self.identity.credential() != Credential::Session;
        let address = self.connection.peer.ip().to_canonical();
        stock.then(|| Holder::LoginKey { key: *self.identity.key(), address })
    }
}
