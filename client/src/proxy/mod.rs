//! Local proxies: a place on this machine where ordinary programs reach a target through the gate.

pub mod app;
pub mod http;
pub mod listen;
pub mod secret;
pub mod ways;

use std::sync::Arc;

use tapgate_model::{Clock as _, Kind, Login, SystemClock, TargetName, UnixTime};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_rustls::client::TlsStream;

use crate::cli::Context;
use crate::error::{Act as _, Result};
use crate::limits::WINDOW_MARGIN;
use crate::session::{self, Access, Signer};
use crate::tls::{Alpn, Tls};
use crate::tunnel::SessionIdentity;

/// The way to one target as long as a proxy runs: each tunnel is a connection of its own, and where the window of
/// the last tap is over, the next tunnel asks for another one.
pub struct Way {
    context: Arc<Context>,
    kind: Kind,
    target: TargetName,
    login: Login,
    alpn: &'static [u8],
    /// What the last opening gave; held while a tap is asked for, so that connections which come together ask once.
    open: Mutex<Option<Opened>>,
}

/// What a session is opened with, in the form in which TLS needs it.
pub(crate) enum Opened {
    /// The login certificate.
    Login,
    /// A session's.
    Session { tls_certificate: tapgate_api::SessionCertificates, signer: Arc<Signer>, until: UnixTime },
}

impl From<Access> for Opened {
    fn from(access: Access) -> Self {
        match access {
            Access::Login => Self::Login,
            Access::Window { certificates, signer } => {
                let until = UnixTime::from_secs(certificates.expires);
                Self::Session { tls_certificate: certificates, signer: Arc::new(signer), until }
            }
        }
    }
}

impl Opened {
    /// Whether another tunnel may be opened with it.
    pub(crate) fn holds(&self, now: UnixTime) -> bool {
        match self {
            Self::Login => true,
            Self::Session { tls_certificate, until, .. } => {
                tls_certificate.reusable && now.plus(WINDOW_MARGIN) < *until
            }
        }
    }

    /// Whether it still opens the one session that it was prepared for.
    fn is_fresh(&self, now: UnixTime) -> bool {
        matches!(self, Self::Session { until, .. } if now < *until)
    }

    /// TLS that shows it.
    pub(crate) fn tls(&self, context: &Context) -> Result<Tls> {
        match self {
            Self::Login => context.tls(),
            Self::Session { tls_certificate, signer, .. } => {
                let identity = SessionIdentity::new(tls_certificate, Arc::clone(signer))?;
                Ok(Tls::with_session(context.profile.gate.clone(), &context.profile.ca_pin, identity))
            }
        }
    }
}

/// Asks on a thread of its own: whoever is waited for to tap holds up the thread, and the connections that are open
/// must go on meanwhile.
pub(crate) async fn aside<T, F>(ask: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let asking = tokio::task::spawn_blocking(move || Handle::current().block_on(ask()));
    asking.await.act(|| "the tap cannot be asked for".to_owned())?
}

impl Way {
    /// The way to this target through tunnels of this name.
    pub fn new(
        context: impl Into<Arc<Context>>,
        kind: Kind,
        target: TargetName,
        login: Login,
        alpn: &'static [u8],
    ) -> Self {
        let context = context.into();
        Self { context, kind, target, login, alpn, open: Mutex::new(None) }
    }

    /// The target.
    pub const fn target(&self) -> &TargetName {
        &self.target
    }

    /// The person's own context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Asks for the tap now, if one is due, so that it is not the first connection that waits for it.
    pub async fn prepare(&self) -> Result<()> {
        let mut open = self.open.lock().await;
        if open.as_ref().is_none_or(|opened| !opened.holds(SystemClock.now())) {
            *open = Some(self.ask().await?);
        }
        Ok(())
    }

    /// A new tunnel.
    pub async fn tunnel(&self) -> Result<TlsStream<TcpStream>> {
        self.tls().await?.connect(Alpn::Tunnel(self.alpn)).await
    }

    /// TLS with what the session needs; asks for a tap where the last one's window is over. What opens one session
    /// alone is handed out once.
    async fn tls(&self) -> Result<Tls> {
        let mut open = self.open.lock().await;
        let now = SystemClock.now();
        let opened = match open.take() {
            Some(opened) if opened.holds(now) || opened.is_fresh(now) => opened,
            _ => self.ask().await?,
        };
        let tls = opened.tls(&self.context);
        *open = Some(opened).filter(|opened| opened.holds(now));
        tls
    }

    async fn ask(&self) -> Result<Opened> {
        let (context, kind) = (Arc::clone(&self.context), self.kind);
        let (target, login) = (self.target.clone(), self.login.clone());
        aside(move || async move { session::open(&context, kind, &target, &login).await.map(Opened::from) }).await
    }
}
