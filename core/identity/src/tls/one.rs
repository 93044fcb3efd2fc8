//! TLS with a target whose certificate is known by itself, or not looked at by its resource's word.

use std::sync::Arc;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use tapgate_model::Digest;

use super::signatures::handshake_signatures;
use crate::{TargetTlsError, spki};

/// The client's side of TLS to a target that shows the one certificate with this SHA-256, or any where there is none.
/// Another certificate fails with [`CertificateError::ApplicationVerificationFailure`]. Nothing is resumed.
pub fn target_config_of_one(pin: Option<Digest>) -> Result<ClientConfig, TargetTlsError> {
    let verifier = OneCertificate { pin, algorithms: super::algorithms() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts it; the handshake proves its key either way.
#[derive(Debug)]
struct OneCertificate {
    pin: Option<Digest>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OneCertificate {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pin.as_ref().is_none_or(|pin| spki::sha256(leaf) == *pin) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    handshake_signatures!();
}
