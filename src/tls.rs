//! TLS at the edge: whose name is asked for, what is inside, and whose certificate was shown.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::Acceptor;
use tapgate_identity::{ClientAuth, ClientVerifier, Credential, Identity, TrustSource, server_config};
use tapgate_model::{Clock, UnixTime};
use tapgate_session::ProtocolName;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use tapgate_relay::Prefixed;

/// The ALPN name of the raw SSH tunnel that `tap proxy ssh` opens.
pub(crate) const ALPN_SSH: &[u8] = b"tapgate-ssh";

/// The TLS side of the one port.
pub(crate) struct Tls {
    names: Vec<String>,
    trust: TrustSource,
    clock: Arc<dyn Clock>,
    api: Arc<ServerConfig>,
    tunnel: Arc<ServerConfig>,
}

/// A connection whose handshake is over.
pub(crate) struct Opened {
    pub(crate) stream: TlsStream<Prefixed<TcpStream>>,
    pub(crate) inside: Inside,
    /// The name that the client asked for.
    pub(crate) sni: Option<String>,
    /// Whose login certificate was shown, if any.
    pub(crate) identity: Option<Arc<Identity>>,
}

/// What is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    Protocol(ProtocolName),
    Http,
}

impl Tls {
    /// Prepares both configurations: the interface, where a certificate may be shown, and the
    /// tunnels, where it must be.
    pub(crate) fn new(
        names: Vec<String>,
        chain: &[CertificateDer<'static>],
        key: &PrivateKeyDer<'static>,
        trust: &TrustSource,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, rustls::Error> {
        let config = |auth: ClientAuth, alpn: &[u8]| {
            let verifier = Arc::new(ClientVerifier::new(Arc::clone(trust), Arc::clone(clock), auth));
            server_config(verifier, chain.to_vec(), key.clone_key(), &[alpn]).map(Arc::new)
        };
        Ok(Self {
            api: config(ClientAuth::Optional, b"http/1.1")?,
            tunnel: config(ClientAuth::Mandatory, ALPN_SSH)?,
            names,
            trust: Arc::clone(trust),
            clock: Arc::clone(clock),
        })
    }

    /// Does the handshake; the caller sets the deadline.
    pub(crate) async fn accept(&self, stream: Prefixed<TcpStream>) -> io::Result<Opened> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let sni = hello.server_name().map(str::to_owned);
        if let Some(name) = sni.as_ref().filter(|name| !self.names.contains(name)) {
            return Err(io::Error::other(format!("asked for the name {name}, which is not this gate's")));
        }
        let tunnel = hello.alpn().is_some_and(|mut names| names.any(|name| name == ALPN_SSH));
        let (config, inside) =
            if tunnel { (&self.tunnel, Inside::Protocol(ProtocolName::Ssh)) } else { (&self.api, Inside::Http) };
        let stream = start.into_stream(Arc::clone(config)).await?;
        let identity = self.identity(stream.get_ref().1.peer_certificates(), self.clock.now())?;
        Ok(Opened { stream, inside, sni, identity })
    }

    /// The login identity behind the certificates that were shown. The handshake has proven the
    /// key; the certificate itself is verified here once more, by the one function that makes
    /// identities. Session certificates open sessions, not the interface.
    fn identity(&self, shown: Option<&[CertificateDer<'_>]>, now: UnixTime) -> io::Result<Option<Arc<Identity>>> {
        let Some([leaf, intermediates @ ..]) = shown else { return Ok(None) };
        let identity = (self.trust)().verify_x509(leaf, intermediates, now).map_err(io::Error::other)?;
        if identity.credential() != Credential::Login {
            return Err(io::Error::other("a session certificate was shown where a login certificate is due"));
        }
        Ok(Some(Arc::new(identity)))
    }
}
