//! TLS at the edge: whose name is asked for, what is inside, and whose certificate was shown.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, FutureExt as _};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::Acceptor;
use rustls::{ServerConfig, ServerConnection};
use tapgate_identity::{ClientAuth, ClientVerifier, Credential, Identity, TrustSource, server_config};
use tapgate_model::{Clock, Digest, UnixTime, tunnel};
use tapgate_proof::Holder;
use tapgate_relay::{DoorName, Io, Prefixed, Protocol, Secured, StartTls, TlsDoor, TlsFacts};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::acme::Challenges;
use crate::certificate::{Certificates, Era, OperatorCertificate, Own, Shown};
use crate::limits::NAMED_MAX;

/// The label under which a connection's own secret is exported (RFC 5705 section 4).
const EXPORTER: &[u8] = b"EXPORTER-tapgate-session";

/// Who issues certificates for further names of the gate, such as those of applications.
pub(crate) type Issue = Arc<dyn Fn(&str) -> io::Result<Shown> + Send + Sync>;

/// What the handshakes of every door are made with.
#[derive(Clone)]
pub(crate) struct TlsParts {
    pub(crate) names: Vec<String>,
    pub(crate) issue: Issue,
    pub(crate) era: Era,
    /// The one of them that is the pages' alone, where they have an origin of their own.
    pub(crate) pages_host: Option<String>,
    /// The gate's own certificate for its own names.
    pub(crate) own: Arc<Own>,
    /// What browsers are shown instead, where it is for the name that they ask for.
    pub(crate) operator: Arc<OperatorCertificate>,
    /// What a certificate authority is shown that looks whether the name is the gate's.
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) trust: TrustSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gate: Digest,
}

/// The TLS side of the one port.
pub(crate) struct Tls {
    parts: TlsParts,
    api: Arc<ServerConfig>,
    /// For the name of the pages, where they have an origin of their own.
    pages: Arc<ServerConfig>,
    doors: Vec<Door>,
}

/// A door, and the protocol behind it by its place in the table.
struct Door {
    known: TlsDoor,
    protocol: usize,
    /// For the gate's own certificate, or the one of all names under the door's.
    config: Arc<ServerConfig>,
    /// For names that come and go: made when one is asked for.
    named: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

/// A connection whose handshake is over.
pub(crate) struct Opened {
    pub(crate) stream: TlsStream<Prefixed<TcpStream>>,
    pub(crate) inside: Inside,
    pub(crate) facts: TlsFacts,
}

/// What is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// A protocol, by its place in the table.
    Protocol(usize),
    /// The gate's own interface.
    Http,
}

/// A build for FIPS runs in FIPS mode or not at all; any other build is not asked.
pub(crate) fn assert_fips() -> Result<(), &'static str> {
    if !cfg!(feature = "fips") || default_provider().fips() {
        return Ok(());
    }
    Err("this program was built for FIPS, and its TLS provider is not in FIPS mode (build it anew)")
}

