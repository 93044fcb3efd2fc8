//! Whether a target is the right one: its host key is pinned, or its host certificate is signed. Never
//! trust on first use.

use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::{Certificate, HashAlg, PublicKey};
use tapgate_model::{TargetName, UnixTime};
use tapgate_session::NodeTrust;

use crate::algorithms::fingerprint;

/// The keys by which a target is known, read once.
#[derive(Debug, Clone)]
pub(crate) struct KnownHost {
    target: TargetName,
    host: String,
    pinned: Vec<PublicKey>,
    authorities: Vec<PublicKey>,
}

/// Why a target is not the right one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostKeyError {
    #[error("its host key {0} is not the known one (an administrator compares it, and corrects host_keys)")]
    OtherKey(String),
    #[error("the gate knows no host key of it (an administrator adds host_keys or host_ca to the node)")]
    NothingKnown,
    #[error("its host certificate was signed by {0}, which is not in its host_ca")]
    OtherAuthority(String),
    #[error("its host certificate is a user certificate")]
    NotHost,
    #[error("its host certificate names neither it nor its address")]
    OtherName,
    #[error("its host certificate has a critical option, which no host certificate has")]
    Option,
    #[error("its host certificate is not valid now")]
    Expired,
    #[error("its host certificate's signature does not verify")]
    Signature,
}

impl KnownHost {
    /// Reads the keys. A line that can't be read knows nobody.
    pub(crate) fn new(target: &TargetName, trust: &NodeTrust) -> Self {
        let keys = |lines: &[String]| lines.iter().filter_map(|line| PublicKey::from_openssh(line).ok()).collect();
        Self {
            target: target.clone(),
            host: trust.host.clone(),
            pinned: keys(&trust.host_keys),
            authorities: keys(&trust.host_ca),
        }
    }

    /// The pinned host keys.
    pub(crate) fn pinned(&self) -> &[PublicKey] {
        &self.pinned
    }

    /// Whether a host certificate could be verified.
    pub(crate) fn has_authority(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Judges what the target has shown, and by which it has signed the key exchange.
    pub(crate) fn verify(&self, shown: &PublicKeyOrCertificate, now: UnixTime) -> Result<(), HostKeyError> {
        let key = shown.public_key();
        if self.pinned.iter().any(|known| known.key_data() == key.key_data()) {
            return Ok(());
        }
        match shown.certificate() {
            Some(certificate) => self.verify_certificate(certificate, now),
            None if self.pinned.is_empty() && self.authorities.is_empty() => Err(HostKeyError::NothingKnown),
            None => Err(HostKeyError::OtherKey(fingerprint(&key))),
        }
    }

    fn verify_certificate(&self, certificate: &Certificate, now: UnixTime) -> Result<(), HostKeyError> {
        let signer = certificate.signature_key();
        if !self.authorities.iter().any(|known| known.key_data() == signer) {
            return Err(HostKeyError::OtherAuthority(signer.fingerprint(HashAlg::Sha256).to_string()));
        }
        if certificate.cert_type() != CertType::Host {
            return Err(HostKeyError::NotHost);
        }
        if !certificate.critical_options().is_empty() {
            return Err(HostKeyError::Option);
        }
        let named = |name: &str| name == self.target.as_str() || name == self.host;
        if !certificate.valid_principals().iter().any(|name| named(name)) {
            return Err(HostKeyError::OtherName);
        }
        let valid = certificate.valid_after()..certificate.valid_before();
        if !valid.contains(&now.as_secs()) {
            return Err(HostKeyError::Expired);
        }
        let authority = signer.fingerprint(HashAlg::Sha256);
        certificate.validate_at(now.as_secs(), [&authority]).map_err(|_| HostKeyError::Signature)
    }
}

#[cfg(test)]
#[path = "host_key_tests.rs"]
mod tests;
