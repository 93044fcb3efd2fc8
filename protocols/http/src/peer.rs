//! How pingora reaches an application: a peer without an address, whose connections the session makes.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::ALPN;
use pingora::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use pingora::{Error, ErrorType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tapgate_identity::X509CaSource;
use tapgate_model::{Clock, SessionId, UnixTime, UserName};
use tapgate_session::{AppResource, DialError};

use crate::limits::{ANSWER_MAX, CLIENT_CERTIFICATE_USE, CONNECT_MAX, UPSTREAM_IDLE, UPSTREAM_STREAMS_MAX, WRITE_MAX};
use crate::session::AppSession;

/// What an application's peers have in common, for one session.
pub(crate) struct Peers {
    tls: bool,
    server_name: String,
    verify: bool,
    ca: Option<Arc<[WrappedX509]>>,
    client: Option<Client>,
    answer_max: Duration,
    /// Connections are kept for their own session alone: pingora's table takes peers for the same that differ in
    /// what they trust, and an application may tie who somebody is to the connection.
    group: u64,
}

/// How a request's bytes are carried to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Carried {
    /// As the application likes it.
    Plain,
    /// As gRPC, which needs HTTP/2 and may pause for any time.
    Grpc,
    /// As a stream that pauses for any time: events, a WebSocket.
    Stream,
}

impl Peers {
    /// For this application and session; what its resource says wrongly is told in words.
    pub(crate) fn new(
        app: &AppResource,
        user: &UserName,
        session: SessionId,
        ca: &X509CaSource,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let mut hasher = DefaultHasher::new();
        session.hash(&mut hasher);
        let client = app.client_certificate.then(|| Client {
            user: user.clone(),
            ca: Arc::clone(ca),
            clock: Arc::clone(clock),
            issued: Mutex::default(),
        });
        Ok(Self {
            tls: app.uri.starts_with("https://"),
            server_name: app.server_name.clone().unwrap_or_else(|| app.host().to_owned()),
            verify: !app.insecure_skip_verify,
            ca: app.ca_cert.as_deref().map(authorities).transpose()?,
            client,
            answer_max: app.answer_timeout.unwrap_or(ANSWER_MAX),
            group: hasher.finish(),
        })
    }

    /// The peer of one request, whose connection `session` makes. Why it could not stands in `failure`.
    pub(crate) fn peer(
        &self,
        session: &Arc<AppSession>,
        carried: Carried,
        failure: &Failure,
    ) -> Result<HttpPeer, String> {
        // No address: the session knows where it leads, and nobody else needs to.
        let mut peer = HttpPeer::new((Ipv4Addr::UNSPECIFIED, 0), self.tls, self.server_name.clone());
        let mut hasher = DefaultHasher::new();
        (self.group, carried == Carried::Grpc).hash(&mut hasher);
        peer.group_key = hasher.finish();
        peer.client_cert_key = self.client.as_ref().map(Client::certificate).transpose()?;
        let options = &mut peer.options;
        options.custom_l4 = Some(Arc::new(Dialler { session: Arc::clone(session), failure: failure.clone() }));
        options.verify_cert = self.verify;
        options.verify_hostname = self.verify;
        options.ca.clone_from(&self.ca);
        options.alpn = match (carried, self.tls) {
            (Carried::Grpc, _) => ALPN::H2,
            // A WebSocket is asked for in HTTP/1.
            (Carried::Plain, true) => ALPN::H2H1,
            (Carried::Plain, false) | (Carried::Stream, _) => ALPN::H1,
        };
        options.read_timeout = (carried == Carried::Plain).then_some(self.answer_max);
        options.write_timeout = Some(WRITE_MAX);
        options.total_connection_timeout = Some(CONNECT_MAX);
        options.idle_timeout = Some(UPSTREAM_IDLE);
        options.max_h2_streams = UPSTREAM_STREAMS_MAX;
        Ok(peer)
    }
}

fn authorities(pem: &str) -> Result<Arc<[WrappedX509]>, String> {
    let unreadable = || "the certificate authority of its resource can't be read".to_owned();
    let read = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let wrapped = read.map_err(|_| unreadable())?.into_iter().map(|der| {
        // pingora's own reader panics on what it can't read.
        x509_parser::parse_x509_certificate(&der).map_err(|_| unreadable())?;
        Ok(WrappedX509::new(der.to_vec(), parse_x509))
    });
    let wrapped = wrapped.collect::<Result<Vec<_>, String>>()?;
    if wrapped.is_empty() { Err(unreadable()) } else { Ok(wrapped.into()) }
}

/// What the gate shows to an application in the user's name; it lives for minutes, and is issued anew in time.
struct Client {
    user: UserName,
    ca: X509CaSource,
    clock: Arc<dyn Clock>,
    issued: Mutex<Option<(UnixTime, Arc<CertKey>)>>,
}

impl Client {
    fn certificate(&self) -> Result<Arc<CertKey>, String> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some((at, known)) = issued.as_ref()
            && now.since(*at) < CLIENT_CERTIFICATE_USE
        {
            return Ok(Arc::clone(known));
        }
        let fresh = (self.ca)().issue_target(self.user.as_str(), now);
        let (certificate, key) = fresh.map_err(|_| "no client certificate can be issued for it".to_owned())?;
        let fresh = Arc::new(CertKey::new(vec![certificate.to_vec()], key.secret_pkcs8_der().to_vec()));
        *issued = Some((now, Arc::clone(&fresh)));
        Ok(fresh)
    }
}

/// Why the application was not reached, in words for the person, where it was not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Arc<Mutex<Option<String>>>);

impl Failure {
    fn set(&self, error: &DialError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    /// The words, if there are any.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes the connections of one session.
struct Dialler {
    session: Arc<AppSession>,
    failure: Failure,
}

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").field("session", &self.session.live.id()).finish_non_exhaustive()
    }
}

#[async_trait]
impl L4Connect for Dialler {
    async fn connect(&self, _: &PeerAddr) -> pingora::Result<Stream> {
        match self.session.connect().await {
            Ok(socket) => Ok(socket.into()),
            Err(error) => {
                self.failure.set(&error);
                Error::e_explain(ErrorType::ConnectError, error.to_string())
            }
        }
    }
}
