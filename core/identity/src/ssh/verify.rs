//! From an SSH certificate to an identity. The SSH library checks signature and time, nothing else, so every
//! other rule is here, the cheap ones before the signature.

use std::net::IpAddr;

use base64::prelude::{BASE64_STANDARD, Engine};
use ssh_key::encoding::Encode;
use ssh_key::{Certificate, HashAlg, certificate::CertType};
use tapgate_model::UnixTime;

use super::{SOURCE_ADDRESS, address, record_option};
use crate::identity::Facts;
use crate::payload::Payload;
use crate::{Credential, Identity, IdentityError, Trust, limits, spki};

impl Trust {
    /// The identity of an SSH peer who asks for `ssh_user` (`login@target`) from this address. A session
    /// certificate must name `ssh_user`; a login certificate names its user, wherever it is shown.
    pub fn verify_ssh(
        &self,
        certificate: &Certificate,
        ssh_user: &str,
        peer: IpAddr,
        now: UnixTime,
    ) -> Result<Identity, IdentityError> {
        let length = certificate.encoded_len().map_err(|_| IdentityError::Oversized { max: limits::SSH_MAX })?;
        if length > limits::SSH_MAX {
            return Err(IdentityError::Oversized { max: limits::SSH_MAX });
        }
        if certificate.cert_type() != CertType::User {
            return Err(IdentityError::NotUser);
        }
        let credential = self.signer_of(certificate)?;
        verify_time_and_signature(certificate, now)?;
        verify_principals(certificate, credential, ssh_user)?;
        verify_options(certificate, credential, peer)?;
        let payload = read_record(certificate, credential)?;
        if payload.source_ip.is_some_and(|ip| ip != peer.to_canonical()) {
            return Err(IdentityError::SourceAddress);
        }
        if credential == Credential::Login && !certificate.valid_principals().iter().eq([payload.user.as_str()]) {
            return Err(IdentityError::Inconsistent("the principal is not the user"));
        }
        // A session's key is a program's: a touch of a security key is a tap of its own, and no session is issued to one.
        let key = match credential {
            Credential::Session => spki::key_data_spki(certificate.public_key()).map(|spki| spki::spki_digest(&spki)),
            _ => spki::key_data_digest(certificate.public_key()),
        };
        let key = key.ok_or(IdentityError::Key)?;
        let bytes = certificate.to_bytes().map_err(|_| IdentityError::Malformed("it is not an SSH certificate"))?;
        let facts = Facts {
            credential,
            fingerprint: spki::sha256(&bytes),
            key,
            not_before: UnixTime::from_secs(certificate.valid_after()),
            not_after: UnixTime::from_secs(certificate.valid_before()),
        };
        facts.identify(payload, &self.gate)
    }

    /// Which authority signed it decides what it is. A certificate in the signing key's place is refused before
    /// anything is computed with it (CVE-2025-49825).
    fn signer_of(&self, certificate: &Certificate) -> Result<Credential, IdentityError> {
        let key = certificate.signature_key();
        if key.is_certificate() {
            return Err(IdentityError::SignedByCertificate);
        }
        let authority = self.ssh.iter().find(|authority| authority.key == *key);
        authority.map(|authority| authority.credential).ok_or(IdentityError::UnknownCa)
    }
}

fn verify_time_and_signature(certificate: &Certificate, now: UnixTime) -> Result<(), IdentityError> {
    if now.as_secs() < certificate.valid_after() {
        return Err(IdentityError::NotYetValid);
    }
    if now.as_secs() >= certificate.valid_before() {
        return Err(IdentityError::Expired);
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate.validate_at(now.as_secs(), [&authority]).map_err(|_| IdentityError::Signature)
}

fn verify_principals(certificate: &Certificate, credential: Credential, ssh_user: &str) -> Result<(), IdentityError> {
    let principals = certificate.valid_principals();
    if principals.is_empty() {
        return Err(IdentityError::NoPrincipals);
    }
    if credential == Credential::Session && !principals.iter().any(|principal| principal == ssh_user) {
        return Err(IdentityError::Principal(ssh_user.to_owned()));
    }
    Ok(())
}

/// A critical option restricts; one that is not understood cannot be obeyed.
fn verify_options(certificate: &Certificate, credential: Credential, peer: IpAddr) -> Result<(), IdentityError> {
    for (name, value) in certificate.critical_options().iter() {
        match name.as_str() {
            SOURCE_ADDRESS if address::admits(value, peer) => {}
            SOURCE_ADDRESS => return Err(IdentityError::SourceAddress),
            name if name == record_option(credential) => {}
            _ => return Err(IdentityError::CriticalOption(name.clone())),
        }
    }
    Ok(())
}

fn read_record(certificate: &Certificate, credential: Credential) -> Result<Payload, IdentityError> {
    let record = certificate.critical_options().get(record_option(credential));
    let record = record.ok_or(IdentityError::NoPayload(credential.as_str()))?;
    let der = BASE64_STANDARD.decode(record).map_err(|_| IdentityError::Malformed("its record is not base64"))?;
    Payload::from_der(&der).ok_or(IdentityError::Malformed("its record is not valid"))
}

/// Reads the profile without any signature, for a fuzzer.
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(certificate) = Certificate::from_bytes(data) else { return };
    for credential in [Credential::Login, Credential::Session] {
        drop(verify_principals(&certificate, credential, "root@node"));
        drop(verify_options(&certificate, credential, IpAddr::from([192, 0, 2, 7])));
        drop(read_record(&certificate, credential));
    }
}
