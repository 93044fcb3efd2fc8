//! Requests to identity providers: HTTPS alone, bounded in time and size, and no redirect is followed.

use std::sync::{Arc, LazyLock};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::limits::{FETCH_BODY_MAX, FETCH_MAX, FETCHES_AT_ONCE};

/// Why a provider did not answer; for the log and for the person who waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} is not an https:// address")]
    Address(String),
    #[error("its authority's certificate can't be read: {0}")]
    Roots(String),
    #[error("{host} can't be reached: {why}")]
    Unreachable { host: String, why: String },
    #[error("{host} gave no answer in {} seconds", FETCH_MAX.as_secs())]
    Late { host: String },
    #[error("too many requests to identity providers are under way")]
    Busy,
    #[error("the gate has no runtime to ask with")]
    Runtime,
}

/// What is asked of a provider.
pub(super) struct Call<'a> {
    pub(super) url: &'a Url,
    /// The authority that its certificate comes from; the system's where there is none.
    pub(super) ca_cert: Option<&'a str>,
    /// A form to post; nothing is got.
    pub(super) form: Option<String>,
    pub(super) authorization: Option<String>,
}

/// Slots for requests that are under way.
static SLOTS: Semaphore = Semaphore::const_new(FETCHES_AT_ONCE);

/// Asks, and waits for the whole answer. It blocks: not to be called on an event loop's own thread.
pub(super) fn fetch(call: &Call<'_>) -> Result<(StatusCode, Bytes), FetchError> {
    let handle = Handle::try_current().map_err(|_| FetchError::Runtime)?;
    let host = call.url.host_str().unwrap_or_default().to_owned();
    handle.block_on(async {
        let asking = async {
            let _slot = SLOTS.acquire().await.map_err(|_| FetchError::Busy)?;
            exchange(call, &host).await
        };
        timeout(FETCH_MAX, asking).await.unwrap_or_else(|_| Err(FetchError::Late { host: host.clone() }))
    })
}

async fn exchange(call: &Call<'_>, host: &str) -> Result<(StatusCode, Bytes), FetchError> {
    let address = || FetchError::Address(call.url.to_string());
    let unreachable = |why: String| FetchError::Unreachable { host: host.to_owned(), why };
    if call.url.scheme() != "https" || host.is_empty() {
        return Err(address());
    }
    let bare = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(bare.clone()).map_err(|_| address())?;
    let port = call.url.port_or_known_default().unwrap_or(443);
    #[expect(clippy::disallowed_methods, reason = "an identity provider is no target: no session goes there")]
    let stream = TcpStream::connect((bare, port)).await.map_err(|error| unreachable(error.to_string()))?;
    let connector = TlsConnector::from(config(call.ca_cert)?);
    let stream = connector.connect(name, stream).await.map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    // Its errors reach us through the request as well.
    let driver = tokio::spawn(connection);
    let request = request(call).map_err(|error| unreachable(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), FETCH_BODY_MAX).collect().await;
    driver.abort();
    Ok((status, body.map_err(|error| unreachable(error.to_string()))?.to_bytes()))
}

fn request(call: &Call<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let target = match call.url.query() {
        Some(query) => format!("{}?{query}", call.url.path()),
        None => call.url.path().to_owned(),
    };
    let host = call.url.host_str().unwrap_or_default();
    let host = call.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let method = if call.form.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("tapgate/", env!("CARGO_PKG_VERSION")));
    if let Some(authorization) = &call.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if call.form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    request.body(Full::new(Bytes::from(call.form.clone().unwrap_or_default())))
}

/// TLS that trusts this authority and no other, or those of the system.
fn config(ca_cert: Option<&str>) -> Result<Arc<ClientConfig>, FetchError> {
    /// Reading some hundred certificates takes a while, and they change with the system's updates.
    static SYSTEM: LazyLock<Result<Arc<ClientConfig>, FetchError>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        with_roots(roots)
    });
    let Some(pem) = ca_cert else { return SYSTEM.clone() };
    let unreadable = |error: &dyn std::fmt::Display| FetchError::Roots(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
    }
    with_roots(roots)
}

fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, FetchError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Roots(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
