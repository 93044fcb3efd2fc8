//! A target for the demo and for tests: a small SSH server that lets in whom one SSH authority vouches for.
//!
//! It runs the shell of whoever started it, whatever the login is. It speaks the connection protocol by
//! itself, over raw packets, so that it takes data only as fast as its programs do.

mod connection;
mod process;
mod say;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::{Certificate, HashAlg, PrivateKey, PublicKey, Signature};
use russh::server::{Auth, Handler, PublicKeyOffer, Session};
use tapgate_model::{Clock, UnixTime};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use connection::Connection;

use crate::severable::Severable;

/// Connections at once. The demo has one gate before it, and a gate has few sessions in a demo.
const CONNECTIONS_MAX: usize = 256;

/// A running demo target. It ends when this is dropped.
#[derive(Debug)]
pub struct DemoTarget {
    address: SocketAddr,
    host_key: String,
    task: AbortHandle,
}

impl DemoTarget {
    /// Starts a target on a loopback port of the system's choice.
    pub async fn start(host_key: PrivateKey, user_ca: PublicKey, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let line = host_key.public_key().to_openssh().map_err(io::Error::other)?;
        let config = Arc::new(russh::server::Config {
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![host_key],
            inactivity_timeout: None,
            nodelay: true,
            ..russh::server::Config::default()
        });
        let task = tokio::spawn(accept(listener, config, Arc::new(user_ca), clock)).abort_handle();
        Ok(Self { address, host_key: line, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its host key, as a line of OpenSSH, for a node's `host_keys`.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }
}

impl Drop for DemoTarget {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    config: Arc<russh::server::Config>,
    user_ca: Arc<PublicKey>,
    clock: Arc<dyn Clock>,
) {
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        // A stream without it works as well, only slower.
        stream.set_nodelay(true).unwrap_or_default();
        if running.len() >= CONNECTIONS_MAX {
            continue;
        }
        let door =
            DoorKeeper { user_ca: Arc::clone(&user_ca), clock: Arc::clone(&clock), admitted: None, inside: None };
        let config = Arc::clone(&config);
        running.spawn(async move {
            // russh runs on a task of its own, which ends with its stream.
            let token = CancellationToken::new();
            let _sever = token.clone().drop_guard();
            if let Ok(session) = russh::server::run_stream(config, Severable::new(stream, token), door).await
                && let Err(error) = session.await
            {
                tracing::debug!(%error, "A connection to the demo target broke");
            }
        });
    }
}

/// Lets in whom the authority vouches for, and then is the connection.
struct DoorKeeper {
    user_ca: Arc<PublicKey>,
    clock: Arc<dyn Clock>,
    admitted: Option<Admitted>,
    inside: Option<Connection>,
}

/// Who was let in.
struct Admitted {
    login: String,
    may_have_pty: bool,
}

impl Handler for DoorKeeper {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(if offer.certificate.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
        _signature: &Signature,
    ) -> Result<Auth, Self::Error> {
        self.admitted = None;
        if !vouches(&self.user_ca, certificate, user, self.clock.now()) {
            return Ok(Auth::reject());
        }
        let may_have_pty = certificate.extensions().contains_key("permit-pty");
        self.admitted = Some(Admitted { login: user.to_owned(), may_have_pty });
        Ok(Auth::Accept)
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        let Admitted { login, may_have_pty } = self.admitted.take().ok_or(russh::Error::NotAuthenticated)?;
        self.inside = Some(Connection::new(session.handle(), login, may_have_pty));
        Ok(())
    }

    async fn raw_packet(&mut self, packet: &[u8]) -> Result<bool, Self::Error> {
        let inside = self.inside.as_mut().ok_or(russh::Error::NotAuthenticated)?;
        inside.packet(packet).map_err(|()| russh::Error::Inconsistent)?;
        Ok(true)
    }
}

/// Whether the authority vouches for this login. Who signed comes first; russh has verified nothing but that
/// the certificate is whole and that its key has signed.
fn vouches(authority: &PublicKey, certificate: &Certificate, login: &str, now: UnixTime) -> bool {
    certificate.signature_key() == authority.key_data()
        && certificate.cert_type() == CertType::User
        && certificate.critical_options().is_empty()
        && certificate.valid_principals().iter().any(|principal| principal == login)
        && (certificate.valid_after()..certificate.valid_before()).contains(&now.as_secs())
        && certificate.validate_at(now.as_secs(), [&authority.fingerprint(HashAlg::Sha256)]).is_ok()
}

#[cfg(test)]
#[path = "demo_target/tests.rs"]
mod tests;
