//! The local end of a desktop: takes viewers of this machine and leads each through a tunnel of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tapgate_model::tunnel::{self, DesktopHail};
use tapgate_model::{DesktopProtocol, Kind, Login, LoginName};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::{Desktop, vnc};
use crate::cli::Context;
use crate::error::{Failure, Result};
use crate::keys::sha256;
use crate::limits::{DB_BUFFER_BYTES, DESKTOP_WRONG_MAX, PROXY_CONNECTIONS_MAX};
use crate::proxy::Way;
use crate::proxy::listen::{Listener, Local};
use crate::proxy::secret::Secret;
use crate::tunnel::hail;

/// The local end of one desktop.
pub(super) struct Front {
    way: Way,
    hail: DesktopHail,
    secret: Option<Secret>,
    /// How often a wrong password was shown.
    wrong: AtomicU32,
}

impl Front {
    /// A front whose viewers become this login; with `secret` they must show it.
    pub(super) fn new(context: Context, desktop: &Desktop, login: LoginName, secret: Option<Secret>) -> Result<Self> {
        let protocol = desktop.speaks()?;
        // The gate sees RDP's password, and is told what it must be; VNC's is looked at here.
        let password = secret.as_ref().filter(|_| protocol == DesktopProtocol::Rdp);
        let password = password.map(|secret| sha256(secret.reveal().as_bytes()));
        let hail = DesktopHail { protocol, login: login.clone(), target: desktop.name.clone(), password };
        let (kind, login) = (Kind::WindowsDesktop, Login::Desktop(login));
        let way = Way::new(context, kind, desktop.name.clone(), login, tunnel::DESKTOP);
        Ok(Self { way, hail, secret, wrong: AtomicU32::new(0) })
    }

    /// The password of this run.
    pub(super) const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// Asks for the tap now, so that it is not the first viewer that waits for it.
    pub(super) async fn prepare(&self) -> Result<()> {
        self.way.prepare().await
    }

    /// Serves viewers until it is dropped. What goes wrong with one of them is told on standard error; after too many
    /// wrong passwords it ends.
    pub(super) async fn serve(self: Arc<Self>, listener: &Listener) -> Result<()> {
        let mut connections = JoinSet::new();
        loop {
            if self.wrong.load(Ordering::SeqCst) >= DESKTOP_WRONG_MAX {
                return Err(Failure::new("too many wrong passwords were shown at the port")
                    .advise("somebody on this machine guesses; use a socket instead of --port"));
            }
            tokio::select! {
                accepted = listener.accept(), if connections.len() < PROXY_CONNECTIONS_MAX => {
                    let (local, front) = (accepted?, Arc::clone(&self));
                    connections.spawn(async move {
                        if let Err(failure) = front.connection(local).await {
                            eprintln!("WARNING: {failure}");
                        }
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(&self, mut local: Local) -> Result<()> {
        let vnc = self.secret.as_ref().filter(|_| self.hail.protocol == DesktopProtocol::Vnc);
        if let Some(secret) = vnc
            && !vnc::greet(&mut local, secret).await?
        {
            self.wrong.fetch_add(1, Ordering::SeqCst);
            return Err(Failure::new("a viewer showed a wrong password"));
        }
        let mut tunnel = self.reach().await?;
        if vnc.is_some() {
            vnc::enter(&mut tunnel).await?;
        }
        // How a viewer leaves is its own affair.
        tokio::io::copy_bidirectional_with_sizes(&mut local, &mut tunnel, DB_BUFFER_BYTES, DB_BUFFER_BYTES).await.ok();
        Ok(())
    }

    /// A tunnel that leads to the desktop.
    async fn reach(&self) -> Result<TlsStream<TcpStream>> {
        let mut stream = self.way.tunnel().await?;
        hail(&mut stream, &self.hail).await?;
        Ok(stream)
    }
}
