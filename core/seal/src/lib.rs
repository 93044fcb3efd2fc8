//! A message that only the terminal that made the key can read: what a browser carries from the gate to it.
//!
//! HPKE (RFC 9180) in base mode, X25519-HKDF-SHA256 with ChaCha20-Poly1305, one message for one key. The gate
//! knows the public key alone, so neither its store nor the browser's history can open what was carried.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, single_shot_open, single_shot_seal};

type Kem = X25519HkdfSha256;

/// What keeps a message of this kind from being one of another.
const INFO: &[u8] = b"tapgate/browser/v1";

/// The length of an X25519 public key and of an encapsulated key.
const KEY_BYTES: usize = 32;

/// The largest message: an assertion or a registration as JSON has a few KiB.
pub const MESSAGE_MAX: usize = 32 << 10;

/// The longest text that [`Key::open`] looks at: key, message and tag in base64url.
pub const SEALED_MAX: usize = (KEY_BYTES + MESSAGE_MAX + 16).div_ceil(3) * 4;

/// Why a message can't be sealed or opened. There is nothing more to say to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The public key is none.
    #[error("the public key is no X25519 key in base64url")]
    Key,
    /// The message is too long, or is not for this key and context.
    #[error("the sealed message is not for this key")]
    Message,
}

/// A key for one message. It is made in memory and has no way out of it.
pub struct Key {
    private: <Kem as hpke::Kem>::PrivateKey,
    public: String,
}

impl Key {
    /// A fresh key.
    pub fn generate() -> Self {
        let (private, public) = Kem::gen_keypair();
        Self { private, public: URL_SAFE_NO_PAD.encode(public.to_bytes()) }
    }

    /// The public half, base64url.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Opens a message that was sealed to this key in this context.
    pub fn open(&self, sealed: &str, context: &[u8]) -> Result<Vec<u8>, SealError> {
        if sealed.len() > SEALED_MAX {
            return Err(SealError::Message);
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError::Message)?;
        let (head, message) = bytes.split_at_checked(KEY_BYTES).ok_or(SealError::Message)?;
        let head = <Kem as hpke::Kem>::EncappedKey::from_bytes(head).map_err(|_| SealError::Message)?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.private,
            &head,
            INFO,
            message,
            context,
        )
        .map_err(|_| SealError::Message)
    }
}

/// Never prints the private half.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Whether this text is a public key that messages can be sealed to.
pub fn is_public_key(text: &str) -> bool {
    public_key(text).is_ok()
}

/// Seals a message to a public key, in a context that both sides know: base64url.
pub fn seal(public: &str, context: &[u8], message: &[u8]) -> Result<String, SealError> {
    if message.len() > MESSAGE_MAX {
        return Err(SealError::Message);
    }
    let (head, sealed) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeS::Base,
        &public_key(public)?,
        INFO,
        message,
        context,
    )
    .map_err(|_| SealError::Key)?;
    Ok(URL_SAFE_NO_PAD.encode([head.to_bytes().as_slice(), &sealed].concat()))
}

fn public_key(text: &str) -> Result<<Kem as hpke::Kem>::PublicKey, SealError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Key)?;
    // The group element of order one is refused when it is used; here it is the form alone.
    <Kem as hpke::Kem>::PublicKey::from_bytes(&bytes).map_err(|_| SealError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_key_opens_it_and_only_in_its_context() {
        let (key, other) = (Key::generate(), Key::generate());
        let sealed = seal(key.public(), b"request", b"assertion").unwrap();
        assert_eq!(key.open(&sealed, b"request").unwrap(), b"assertion");
        assert_eq!(key.open(&sealed, b"another"), Err(SealError::Message));
        assert_eq!(other.open(&sealed, b"request"), Err(SealError::Message));
        assert_ne!(sealed, seal(key.public(), b"request", b"assertion").unwrap());
    }

    #[test]
    fn damaged_messages_are_refused() {
        let key = Key::generate();
        let sealed = seal(key.public(), b"request", b"assertion").unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(key.open(&String::from_utf8(bytes).unwrap(), b"request").is_err(), "{at}");
            assert!(key.open(&sealed[..at], b"request").is_err(), "{at}");
        }
        for bad in ["", "=", "é", &"A".repeat(SEALED_MAX + 1)] {
            assert_eq!(key.open(bad, b"request"), Err(SealError::Message));
        }
    }

    #[test]
    fn public_keys_and_sizes() {
        assert!(is_public_key(Key::generate().public()));
        for bad in ["", "AAAA", "x!", &"A".repeat(44)] {
            assert!(!is_public_key(bad), "{bad}");
        }
        // All zeros is a point of low order: nothing is sealed to it.
        assert!(seal(&"A".repeat(43), b"", b"m").is_err());
        let key = Key::generate();
        assert!(seal(key.public(), b"", &vec![0; MESSAGE_MAX + 1]).is_err());
        let longest = seal(key.public(), b"", &vec![7; MESSAGE_MAX]).unwrap();
        assert!(longest.len() <= SEALED_MAX && key.open(&longest, b"").is_ok());
        assert!(!format!("{key:?}").contains("private"));
    }
}
