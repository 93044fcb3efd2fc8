//! The hop that `tap proxy app` is, for the proxies beside the gate: a socket whose bytes go on through TLS.
//!
//! The gate's own clients come through `tap`, which takes its share of the machine and spreads requests out. Without
//! the same before the others, a busier proxy would look cheaper than it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpStream, UnixListener};
use tokio_rustls::TlsConnector;

/// Listens at this path, and passes on to `localhost` at this port, whose certificate is this one; in threads of its
/// own, until this program ends.
pub(crate) fn start(path: &Path, port: u16, certificate: &Path) -> Result<PathBuf> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(certificate)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let listener = {
        let _within = runtime.enter();
        UnixListener::bind(path)?
    };
    std::thread::spawn(move || runtime.block_on(serve(listener, port, connector)));
    Ok(path.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "no gate is involved")]
async fn serve(listener: UnixListener, port: u16, connector: TlsConnector) -> std::io::Result<()> {
    let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    loop {
        let (mut client, _) = listener.accept().await?;
        let (connector, name) = (connector.clone(), name.clone());
        tokio::spawn(async move {
            let server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.set_nodelay(true)?;
            let mut server = connector.connect(name, server).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}
