//! Requests to the certificate authority: HTTPS alone, with the gate's own TLS and hyper, bounded in time and size.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::{ACME_BODY_MAX, ACME_REQUEST_MAX};

/// Who asks.
pub(super) struct Http {
    tls: TlsConnector,
}

impl Http {
    /// Trusts the authorities of this file, or those of the system.
    pub(super) fn new(trust: Option<&Path>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        match trust {
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
            Some(file) => {
                let pem = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
                for certificate in CertificateDer::pem_slice_iter(&pem) {
                    let broken = || format!("{} holds no certificates in PEM", file.display());
                    roots.add(certificate.with_context(broken)?).with_context(broken)?;
                }
            }
        }
        ensure!(!roots.is_empty(), "nothing says which certificate the authority itself may show (set acme.trust)");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
        Ok(Self { tls: TlsConnector::from(Arc::new(builder.with_no_client_auth())) })
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = self.tls.clone();
        Box::pin(async move {
            let asked = timeout(ACME_REQUEST_MAX, exchange(tls, request)).await;
            let asked = asked.unwrap_or_else(|_| bail_late());
            asked.map(BytesResponse::from).map_err(|error| Error::Other(error.into()))
        })
    }
}

fn bail_late() -> Result<Response<Full<Bytes>>> {
    bail!("no answer within {} seconds", ACME_REQUEST_MAX.as_secs())
}

async fn exchange(tls: TlsConnector, mut request: Request<BodyWrapper<Bytes>>) -> Result<Response<Full<Bytes>>> {
    let uri = request.uri().clone();
    ensure!(uri.scheme_str() == Some("https"), "{uri} is not an https:// URL");
    let host = uri.host().with_context(|| format!("{uri} names no host"))?;
    let bare = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(bare.clone()).with_context(|| format!("{host} is no host"))?;
    #[expect(clippy::disallowed_methods, reason = "a certificate authority is no target: no session goes there")]
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(443))).await;
    let stream = stream.with_context(|| format!("{host} can't be reached"))?;
    let stream = tls.connect(name, stream).await.with_context(|| format!("{host} can't be trusted"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors reach us through the request as well.
    let driver = tokio::spawn(connection);
    let authority = uri.authority().with_context(|| format!("{uri} names no host"))?;
    request.headers_mut().insert(HOST, authority.as_str().parse()?);
    *request.uri_mut() = uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
    let (head, body) =
        sender.send_request(request).await.with_context(|| format!("{host} does not answer"))?.into_parts();
    let body = Limited::new(body, ACME_BODY_MAX).collect().await;
    driver.abort();
    let body = body.map_err(|error| anyhow::anyhow!("the answer of {host} can't be read: {error}"))?;
    Ok(Response::from_parts(head, Full::new(body.to_bytes())))
}
