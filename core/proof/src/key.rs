//! A credential's public key, parsed once: ES256, `EdDSA` or RS256.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use der::asn1::UintRef;
use der::{Decode, Encode, Sequence};

use crate::bytes;
use crate::limits::{RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT_MAX};

/// The algorithms that a credential may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256 (COSE -7).
    Es256,
    /// `EdDSA` over Ed25519 (COSE -8).
    EdDsa,
    /// RSA PKCS#1 v1.5 with SHA-256 (COSE -257).
    Rs256,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// The name that stands before the key in its text form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "es256",
            Self::EdDsa => "eddsa",
            Self::Rs256 => "rs256",
        }
    }
}

/// A credential's public key, ready to verify. Its text form is `es256:<base64url>`.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialKey {
    algorithm: Algorithm,
    /// The uncompressed point, the Ed25519 key, or the DER `RSAPublicKey`.
    bytes: Arc<[u8]>,
    parsed: Arc<ParsedPublicKey>,
}

/// Why something is no public key of a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A coordinate, or the whole key, has the wrong length.
    #[error("the {} key has the wrong length", .0.as_str())]
    Length(Algorithm),
    /// The modulus is too short or too long.
    #[error("the RSA modulus must have {RSA_BITS_MIN} to {RSA_BITS_MAX} bits (register another authenticator)")]
    Modulus,
    /// The exponent is even, 1, or too long.
    #[error("the RSA exponent must be odd, at least 3 and at most {RSA_EXPONENT_MAX} bytes long")]
    Exponent,
    /// The bytes are no key, such as a point that is not on the curve.
    #[error("the bytes are not an {} public key", .0.as_str())]
    Rejected(Algorithm),
    /// The text is not of the form `algorithm:base64url`.
    #[error("the key's text is not of the form es256:…, eddsa:… or rs256:… with base64url")]
    Text,
}

impl CredentialKey {
    /// An ES256 key, from a COSE key's `x` and `y`.
    pub fn es256(x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        if x.len() != 32 || y.len() != 32 {
            return Err(KeyError::Length(Algorithm::Es256));
        }
        Self::parse(Algorithm::Es256, &[&[4], x, y].concat())
    }

    /// An `EdDSA` key, from a COSE key's `x`.
    pub fn eddsa(x: &[u8]) -> Result<Self, KeyError> {
        if x.len() != 32 {
            return Err(KeyError::Length(Algorithm::EdDsa));
        }
        Self::parse(Algorithm::EdDsa, x)
    }

    /// An RS256 key, from a COSE key's `n` and `e`, big-endian.
    pub fn rs256(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let bits = n.len() * 8 - n.first().map_or(0, |byte| usize::try_from(byte.leading_zeros()).unwrap_or(8));
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyError::Modulus);
        }
        let odd = e.last().is_some_and(|byte| byte % 2 == 1);
        if !odd || e == [1] || e.len() > RSA_EXPONENT_MAX {
            return Err(KeyError::Exponent);
        }
        let rejected = |_: der::Error| KeyError::Rejected(Algorithm::Rs256);
        let key = RsaPublicKey { n: UintRef::new(n).map_err(rejected)?, e: UintRef::new(e).map_err(rejected)? };
        Self::parse(Algorithm::Rs256, &key.to_der().map_err(rejected)?)
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The uncompressed point (ES256), the 32 bytes (`EdDSA`) or the DER `RSAPublicKey` (RS256).
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this key made the signature over the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    /// The bytes must be in the one form that a constructor above makes of them.
    fn parse(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let parsed = match algorithm {
            Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes),
            Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, bytes),
            Algorithm::Rs256 => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes),
        };
        let parsed = parsed.map_err(|_| KeyError::Rejected(algorithm))?;
        Ok(Self { algorithm, bytes: bytes.into(), parsed: Arc::new(parsed) })
    }
}

impl PartialEq for CredentialKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.bytes == other.bytes
    }
}

impl Eq for CredentialKey {}

impl fmt::Display for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), bytes::encode(&self.bytes))
    }
}

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CredentialKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, text) = text.split_once(':').ok_or(KeyError::Text)?;
        let algorithm = Algorithm::ALL.into_iter().find(|a| a.as_str() == name).ok_or(KeyError::Text)?;
        let bytes = bytes::decode(text).ok_or(KeyError::Text)?;
        let key = match algorithm {
            Algorithm::Es256 => match bytes.as_slice() {
                [4, point @ ..] if point.len() == 64 => Self::es256(&point[..32], &point[32..]),
                _ => Err(KeyError::Length(algorithm)),
            },
            Algorithm::EdDsa => Self::eddsa(&bytes),
            Algorithm::Rs256 => {
                let key = RsaPublicKey::from_der(&bytes).map_err(|_| KeyError::Rejected(algorithm))?;
                Self::rs256(key.n.as_bytes(), key.e.as_bytes())
            }
        }?;
        if *key.bytes == *bytes { Ok(key) } else { Err(KeyError::Rejected(algorithm)) }
    }
}

impl TryFrom<String> for CredentialKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<CredentialKey> for String {
    fn from(key: CredentialKey) -> Self {
        key.to_string()
    }
}

/// `RSAPublicKey` of RFC 8017.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    n: UintRef<'a>,
    e: UintRef<'a>,
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}
