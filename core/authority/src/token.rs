//! Random bytes, their text, and keyed hashes: ceremony numbers, invites, decoys.

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub(crate) use tapgate_proof::sha256;

/// Random bytes of the system's generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // INVARIANT: aws-lc's generator aborts the process sooner than it answers with an error.
    rand::fill(&mut bytes).expect("the system's random generator works");
    bytes
}

/// Base64url without padding, as bytes travel on the wire.
pub(crate) fn to_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text.
pub(crate) fn from_text(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A secret key that lives in memory only, and what is derived from it.
pub(crate) struct Secret(hmac::Key);

impl Secret {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// 32 bytes for this purpose and text, the same each time.
    pub(crate) fn derive(&self, purpose: &str, text: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        bytes
    }
}
