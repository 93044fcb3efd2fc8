//! The client's leg up to where it is known who comes and whereto.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt as _;
use tapgate_identity::Identity;
use tapgate_model::tunnel;
use tapgate_proof::Holder;
use tapgate_relay::{Io, StartTls, TlsFacts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::name::{Destination, DestinationError};
use crate::startup::{CancelKey, Packet, Startup, StartupError, read};
use crate::wire::{self, Severity};

/// A client at the door.
pub(crate) struct Entrance {
    io: Box<dyn Io>,
    tls: Option<TlsFacts>,
    pub(crate) peer: SocketAddr,
    asked: Asked,
}

/// What the client has asked for already; each is asked once.
#[derive(Default)]
struct Asked {
    tls: bool,
    gss: bool,
}

/// Who came, and for what.
pub(crate) enum Arrival {
    /// To open a session.
    Guest(Guest),
    /// To cancel what a session does.
    Cancel(CancelKey, Option<Arc<Identity>>),
}

/// Somebody who has shown a certificate and says where to.
pub(crate) struct Guest {
    pub(crate) identity: Arc<Identity>,
    pub(crate) startup: Startup,
    pub(crate) destination: Destination,
}

/// Why a client is turned away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Turned {
    #[error("{0}")]
    Startup(#[from] StartupError),
    #[error("{0}")]
    Destination(#[from] DestinationError),
    #[error("this gate speaks TLS only (add sslmode=verify-full, or connect with `tap db connect`)")]
    Plain,
    #[error("no client certificate was shown (connect with `tap db connect`, or give sslcert and sslkey)")]
    NoCertificate,
    #[error("received unencrypted data after the request for TLS (is somebody in between?)")]
    Unencrypted,
    #[error("TLS was asked for twice")]
    Twice,
    #[error("a direct TLS connection must name the protocol \"postgresql\" (sslnegotiation=direct does)")]
    NoAlpn,
}

impl Turned {
    /// Its SQLSTATE.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Startup(StartupError::Version(..)) => "0A000",
            Self::Startup(_) | Self::Unencrypted | Self::Twice | Self::NoAlpn => "08P01",
            Self::Destination(_) | Self::Plain | Self::NoCertificate => "28000",
        }
    }

    /// Whether the connection is over already, so that nobody reads why.
    const fn is_gone(&self) -> bool {
        matches!(self, Self::Startup(StartupError::Io(_)))
    }
}

impl Entrance {
    pub(crate) fn new(io: Box<dyn Io>, tls: Option<TlsFacts>, peer: SocketAddr) -> Self {
        Self { io, tls, peer, asked: Asked::default() }
    }

    /// Reads packets until one says what the client wants. `under` is the name below which targets have names of
    /// their own. The caller sets the deadline.
    pub(crate) async fn arrive(&mut self, upgrade: &dyn StartTls, under: &str) -> Result<Arrival, Turned> {
        if self.tls.as_ref().is_some_and(|tls| tls.alpn.is_none()) {
            return Err(Turned::NoAlpn);
        }
        let through_tunnel = self.tls.as_ref().is_some_and(|tls| tls.alpn.as_deref() == Some(tunnel::POSTGRES));
        loop {
            match read(&mut self.io).await? {
                Packet::Tls if self.asked.tls => return Err(Turned::Twice),
                Packet::Gss if self.asked.gss => return Err(Turned::Twice),
                // A tunnel is secure as it is; a client behind `tap` may ask all the same.
                Packet::Tls if through_tunnel => {
                    self.asked.tls = true;
                    self.say(b"N").await?;
                }
                Packet::Gss if self.tls.is_none() || through_tunnel => {
                    self.asked.gss = true;
                    self.say(b"N").await?;
                }
                Packet::Tls if self.tls.is_none() => {
                    self.asked.tls = true;
                    self.secure(upgrade).await?;
                }
                Packet::Tls | Packet::Gss => return Err(Turned::Twice),
                Packet::Cancel(key) => {
                    return Ok(Arrival::Cancel(key, self.tls.as_ref().and_then(|tls| tls.identity.clone())));
                }
                Packet::Startup(startup) => return self.guest(startup, under).await.map(Arrival::Guest),
            }
        }
    }

    /// Who it is, and whereto.
    async fn guest(&mut self, startup: Startup, under: &str) -> Result<Guest, Turned> {
        let tls = self.tls.as_ref().ok_or(Turned::Plain)?;
        let identity = tls.identity.clone().ok_or(Turned::NoCertificate)?;
        let host = tls.sni.as_deref().and_then(|sni| sni.strip_suffix(under)).and_then(|sni| sni.strip_suffix('.'));
        let destination = Destination::of(&startup, host.filter(|_| !under.is_empty()))?;
        if let Some(negotiation) = startup.negotiation() {
            self.say(&negotiation).await?;
        }
        Ok(Guest { identity, startup, destination })
    }

    /// Turns the stream into TLS. Whatever the client has sent in clear beyond its request ends the connection:
    /// nothing of it may be taken for something said within (the mistake of CVE-2021-23214).
    async fn secure(&mut self, upgrade: &dyn StartTls) -> Result<(), Turned> {
        let mut early = [0; 1];
        if self.io.read(&mut early).now_or_never().is_some_and(|read| read.is_ok_and(|length| length > 0)) {
            return Err(Turned::Unencrypted);
        }
        self.say(b"S").await?;
        let plain = std::mem::replace(&mut self.io, Box::new(tokio::io::empty()));
        let secured = upgrade.start(plain).await.map_err(StartupError::Io)?;
        self.io = secured.io;
        self.tls = Some(secured.tls);
        Ok(())
    }

    /// The connection itself, as a tap may name it.
    pub(crate) fn channel(&self) -> Option<Holder> {
        self.tls.as_ref().and_then(|tls| tls.channel.clone())
    }

    /// Waits until the client is gone. One that is asked for a tap has nothing to say: whatever comes is its goodbye.
    pub(crate) async fn gone(&mut self) {
        let mut byte = [0; 1];
        drop(self.io.read(&mut byte).await);
    }

    /// Says something to the client, as it is.
    pub(crate) async fn tell(&mut self, words: &[u8]) -> Result<(), StartupError> {
        self.say(words).await
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), StartupError> {
        self.io.write_all(bytes).await?;
        Ok(self.io.flush().await?)
    }

    /// Tells the client why it is turned away.
    pub(crate) async fn turn_away(mut self, turned: &Turned) {
        tracing::debug!(peer = %self.peer, reason = %turned, "Turned a PostgreSQL client away");
        if !turned.is_gone() {
            self.refuse(turned.code(), &turned.to_string()).await;
        }
    }

    /// Tells the client that there will be no session.
    pub(crate) async fn refuse(&mut self, code: &str, message: &str) {
        self.part(&wire::error(Severity::Fatal, code, message)).await;
    }

    /// Says these last words.
    pub(crate) async fn part(&mut self, words: &[u8]) {
        // A client that is gone needs no words.
        drop(self.say(words).await);
        drop(self.io.shutdown().await);
    }

    /// The client's bytes, from here on those of its session.
    pub(crate) fn into_io(self) -> Box<dyn Io> {
        self.io
    }
}