impl TlsParts {
    /// With the gate's own certificate alone.
    fn config(&self, auth: ClientAuth, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, rustls::Error> {
        self.config_with(&self.own, &Arc::default(), auth, alpn)
    }

    /// With the operator's certificate beside the gate's own, where browsers come.
    fn config_for_browsers(
        &self,
        own: &Arc<Own>,
        auth: ClientAuth,
        alpn: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        self.config_with(own, &self.operator, auth, alpn)
    }

    /// With a certificate of its own for a door's name.
    fn config_for(&self, name: &str, door: &TlsDoor) -> io::Result<Arc<ServerConfig>> {
        let (issue, named) = (Arc::clone(&self.issue), name.to_owned());
        let own = Arc::new(Own::new(move || issue(&named), Arc::clone(&self.era))?);
        let made = if door.client == ClientAuth::Never {
            self.config_for_browsers(&own, door.client, &door.alpn)
        } else {
            self.config_with(&own, &Arc::default(), door.client, &door.alpn)
        };
        made.map_err(io::Error::other)
    }

    fn config_with(
        &self,
        own: &Arc<Own>,
        operator: &Arc<OperatorCertificate>,
        auth: ClientAuth,
        alpn: &[&[u8]],
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let verifier = Arc::new(ClientVerifier::new(Arc::clone(&self.trust), Arc::clone(&self.clock), auth));
        let shown = Certificates::new(Arc::clone(own), Arc::clone(operator));
        let config = server_config(verifier, Arc::new(shown), alpn)?;
        if cfg!(feature = "fips") && !config.fips() {
            return Err(rustls::Error::General("a configuration of TLS is not in FIPS mode".to_owned()));
        }
        Ok(Arc::new(config))
    }

    /// What a handshake said. It has proven the key; the certificate itself is verified here once more, by the one
    /// function that makes identities.
    fn facts(&self, connection: &ServerConnection, sni: Option<String>) -> io::Result<TlsFacts> {
        let identity = self.identity(connection.peer_certificates(), self.clock.now())?;
        let mut secret = [0; 32];
        let exported =
            connection.export_keying_material(&mut secret[..], EXPORTER, Some(self.gate.as_bytes())).map(drop);
        let channel = exported.is_ok().then(|| Holder::TlsExporter(Digest::from_bytes(secret)));
        Ok(TlsFacts { identity, sni, alpn: connection.alpn_protocol().map(<[u8]>::to_vec), channel })
    }

    fn identity(&self, shown: Option<&[CertificateDer<'_>]>, now: UnixTime) -> io::Result<Option<Arc<Identity>>> {
        let Some([leaf, intermediates @ ..]) = shown else { return Ok(None) };
        let identity = (self.trust)().verify_x509(leaf, intermediates, now).map_err(io::Error::other)?;
        Ok(Some(Arc::new(identity)))
    }
}

impl Tls {
    /// Prepares the interface, where a certificate may be shown, the pages of an origin of their own, where none is
    /// asked for, and the door of every protocol.
    pub(crate) fn new(parts: TlsParts, protocols: &[Arc<dyn Protocol>]) -> io::Result<Self> {
        let browsers = |auth, alpn: &[&[u8]]| parts.config_for_browsers(&parts.own, auth, alpn);
        let api = browsers(ClientAuth::Optional, &[tunnel::API, b"http/1.1"]).map_err(io::Error::other)?;
        let pages = browsers(ClientAuth::Never, &[b"http/1.1"]).map_err(io::Error::other)?;
        let all = protocols.iter().enumerate().flat_map(|(n, p)| p.tls_doors().into_iter().map(move |door| (n, door)));
        let doors = all.map(|(protocol, door)| {
            let config = match &door.name {
                DoorName::Under(name) => parts.config_for(&format!("*.{name}"), &door)?,
                DoorName::Alpn(_) | DoorName::Host(_) | DoorName::Known(_) => {
                    parts.config(door.client, &door.alpn).map_err(io::Error::other)?
                }
            };
            Ok(Door { known: door, protocol, config, named: Mutex::default() })
        });
        Ok(Self { api, pages, doors: doors.collect::<io::Result<_>>()?, parts })
    }

    /// Does the handshake; the caller sets the deadline.
    pub(crate) async fn accept(&self, stream: Prefixed<TcpStream>) -> io::Result<Opened> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let sni = hello.server_name().map(str::to_ascii_lowercase);
        let offered: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
        if let Some(config) = self.parts.challenges.handshake(&offered, sni.as_deref()) {
            start.into_stream(config).await?;
            return Err(io::Error::other("a certificate authority has looked: there is nothing more to say"));
        }
        let door = self.door(sni.as_deref(), &offered)?;
        let (config, inside) = match door {
            Some(door) => (self.config_of(door, sni.as_deref())?, Inside::Protocol(door.protocol)),
            None if sni.is_some() && sni == self.parts.pages_host => (Arc::clone(&self.pages), Inside::Http),
            None => (Arc::clone(&self.api), Inside::Http),
        };
        let session = door.is_some_and(|door| door.known.session);
        let stream = start.into_stream(config).await?;
        let facts = self.parts.facts(stream.get_ref().1, sni)?;
        if !session && facts.identity.as_ref().is_some_and(|identity| identity.credential() != Credential::Login) {
            return Err(io::Error::other("a session certificate was shown where a login certificate is due"));
        }
        Ok(Opened { stream, inside, facts })
    }

    /// The configuration of a door, for this name.
    fn config_of(&self, door: &Door, sni: Option<&str>) -> io::Result<Arc<ServerConfig>> {
        let (DoorName::Known(_), Some(name)) = (&door.known.name, sni) else { return Ok(Arc::clone(&door.config)) };
        let mut named = door.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = named.get(name) {
            return Ok(Arc::clone(known));
        }
        if named.len() >= NAMED_MAX {
            named.clear();
        }
        let fresh = self.parts.config_for(name, &door.known)?;
        named.insert(name.to_owned(), Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The door that a client wants: by the name it asks for, or at the gate's own name by what it offers to speak.
    fn door(&self, sni: Option<&str>, offered: &[&[u8]]) -> io::Result<Option<&Door>> {
        let named = |door: &&Door| match &door.known.name {
            DoorName::Host(name) => sni == Some(name.as_str()),
            DoorName::Under(name) => sni.is_some_and(|sni| is_under(sni, name)),
            DoorName::Known(check) => sni.is_some_and(|sni| !self.is_ours(sni) && check.knows(sni)),
            DoorName::Alpn(_) => false,
        };
        if let Some(door) = self.doors.iter().find(named) {
            return Ok(Some(door));
        }
        if let Some(name) = sni.filter(|sni| !self.is_ours(sni)) {
            return Err(io::Error::other(format!("asked for the name {name}, which is not this gate's")));
        }
        // Nothing but pages is at the pages' own name.
        if sni.is_some() && sni == self.parts.pages_host.as_deref() {
            return Ok(None);
        }
        let spoken = |door: &&Door| matches!(door.known.name, DoorName::Alpn(alpn) if offered.contains(&alpn));
        Ok(self.doors.iter().find(spoken))
    }
}

impl Tls {
    /// Whether it is the gate's own name, which no resource takes from it.
    fn is_ours(&self, name: &str) -> bool {
        self.parts.names.iter().any(|own| own == name)
    }
}

/// Whether a name is one label and then this one.
fn is_under(name: &str, above: &str) -> bool {
    name.strip_suffix(above)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|label| !label.is_empty() && !label.contains('.'))
}

/// TLS that begins within a protocol.
pub(crate) struct Upgrade {
    parts: TlsParts,
    config: Arc<ServerConfig>,
    /// The name under which targets have names of their own, where they have.
    under: Option<String>,
}

impl Upgrade {
    /// An upgrade that agrees to speak these.
    pub(crate) fn new(parts: TlsParts, alpn: &[&[u8]], under: Option<String>) -> Result<Self, rustls::Error> {
        let config = parts.config(ClientAuth::Optional, alpn)?;
        Ok(Self { parts, config, under })
    }

    async fn secure(&self, io: Box<dyn Io>) -> io::Result<Secured> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
        let sni = start.client_hello().server_name().map(str::to_ascii_lowercase);
        let ours = |name: &str| self.parts.names.iter().any(|own| own == name);
        let under = |name: &str| self.under.as_deref().is_some_and(|above| is_under(name, above));
        if let Some(name) = sni.as_deref().filter(|name| !ours(name) && !under(name)) {
            return Err(io::Error::other(format!("asked for the name {name}, which is not this gate's")));
        }
        let stream = start.into_stream(Arc::clone(&self.config)).await?;
        let tls = self.parts.facts(stream.get_ref().1, sni)?;
        Ok(Secured { io: Box::new(stream), tls })
    }
}

impl StartTls for Upgrade {
    fn start(&self, io: Box<dyn Io>) -> BoxFuture<'_, io::Result<Secured>> {
        self.secure(io).boxed()
    }
}

/// TLS within a tunnel of the client's, which has said who is there: nobody is asked for a certificate, and whatever
/// name is asked for is the gate's.
pub(crate) struct Inner {
    config: Arc<ServerConfig>,
}

impl Inner {
    /// An upgrade with this certificate of the gate's own, whose key is known to whoever is within.
    pub(crate) fn new(parts: &TlsParts, own: &Arc<Own>) -> Result<Self, rustls::Error> {
        Ok(Self { config: parts.config_with(own, &Arc::default(), ClientAuth::Never, &[])? })
    }
}

impl StartTls for Inner {
    fn start(&self, io: Box<dyn Io>) -> BoxFuture<'_, io::Result<Secured>> {
        let accept = tokio_rustls::TlsAcceptor::from(Arc::clone(&self.config)).accept(io);
        async move { Ok(Secured { io: Box::new(accept.await?), tls: TlsFacts::default() }) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_more_and_no_other() {
        assert!(is_under("grafana.apps.example.com", "apps.example.com"));
        for not in ["apps.example.com", ".apps.example.com", "a.b.apps.example.com", "xapps.example.com", ""] {
            assert!(!is_under(not, "apps.example.com"), "{not}");
        }
    }
}
