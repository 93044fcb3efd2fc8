//! From an X.509 certificate to an identity: signature, usage and time by webpki, the rest of the profile here.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime as PkiTime};
use tapgate_model::UnixTime;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::der_parser::oid::Oid;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use crate::identity::Facts;
use crate::payload::Payload;
use crate::trust::X509Authority;
use crate::{Credential, Identity, IdentityError, Trust, limits, oid, spki};

impl Trust {
    /// The identity of a TLS peer. `chain` is what the peer sent beside its certificate: nothing, or our own
    /// authorities; they sign every certificate themselves, so anything else is refused.
    pub fn verify_x509(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Identity, IdentityError> {
        if leaf.len() > limits::X509_MAX {
            return Err(IdentityError::Oversized { max: limits::X509_MAX });
        }
        let certificate = EndEntityCert::try_from(leaf).map_err(|error| refusal(&error))?;
        if !chain.iter().all(|extra| self.x509.iter().any(|authority| authority.certificate == *extra)) {
            return Err(IdentityError::Chain);
        }
        let credential = self.issuer_of(&certificate, now)?;
        let (payload, not_before, not_after) = read(&certificate, leaf, credential)?;
        let key = spki::spki_digest(&certificate.subject_public_key_info());
        Facts { credential, fingerprint: spki::sha256(leaf), key, not_before, not_after }.identify(payload, &self.gate)
    }

    /// Which authority signed it decides what it is. Authorities are tried by name, so that a foreign
    /// certificate costs no signature.
    fn issuer_of(&self, certificate: &EndEntityCert<'_>, now: UnixTime) -> Result<Credential, IdentityError> {
        let mut refused = IdentityError::UnknownCa;
        let named = self.x509.iter().filter(|authority| authority.anchor.subject.as_ref() == certificate.issuer());
        for authority in named {
            match signed_by(certificate, authority, now) {
                Ok(()) => return Ok(authority.credential),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

fn signed_by(certificate: &EndEntityCert<'_>, authority: &X509Authority, now: UnixTime) -> Result<(), IdentityError> {
    // `KeyUsage::client_auth` would pass a certificate without any extended key usage.
    let usage = KeyUsage::required(usage(authority.credential));
    let now = PkiTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
    let anchor = std::slice::from_ref(&authority.anchor);
    certificate
        .verify_for_usage(&[webpki::aws_lc_rs::ED25519], anchor, &[], now, usage, None, None)
        .map(drop)
        .map_err(|error| refusal(&error))
}

const fn usage(credential: Credential) -> &'static [u8] {
    match credential {
        Credential::Login | Credential::SshKey => oid::LOGIN_USAGE_DER,
        Credential::Session => oid::SESSION_USAGE_DER,
    }
}

/// Reads the profile without any signature, for a fuzzer.
pub(crate) fn fuzz(data: &[u8]) {
    let der = CertificateDer::from(data);
    if let Ok(certificate) = EndEntityCert::try_from(&der) {
        drop(read(&certificate, &der, Credential::Login));
        drop(read(&certificate, &der, Credential::Session));
    }
}

/// The record, and the certificate's first and last second, once everything in it agrees.
fn read(
    certificate: &EndEntityCert<'_>,
    der: &[u8],
    credential: Credential,
) -> Result<(Payload, UnixTime, UnixTime), IdentityError> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_| IdentityError::Malformed("it is not X.509"))?;
    if !has_exact_usage(&parsed, credential) {
        return Err(IdentityError::Usage);
    }
    if !spki::is_usable(&certificate.subject_public_key_info()) {
        return Err(IdentityError::Key);
    }
    let mut records = parsed.extensions().iter().filter(|extension| extension.oid.as_bytes() == oid::PAYLOAD_DER);
    let (Some(record), None) = (records.next(), records.next()) else {
        return Err(IdentityError::NoPayload(credential.as_str()));
    };
    let payload = Payload::from_der(record.value).ok_or(IdentityError::Malformed("its record is not valid"))?;
    if common_name(&parsed) != Some(payload.user.as_str()) {
        return Err(IdentityError::Inconsistent("the subject is not the user"));
    }
    let uri = super::uri(&payload.gate, &payload.user, credential);
    if !certificate.valid_uri_names().eq([uri.as_str()]) {
        return Err(IdentityError::Inconsistent("the alternative name is not the user's"));
    }
    let time = |secs| u64::try_from(secs).map(UnixTime::from_secs).map_err(|_| IdentityError::Malformed("its dates"));
    let validity = parsed.validity();
    Ok((payload, time(validity.not_before.timestamp())?, time(validity.not_after.timestamp())?))
}

/// TLS client and the credential's own, and no other.
fn has_exact_usage(certificate: &X509Certificate<'_>, credential: Credential) -> bool {
    let usages = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::ExtendedKeyUsage(usage) => Some(usage),
        _ => None,
    });
    usages
        .map(|u| {
            let foreign =
                u.any || u.server_auth || u.code_signing || u.email_protection || u.time_stamping || u.ocsp_signing;
            u.client_auth && !foreign && u.other.iter().map(Oid::as_bytes).eq([usage(credential)])
        })
        .eq([true])
}

fn common_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    let mut attributes = certificate.subject().iter_attributes();
    let (Some(only), None) = (attributes.next(), attributes.next()) else {
        return None;
    };
    let is_name = *only.attr_type() == x509_parser::oid_registry::OID_X509_COMMON_NAME;
    only.as_str().ok().filter(|_| is_name)
}

fn refusal(error: &webpki::Error) -> IdentityError {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } => IdentityError::Expired,
        E::CertNotValidYet { .. } => IdentityError::NotYetValid,
        E::UnknownIssuer => IdentityError::UnknownCa,
        E::InvalidSignatureForPublicKey => IdentityError::Signature,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => IdentityError::Usage,
        E::CaUsedAsEndEntity => IdentityError::Inconsistent("it is an authority's own"),
        E::UnsupportedCriticalExtension => IdentityError::Malformed("it holds an unknown critical extension"),
        E::UnsupportedSignatureAlgorithmContext(_) | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            IdentityError::Signature
        }
        _ => IdentityError::Malformed("it is not X.509"),
    }
}
