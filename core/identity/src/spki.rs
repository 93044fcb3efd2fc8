//! One key, one digest: SHA-256 of the key's `SubjectPublicKeyInfo`, whatever format the key came in.

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use ssh_key::private::KeypairData;
use ssh_key::public::{EcdsaPublicKey, KeyData};
use tapgate_model::Digest;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::IdentityError;

/// The DER before the 32 bytes of an Ed25519 public key (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The DER before the 65 bytes of an uncompressed P-256 point (RFC 5480).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3,
    0x42, 0,
];

/// The DER before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410).
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// SHA-256 of the bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest::from_bytes(out)
}

/// The digest by which statements, certificates and caches name a public key.
pub fn spki_digest(spki_der: &[u8]) -> Digest {
    sha256(spki_der)
}

/// The `SubjectPublicKeyInfo` of an SSH key; `None` unless it is Ed25519 or P-256.
pub fn ssh_key_spki(key: &ssh_key::PublicKey) -> Option<Vec<u8>> {
    key_data_spki(key.key_data())
}

/// The digest by which the key in an SSH certificate is named: that of its `SubjectPublicKeyInfo`, or of its SSH form where
/// a security key holds it, since such a key signs otherwise.
pub(crate) fn key_data_digest(key: &KeyData) -> Option<Digest> {
    if matches!(key, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_)) {
        return ssh_key::PublicKey::from(key.clone()).to_bytes().ok().map(|bytes| sha256(&bytes));
    }
    key_data_spki(key).map(|spki| spki_digest(&spki))
}

pub(crate) fn key_data_spki(key: &KeyData) -> Option<Vec<u8>> {
    match key {
        KeyData::Ed25519(key) => Some([ED25519_SPKI.as_slice(), key.as_ref()].concat()),
        KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) if point.as_bytes().len() == 65 => {
            Some([P256_SPKI.as_slice(), point.as_bytes()].concat())
        }
        _ => None,
    }
}

/// Whether this is the `SubjectPublicKeyInfo` of an Ed25519 or P-256 key, in its only encoding.
pub(crate) fn is_usable(spki_der: &[u8]) -> bool {
    let ed25519 = spki_der.len() == 44 && spki_der.starts_with(&ED25519_SPKI);
    let p256 = spki_der.len() == 91 && spki_der.starts_with(&P256_SPKI) && spki_der.get(26) == Some(&4);
    ed25519 || p256
}

/// The PKCS #8 form of an Ed25519 SSH key, for TLS; `None` for other keys and for encrypted ones.
pub fn ssh_key_pkcs8(key: &ssh_key::PrivateKey) -> Option<Zeroizing<Vec<u8>>> {
    match key.key_data() {
        KeypairData::Ed25519(pair) => Some(Zeroizing::new([ED25519_PKCS8.as_slice(), pair.private.as_ref()].concat())),
        _ => None,
    }
}

/// The gate's pin: the digest of its host authority's key. Clients pin it, and statements name the gate by it.
pub fn gate_pin(host_ca: &CertificateDer<'_>) -> Result<Digest, IdentityError> {
    certificate_spki_digest(host_ca).ok_or(IdentityError::Malformed("it is not X.509"))
}

pub(crate) fn certificate_spki_digest(certificate: &[u8]) -> Option<Digest> {
    let (rest, certificate) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then(|| spki_digest(certificate.public_key().raw))
}
