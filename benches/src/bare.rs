//! A relay that does TLS and nothing else: the bench itself, started anew with a word that nobody else says.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The word.
const WORD: &str = "bare-relay";

/// The gate's buffer has this size too.
const BUFFER: usize = 16 * 1024;

/// What it is told.
#[derive(Debug)]
pub struct Relay {
    certificate: String,
    key: String,
    target: String,
    /// The file of its clients' authority; without one nobody is asked for a certificate.
    clients: Option<String>,
}

/// The relay that this process is to be, where it is to be one.
pub fn asked() -> Option<Relay> {
    let mut words = std::env::args().skip_while(|word| word != WORD).skip(1);
    Some(Relay { certificate: words.next()?, key: words.next()?, target: words.next()?, clients: words.next() })
}

/// A command that starts one, which says `port N` once it listens. Where its clients' authority is given, it demands a
/// certificate of each and verifies it.
pub fn command(certificate: &Path, key: &Path, target: &str, clients: Option<&Path>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(certificate).arg(key).arg(target).args(clients);
    Ok(command)
}

impl Relay {
    /// Relays until it is killed.
    pub fn run(self) -> Result<ExitCode> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = self.verifier(&provider)?;
        let chain = CertificateDer::pem_file_iter(&self.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)?;
        config.send_tls13_tickets = 0;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("port {}", listener.local_addr()?.port());
            loop {
                let (client, _) = listener.accept().await?;
                let (acceptor, target) = (acceptor.clone(), self.target.clone());
                tokio::spawn(async move { carry(client, acceptor, &target).await.ok() });
            }
        })
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>> {
        let Some(clients) = &self.clients else { return Ok(WebPkiClientVerifier::no_client_auth()) };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(clients)?)?;
        Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?)
    }
}

#[expect(clippy::disallowed_methods, reason = "no gate is involved")]
async fn carry(client: TcpStream, acceptor: TlsAcceptor, target: &str) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let client = acceptor.accept(client).await?;
    let target = TcpStream::connect(target).await?;
    target.set_nodelay(true)?;
    let (from_client, to_client) = split(client);
    let (from_target, to_target) = split(target);
    tokio::select! {
        copied = copy(from_client, to_target) => copied,
        copied = copy(from_target, to_client) => copied,
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
        to.flush().await?;
    }
}
