//! What a client asks of its gate: a host authority with the pinned key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime as PkiTime};
use rustls::{CertificateError, Error};
use tapgate_model::{Clock, Digest, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::signatures::handshake_signatures;
use crate::{limits, oid, spki};

/// Accepts the one gate whose host authority has the pinned key, or one that the pinned one vouches for. The gate sends its
/// certificate, its host authority's, and those of the authorities before it.
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
        let chain = chain.get(..limits::CHAIN_MAX).unwrap_or(chain);
        let pinned = |certificate: &&CertificateDer<'_>| spki::certificate_spki_digest(certificate) == Some(self.pin);
        let root = chain.iter().find(pinned);
        let root = root.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        issuer_under(root, leaf, chain, self.clock.now()).map_err(server_refusal)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(server_refusal)?;
        certificate.verify_is_valid_for_subject_name(name).map_err(server_refusal)?;
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

/// What a gate's chain says of it, each link signed by the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lineage {
    /// The host authority that signs now: what clients pin.
    pub pin: Digest,
    /// The first one of all: how statements name the gate.
    pub gate: Digest,
}

impl Lineage {
    /// Reads it from what a gate has shown: its certificate, then its host authority's and those before it, the first of
    /// all at the end. `None` where that is no chain.
    pub fn read(shown: &[CertificateDer<'_>], now: UnixTime) -> Option<Self> {
        let (leaf, chain) = shown.split_first()?;
        let first = chain.get(..limits::CHAIN_MAX).unwrap_or(chain).last()?;
        let pin = issuer_under(first, leaf, chain, now).ok()?;
        Some(Self { pin, gate: spki::certificate_spki_digest(first)? })
    }
}

/// Verifies a gate's certificate by way of its chain under this authority; the digest of the key that has signed it.
fn issuer_under(
    root: &CertificateDer<'_>,
    leaf: &CertificateDer<'_>,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Digest, webpki::Error> {
    let anchors = [webpki::anchor_from_trusted_cert(root)?];
    let certificate = EndEntityCert::try_from(leaf)?;
    let now = PkiTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
    let usage = KeyUsage::required(oid::SERVER_AUTH_DER);
    let algorithms = [webpki::aws_lc_rs::ECDSA_P256_SHA256];
    let path = certificate.verify_for_usage(&algorithms, &anchors, chain, now, usage, None, None)?;
    match path.intermediate_certificates().next() {
        Some(issuer) => Ok(spki::spki_digest(&issuer.subject_public_key_info())),
        None => spki::certificate_spki_digest(root).ok_or(webpki::Error::BadDer),
    }
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
