//! Requests that the gate makes for itself, to its store of recordings and to its witness: no session goes there.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::{OUTWARD_BODY_MAX, OUTWARD_CONNECT, OUTWARD_MAX};

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutwardError {
    #[error("{0} is not an http:// or https:// address")]
    Address(Uri),
    #[error("{0} can't be reached: {1}")]
    Unreachable(String, String),
    #[error("{0} gave no answer in {secs} seconds", secs = OUTWARD_MAX.as_secs())]
    Late(String),
    #[error("{0} broke off: {1}")]
    Broken(String, String),
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send<B>(request: Request<B>) -> Result<Response<Bytes>, OutwardError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    timeout(OUTWARD_MAX, exchange(request, &host)).await.unwrap_or_else(|_| Err(OutwardError::Late(host.clone())))
}

async fn exchange<B>(mut request: Request<B>, host: &str) -> Result<Response<Bytes>, OutwardError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let uri = request.uri().clone();
    let address = || OutwardError::Address(uri.clone());
    let unreachable = |why: String| OutwardError::Unreachable(host.to_owned(), why);
    let broken = |why: String| OutwardError::Broken(host.to_owned(), why);
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(address()),
    };
    let name = uri.host().ok_or_else(address)?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    #[expect(clippy::disallowed_methods, reason = "the gate's own store and witness are no targets")]
    let connecting = TcpStream::connect((name.as_str(), port));
    let connected = timeout(OUTWARD_CONNECT, connecting).await.map_err(|error| unreachable(error.to_string()))?;
    let stream = connected.map_err(|error| unreachable(error.to_string()))?;
    // The address says where; the request itself names a path, as HTTP/1.1 wants it.
    *request.uri_mut() = uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(|_| address())?;
    request.headers_mut().insert(HOST, HeaderValue::from_str(host).map_err(|_| address())?);
    let response = if secure {
        let name = ServerName::try_from(name).map_err(|_| address())?;
        let connector = TlsConnector::from(system_roots().map_err(unreachable)?);
        let stream = connector.connect(name, stream).await.map_err(|error| unreachable(error.to_string()))?;
        over(TokioIo::new(stream), request).await
    } else {
        over(TokioIo::new(stream), request).await
    };
    response.map_err(broken)
}

/// One request over this connection, which ends with it.
async fn over<S, B>(stream: S, request: Request<B>) -> Result<Response<Bytes>, String>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::handshake(stream).await.map_err(|error| error.to_string())?;
    // Its errors reach us through the request as well.
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, OUTWARD_BODY_MAX).collect().await.map_err(|error| error.to_string());
    driver.abort();
    Ok(Response::from_parts(head, body?.to_bytes()))
}

/// TLS that trusts the system's authorities.
fn system_roots() -> Result<Arc<ClientConfig>, String> {
    /// Reading some hundred certificates takes a while, and they change with the system's updates.
    static SYSTEM: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    });
    SYSTEM.clone()
}
