//! An authority's private key, in the shape that the certificate writer wants.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SignatureAlgorithm, SigningKey};
use zeroize::Zeroizing;

use crate::IssueError;

/// A private key inside the cryptographic library, which wipes it when it is dropped.
pub(super) enum Signer {
    /// For authorities whose certificates only our own code verifies.
    Ed25519(Ed25519KeyPair),
    /// For the gate's TLS certificate, which browsers verify.
    P256(EcdsaKeyPair),
}

/// The algorithm of a key.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    Ed25519,
    P256,
}

impl Signer {
    /// A new private key in PKCS #8.
    pub(super) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, IssueError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8v1(&random),
            Algorithm::P256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random),
        };
        let document = document.map_err(|_| IssueError::Crypto("no key was generated"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The key in this PKCS #8 document.
    pub(super) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, IssueError> {
        let key = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map(Self::Ed25519),
            Algorithm::P256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).map(Self::P256),
        };
        key.map_err(|_| IssueError::Parts("the private key is not PKCS #8 of the due algorithm"))
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key.public_key().as_ref(),
            Self::P256(key) => key.public_key().as_ref(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Ed25519(_) => &PKCS_ED25519,
            Self::P256(_) => &PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = match self {
            Self::Ed25519(key) => key.try_sign(message),
            Self::P256(key) => key.sign(&SystemRandom::new(), message),
        };
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
