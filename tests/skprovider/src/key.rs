//! The keys themselves: made, written as their own handles, and read again to sign.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, Signature as Raw,
};

use crate::api::{ECDSA, ED25519, Refusal};

/// A new key.
pub(crate) struct Made {
    /// 32 bytes for Ed25519, an uncompressed point for ECDSA.
    pub(crate) public: Vec<u8>,
    /// The private key in PKCS #8.
    pub(crate) handle: Vec<u8>,
}

/// A signature as OpenSSH wants it.
pub(crate) struct Signature {
    /// The whole of an Ed25519 signature, or one number of ECDSA's.
    pub(crate) r: Vec<u8>,
    /// ECDSA's other number.
    pub(crate) s: Option<Vec<u8>>,
}

/// Makes a key.
pub(crate) fn enrol(algorithm: u32) -> Result<Made, Refusal> {
    let (public, handle) = match algorithm {
        ED25519 => {
            let pair = Ed25519KeyPair::generate().map_err(general)?;
            (pair.public_key().as_ref().to_vec(), pair.to_pkcs8().map_err(general)?)
        }
        ECDSA => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(general)?;
            (pair.public_key().as_ref().to_vec(), pair.to_pkcs8v1().map_err(general)?)
        }
        _ => return Err(Refusal::Unsupported),
    };
    Ok(Made { public, handle: handle.as_ref().to_vec() })
}

/// Signs with the key that this handle is.
pub(crate) fn sign(algorithm: u32, handle: &[u8], message: &[u8]) -> Result<Signature, Refusal> {
    match algorithm {
        ED25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(handle).map_err(general)?;
            Ok(Signature { r: pair.sign(message).as_ref().to_vec(), s: None })
        }
        ECDSA => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, handle).map_err(general)?;
            let both: Raw = pair.sign(&SystemRandom::new(), message).map_err(general)?;
            let (r, s) = both.as_ref().split_at_checked(both.as_ref().len() / 2).ok_or(Refusal::General)?;
            Ok(Signature { r: r.to_vec(), s: Some(s.to_vec()) })
        }
        _ => Err(Refusal::Unsupported),
    }
}

/// The libraries of cryptography tell no reasons, and OpenSSH would pass none on.
fn general<E>(_: E) -> Refusal {
    Refusal::General
}
