//! A relay that does TLS and nothing else: this very program, started anew with a word that nobody else says.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The word.
const WORD: &str = "bare-relay";

/// The gate's buffer has this size too.
const BUFFER: usize = 16 * 1024;

/// What it is told.
pub(crate) struct Relay {
    certificate: String,
    key: String,
    target: String,
}

/// Whether this process is to be one.
pub(crate) fn asked() -> Option<Relay> {
    let mut words = std::env::args().skip_while(|word| word != WORD).skip(1);
    Some(Relay { certificate: words.next()?, key: words.next()?, target: words.next()? })
}

/// A command that starts one.
pub(crate) fn command(certificate: &std::path::Path, key: &std::path::Path, target: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(certificate).arg(key).arg(target);
    Ok(command)
}

impl Relay {
    /// Relays until it is killed.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_file_iter(&self.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
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
