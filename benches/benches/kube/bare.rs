//! A reverse proxy of hyper-util with nothing in it: what the gate's own work is measured against.
//!
//! It does what any proxy with the gate's shape must: TLS with a client's certificate before it, HTTP/1.1 over TLS with
//! its own behind it, a new path, and headers that say whom to be. It asks nobody, and tells nobody.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use kube_client::Config;
use kube_client::client::ConfigExt as _;
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The argument that makes the bench itself this proxy.
pub(crate) const WORD: &str = "bare-proxy";

/// Runs until it is killed. The arguments are the files of its certificate, its key, its clients' authority, and its
/// kubeconfig.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let files: Vec<String> = arguments.collect();
    let [certificate, key, authority, kubeconfig] = files.as_slice() else { anyhow::bail!("four files are due") };
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok().context("there is a provider already")?;
    let tls = Arc::new(tls(certificate, key, authority)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(TlsAcceptor::from(tls), kubeconfig))
}

fn tls(certificate: &str, key: &str, authority: &str) -> Result<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let own = vec![CertificateDer::from_pem_file(certificate)?];
    let config = ServerConfig::builder().with_client_cert_verifier(clients);
    let mut config = config.with_single_cert(own, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn serve(acceptor: TlsAcceptor, kubeconfig: &str) -> Result<()> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    let base = config.cluster_url.clone();
    let client = Client::builder(TokioExecutor::new()).build::<_, Incoming>(config.rustls_https_connector()?);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("listening on {}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, client, base) = (acceptor.clone(), client.clone(), base.clone());
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| {
                let (client, request) = (client.clone(), onwards(&base, request));
                async move {
                    client
                        .request(request.map_err(|_| std::io::Error::other("no path"))?)
                        .await
                        .map_err(std::io::Error::other)
                }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new());
            server.http2().timer(TokioTimer::new());
            server.serve_connection_with_upgrades(TokioIo::new(stream), service).await.ok();
        });
    }
}

/// The request as it goes on: without its first segment, as somebody else.
fn onwards(base: &Uri, request: Request<Incoming>) -> Result<Request<Incoming>> {
    let (mut head, body) = request.into_parts();
    let whole = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = whole.get(1..).and_then(|rest| rest.find('/')).and_then(|at| whole.get(at + 1..)).unwrap_or("/");
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(rest.parse()?);
    head.uri = Uri::from_parts(parts)?;
    head.version = Version::HTTP_11;
    head.headers.remove(header::HOST);
    head.headers.insert("impersonate-user", HeaderValue::from_static("jerry"));
    head.headers.insert("impersonate-group", HeaderValue::from_static("system:masters"));
    Ok(Request::from_parts(head, body))
}
