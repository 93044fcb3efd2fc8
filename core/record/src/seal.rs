//! Chunks at rest: compressed, and sealed for one place of one recording.
//!
//! ```text
//! file  = "TGREC1\n" chunk…
//! chunk = length (4 bytes, big-endian) ‖ AES-256-GCM(key, nonce, deflate(frames), associated data)
//! key   = HKDF-SHA256(salt "tapgate/recording/v1", store's key, info session id)
//! nonce = the chunk's number (12 bytes); associated data = 1 for the last chunk, 0 for others
//! ```
//!
//! A chunk that was altered, moved, taken from another recording or left out does not open, and a recording that ends
//! without a last chunk is known to.

use std::io::{Read as _, Write as _};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use tapgate_model::SessionId;

use crate::limits::WAITING_MAX;

/// What a recording begins with.
pub const MAGIC: &[u8] = b"TGREC1\n";

/// The key of one recording.
#[derive(Debug)]
pub struct ChunkKey(LessSafeKey);

impl ChunkKey {
    /// The key of this session's recording, from the key of all.
    pub fn new(key: &[u8], session: SessionId) -> Option<Self> {
        let pseudo_random = Salt::new(HKDF_SHA256, b"tapgate/recording/v1").extract(key);
        let info: [&[u8]; 1] = [session.as_bytes()];
        let okm = pseudo_random.expand(&info, &AES_256_GCM).ok()?;
        Some(Self(LessSafeKey::new(UnboundKey::from(okm))))
    }

    /// Seals the frames as the chunk of this number, with its length before it. One number is sealed once.
    pub fn seal(&self, number: u64, last: bool, frames: &[u8]) -> Option<Vec<u8>> {
        // The quickest compression: a terminal's output shrinks well by any, and the processor has better things to do.
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(frames).ok()?;
        let mut sealed = encoder.finish().ok()?;
        self.0.seal_in_place_append_tag(nonce(number), aad(last), &mut sealed).ok()?;
        let length = u32::try_from(sealed.len()).ok()?;
        Some([&length.to_be_bytes(), sealed.as_slice()].concat())
    }

    /// The frames of the chunk of this number, given without its length, and whether it is the last.
    pub fn open(&self, number: u64, sealed: &[u8]) -> Option<(Vec<u8>, bool)> {
        for last in [false, true] {
            let mut bytes = sealed.to_vec();
            if let Ok(opened) = self.0.open_in_place(nonce(number), aad(last), &mut bytes) {
                let mut frames = Vec::new();
                // What was written never is longer, whatever it says of itself.
                let most = u64::try_from(WAITING_MAX * 2).unwrap_or(u64::MAX);
                DeflateDecoder::new(&*opened).take(most).read_to_end(&mut frames).ok()?;
                return Some((frames, last));
            }
        }
        None
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn aad(last: bool) -> Aad<[u8; 1]> {
    Aad::from([u8::from(last)])
}
