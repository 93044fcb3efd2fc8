//! TLS with a desktop: its certificate is pinned, or comes from a known authority, or by its resource's word is not
//! looked at.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};
use tapgate_identity::{TargetTlsError, target_config, target_config_of_one};
use tapgate_session::{DesktopResource, DesktopTrust, Upstream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why TLS with a desktop did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KnownError {
    #[error("{0}")]
    Setup(#[from] TargetTlsError),
    #[error("its certificate's name is none (mend `tls.server_name` of its resource)")]
    Name,
    #[error("its certificate is not the one that `tls.sha256` of its resource pins")]
    Other,
    #[error("TLS with it failed: {0} (`tls` of its resource says how its certificate is known)")]
    Tls(std::io::Error),
}

/// TLS over a connection to the desktop.
pub(crate) async fn secure(upstream: Upstream, desktop: &DesktopResource) -> Result<TlsStream<Upstream>, KnownError> {
    let name = ServerName::try_from(desktop.certificate_name().to_owned()).map_err(|_| KnownError::Name)?;
    let config = match desktop.tls.as_ref().map(|tls| &tls.trust) {
        None | Some(DesktopTrust::System) => target_config(None, None)?,
        Some(DesktopTrust::Ca(pem)) => target_config(Some(pem), None)?,
        Some(DesktopTrust::Pin(pin)) => target_config_of_one(Some(*pin))?,
        Some(DesktopTrust::Insecure) => target_config_of_one(None)?,
    };
    let connected = TlsConnector::from(Arc::new(config)).connect(name, upstream).await;
    connected.map_err(|error| if is_other(&error) { KnownError::Other } else { KnownError::Tls(error) })
}

fn is_other(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)))
}
