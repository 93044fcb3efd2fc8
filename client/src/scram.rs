//! What SCRAM-SHA-256 proves a password with (RFC 5802 section 3, RFC 7677), for either side.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, Tag, sign};
use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive};

/// The password, salted and hashed.
pub(crate) struct Salted([u8; 32]);

impl Salted {
    /// So many rounds of it.
    pub(crate) fn new(password: &str, salt: &[u8], rounds: NonZeroU32) -> Self {
        let mut salted = [0; 32];
        derive(PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), &mut salted);
        Self(salted)
    }

    /// `ClientKey`: what the client hides, and so proves to have.
    pub(crate) fn client_key(&self) -> Tag {
        hmac(&self.0, b"Client Key")
    }

    /// `StoredKey`.
    pub(crate) fn stored_key(&self) -> Digest {
        stored_key(self.client_key().as_ref())
    }

    /// `ClientSignature` of what both have said: what the client's key is hidden with.
    pub(crate) fn client_signature(&self, said: &str) -> Tag {
        hmac(self.stored_key().as_ref(), said.as_bytes())
    }

    /// `ServerSignature` of the same: the server's own proof.
    pub(crate) fn server_signature(&self, said: &str) -> Tag {
        hmac(hmac(&self.0, b"Server Key").as_ref(), said.as_bytes())
    }
}

/// `StoredKey` of a `ClientKey`.
pub(crate) fn stored_key(client_key: &[u8]) -> Digest {
    digest(&SHA256, client_key)
}

/// Hides a key with a signature, or shows it again.
pub(crate) fn masked(key: &[u8], signature: &[u8]) -> Vec<u8> {
    key.iter().zip(signature).map(|(a, b)| a ^ b).collect()
}

fn hmac(key: &[u8], data: &[u8]) -> Tag {
    sign(&Key::new(HMAC_SHA256, key), data)
}
