//! What a client asks of its gate: a host authority with the pinned key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime as PkiTime};
use rustls::{CertificateError, Error};
use tapgate_model::{Clock, Digest};
use webpki::{EndEntityCert, KeyUsage};

use super::signatures::handshake_signatures;
use crate::{limits, oid, spki};

/// Accepts the one gate whose host authority has the pinned key. The gate sends its certificate and its host
/// authority's.
pub struct PinnedGate {
    pin: Digest,
    clock: Arc<dyn Clock>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedGate {
    /// A verifier for the gate with this pin.
    pub fn new(pin: Digest, clock: Arc<dyn Clock>) -> Self {
        Self { pin, clock, algorithms: super::algorithms() }
    }
}

impl ServerCertVerifier for PinnedGate {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        _: PkiTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = |certificate: &&CertificateDer<'_>| spki::certificate_spki_digest(certificate) == Some(self.pin);
        let root = chain.iter().take(limits::CHAIN_MAX).find(pinned);
        let root = root.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let anchor = webpki::anchor_from_trusted_cert(root).map_err(server_refusal)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(server_refusal)?;
        let now = PkiTime::since_unix_epoch(Duration::from_secs(self.clock.now().as_secs()));
        let usage = KeyUsage::required(oid::SERVER_AUTH_DER);
        certificate
            .verify_for_usage(&[webpki::aws_lc_rs::ECDSA_P256_SHA256], &[anchor], &[], now, usage, None, None)
            .map_err(server_refusal)?;
        certificate.verify_is_valid_for_subject_name(name).map_err(server_refusal)?;
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

impl fmt::Debug for PinnedGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedGate").field("pin", &self.pin).finish_non_exhaustive()
    }
}

fn server_refusal(error: webpki::Error) -> Error {
    use webpki::Error as E;
    Error::InvalidCertificate(match error {
        E::CertExpired { .. } => CertificateError::Expired,
        E::CertNotValidYet { .. } => CertificateError::NotValidYet,
        E::CertNotValidForName(_) => CertificateError::NotValidForName,
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => CertificateError::InvalidPurpose,
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))),
    })
}
