//! TLS with a desktop: its certificate is pinned, or comes from a known authority, or by its resource's word is not
//! looked at.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs as provider, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tapgate_identity::{TargetTlsError, target_config};
use tapgate_model::Digest;
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
        Some(DesktopTrust::Pin(pin)) => of_one(Some(*pin))?,
        Some(DesktopTrust::Insecure) => of_one(None)?,
    };
    let connected = TlsConnector::from(Arc::new(config)).connect(name, upstream).await;
    connected.map_err(|error| if is_other(&error) { KnownError::Other } else { KnownError::Tls(error) })
}

fn is_other(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)))
}

fn of_one(pin: Option<Digest>) -> Result<ClientConfig, TargetTlsError> {
    let verifier = Pinned { pin, algorithms: provider::default_provider().signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts the one certificate with this digest, or any where there is none; the handshake proves its key either way.
#[derive(Debug)]
struct Pinned {
    pin: Option<Digest>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is = |pin: &Digest| digest(&SHA256, leaf).as_ref() == pin.as_bytes();
        if self.pin.as_ref().is_none_or(is) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
