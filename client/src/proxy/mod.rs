//! Local proxies: a place on this machine where ordinary programs reach a target through the gate.

pub mod app;
pub mod http;
pub mod listen;
pub mod secret;

use std::sync::Arc;

use tapgate_model::{Clock as _, Kind, Login, SystemClock, TargetName, UnixTime};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::client::TlsStream;

use crate::cli::Context;
use crate::error::Result;
use crate::limits::WINDOW_MARGIN;
use crate::session::{self, Access, Signer};
use crate::tls::{Alpn, Tls};
use crate::tunnel::SessionIdentity;

/// The way to one target as long as a proxy runs: each tunnel is a connection of its own, and where the window of
/// the last tap is over, the next tunnel asks for another one.
pub struct Way {
    context: Context,
    kind: Kind,
    target: TargetName,
    login: Login,
    alpn: &'static [u8],
    /// What the last opening gave; held while a tap is asked for, so that connections which come together ask once.
    open: Mutex<Option<Opened>>,
}

/// What a session is opened with, in the form in which TLS needs it.
enum Opened {
    /// The login certificate.
    Login,
    /// A session's.
    Session { tls_certificate: tapgate_api::SessionCertificates, signer: Arc<Signer>, until: UnixTime },
}

impl Opened {
    fn holds(&self, now: UnixTime) -> bool {
        match self {
            Self::Login => true,
            Self::Session { tls_certificate, until, .. } => {
                tls_certificate.reusable && now.plus(WINDOW_MARGIN) < *until
            }
        }
    }
}

impl Way {
    /// The way to this target through tunnels of this name.
    pub fn new(context: Context, kind: Kind, target: TargetName, login: Login, alpn: &'static [u8]) -> Self {
        Self { context, kind, target, login, alpn, open: Mutex::new(None) }
    }

    /// The target.
    pub const fn target(&self) -> &TargetName {
        &self.target
    }

    /// The person's own context.
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Asks for the tap now, if one is due, so that it is not the first connection that waits for it.
    pub async fn prepare(&self) -> Result<()> {
        self.tls().await.map(drop)
    }

    /// A new tunnel.
    pub async fn tunnel(&self) -> Result<TlsStream<TcpStream>> {
        self.tls().await?.connect(Alpn::Tunnel(self.alpn)).await
    }

    /// TLS with what the session needs; asks for a tap where the last one's window is over.
    async fn tls(&self) -> Result<Tls> {
        let mut open = self.open.lock().await;
        if open.as_ref().is_none_or(|opened| !opened.holds(SystemClock.now())) {
            *open = Some(self.ask().await?);
        }
        match open.as_ref() {
            None | Some(Opened::Login) => self.context.tls(),
            Some(Opened::Session { tls_certificate, signer, .. }) => {
                let identity = SessionIdentity::new(tls_certificate, Arc::clone(signer))?;
                let profile = &self.context.profile;
                Ok(Tls::with_session(profile.gate.clone(), &profile.ca_pin, identity))
            }
        }
    }

    async fn ask(&self) -> Result<Opened> {
        let access = session::open(&self.context, self.kind, &self.target, &self.login).await?;
        Ok(match access {
            Access::Login => Opened::Login,
            Access::Window { certificates, signer } => {
                let until = UnixTime::from_secs(certificates.expires);
                Opened::Session { tls_certificate: certificates, signer: Arc::new(signer), until }
            }
        })
    }
}
