//! Channel binding of SCRAM: the digest of the target's certificate (RFC 5929 section 4, `tls-server-end-point`).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use x509_parser::der_parser::oid::Oid;
use x509_parser::oid_registry::{
    OID_HASH_SHA1, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_MD5WITHRSAENC,
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// The binding of a connection with this certificate; none where its signature has no digest of its own, as with
/// Ed25519.
pub(crate) fn of(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let identifier = &parsed.signature_algorithm;
    let algorithm = if identifier.algorithm == OID_PKCS1_RSASSAPSS {
        let SignatureAlgorithm::RSASSA_PSS(pss) = SignatureAlgorithm::try_from(identifier).ok()? else { return None };
        digest_of(pss.hash_algorithm_oid())
    } else {
        digest_of(&identifier.algorithm)
    };
    Some(digest(algorithm?, certificate).as_ref().to_vec())
}

/// The digest of a signature algorithm; MD5 and SHA-1 count as SHA-256.
fn digest_of(oid: &Oid<'_>) -> Option<&'static Algorithm> {
    let sha256 = [
        OID_PKCS1_MD5WITHRSAENC,
        OID_PKCS1_SHA1WITHRSA,
        OID_PKCS1_SHA256WITHRSA,
        OID_SIG_ECDSA_WITH_SHA256,
        OID_NIST_HASH_SHA256,
        OID_HASH_SHA1,
    ];
    let sha384 = [OID_PKCS1_SHA384WITHRSA, OID_SIG_ECDSA_WITH_SHA384, OID_NIST_HASH_SHA384];
    let sha512 = [OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA512, OID_NIST_HASH_SHA512];
    let has = |all: &[Oid<'_>]| all.iter().any(|known| known == oid);
    let found = [(has(&sha256), &SHA256), (has(&sha384), &SHA384), (has(&sha512), &SHA512)];
    found.into_iter().find_map(|(is_it, algorithm)| is_it.then_some(algorithm))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::new(["db".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_digest_is_the_signatures_own() {
        for (algorithm, digest_of) in [(&PKCS_ECDSA_P256_SHA256, &SHA256), (&PKCS_ECDSA_P384_SHA384, &SHA384)] {
            let certificate = certificate(algorithm);
            assert_eq!(of(&certificate).as_deref(), Some(digest(digest_of, &certificate).as_ref()));
        }
        assert_eq!(of(&certificate(&PKCS_ED25519)), None);
        assert_eq!(of(b"no certificate"), None);
    }
}
