//! What the gate asks of a target in TLS: a certificate for the target's own name, from the authority of its resource.

use std::sync::{Arc, OnceLock};

use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{Error, RootCertStore};

/// Why there can be no TLS to a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetTlsError {
    /// The resource's authority can't be read.
    #[error("the resource's `ca_cert` is no certificate (paste it in PEM)")]
    Authority,
    /// This system knows no authorities.
    #[error("this system has no certificate authorities (give the resource a `ca_cert`)")]
    NoAuthorities,
    /// The library refused.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] Error),
}

/// The client's side of TLS to a target. Its certificate is verified against `ca_pem`, or the system's authorities
/// where the resource names none; `client` is the certificate that the gate shows. Nothing is resumed.
pub fn target_config(
    ca_pem: Option<&str>,
    client: Option<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>)>,
) -> Result<ClientConfig, TargetTlsError> {
    let roots = match ca_pem {
        Some(pem) => Arc::new(roots_in(pem)?),
        None => systems_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match client {
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key.into())?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn roots_in(pem: &str) -> Result<RootCertStore, TargetTlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| TargetTlsError::Authority)?;
        roots.add(certificate).map_err(|_| TargetTlsError::Authority)?;
    }
    if roots.is_empty() { Err(TargetTlsError::Authority) } else { Ok(roots) }
}

/// The system's authorities, read once: they are hundreds.
fn systems_roots() -> Result<Arc<RootCertStore>, TargetTlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() { Err(TargetTlsError::NoAuthorities) } else { Ok(Arc::clone(roots)) }
}
