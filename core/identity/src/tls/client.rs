//! What the gate asks of clients: a certificate of its own authorities, in every handshake anew.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, UnixTime as PkiTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::{CertificateError, DistinguishedName, Error};
use tapgate_model::Clock;

use super::signatures::handshake_signatures;
use crate::{IdentityError, TrustSource};

/// Whether a client must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// A handshake without a certificate fails.
    Mandatory,
    /// A client may come without a certificate; one that is shown is verified all the same.
    Optional,
    /// No client is asked for one: browsers ask the person which to show, where that serves nobody.
    Never,
}

/// Lets in clients whose certificate [`Trust::verify_x509`](crate::Trust::verify_x509) accepts. rustls keeps
/// no result of it, so the certificate is verified once more after the handshake, where it becomes an identity.
pub struct ClientVerifier {
    trust: TrustSource,
    clock: Arc<dyn Clock>,
    auth: ClientAuth,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    /// A verifier that asks `trust` and `clock` at every handshake.
    pub fn new(trust: TrustSource, clock: Arc<dyn Clock>, auth: ClientAuth) -> Self {
        Self { trust, clock, auth, algorithms: super::algorithms() }
    }
}

/// A server that verifies its clients in every single handshake: a resumed one would skip the verifier and
/// bring back the certificate of the first, so there are no tickets, no session storage and no early data.
/// `certificates` are the server's own, of which a handshake shows one.
pub fn server_config(
    verifier: Arc<ClientVerifier>,
    certificates: Arc<dyn ResolvesServerCert>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    // A connection's exporter is what a tap may be bound to; in TLS 1.2 it is unique only with this extension.
    config.require_ems = true;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        self.auth != ClientAuth::Never
    }

    fn client_auth_mandatory(&self) -> bool {
        self.auth == ClientAuth::Mandatory
    }

    /// None: the authorities change with a rotation, and a client has one gate's certificate anyway.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: PkiTime,
    ) -> Result<ClientCertVerified, Error> {
        let trust = (self.trust)();
        trust.verify_x509(leaf, chain, self.clock.now()).map_err(alert)?;
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier").field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// The alert that tells the client what to do, as far as TLS has words for it.
fn alert(error: IdentityError) -> Error {
    Error::InvalidCertificate(match error {
        IdentityError::Expired => CertificateError::Expired,
        IdentityError::NotYetValid => CertificateError::NotValidYet,
        IdentityError::UnknownCa => CertificateError::UnknownIssuer,
        IdentityError::Signature => CertificateError::BadSignature,
        IdentityError::Usage => CertificateError::InvalidPurpose,
        IdentityError::Malformed(_) => CertificateError::BadEncoding,
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))),
    })
}
