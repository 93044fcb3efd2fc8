//! A checkpoint: what the log was at one moment, signed by the gate, so that nothing before it can change unseen.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tapgate_model::{Digest, UnixTime};

use crate::tree::sha256;
use crate::{Summary, Tree};

/// What keeps these signatures apart from every other.
const DOMAIN: &[u8] = b"tapgate/checkpoint/v1";

/// The log at one moment. Where its signature holds, the log begins with exactly those records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// How many records there were.
    pub records: u64,
    /// The head of the Merkle tree over them (RFC 9162).
    pub root: Digest,
    /// The hash of the last of them.
    pub head: Digest,
    /// When it was signed.
    pub time: UnixTime,
    /// The tree's peaks, by which a log whose older files are archived is verified from here on.
    pub peaks: Vec<Digest>,
    /// The SHA-256 of the public key.
    pub key: Digest,
    /// The Ed25519 signature, in base64url, over `"tapgate/checkpoint/v1" ‖ records (8 bytes) ‖ root ‖ head ‖ time (8
    /// bytes)`.
    pub signature: String,
}

impl Checkpoint {
    /// The tree as it was then; nothing where the peaks do not lead to the head that is signed.
    pub fn tree(&self) -> Option<Tree> {
        Tree::from_peaks(self.records, self.peaks.clone()).filter(|tree| tree.root() == self.root)
    }

    /// Whether one of these keys has signed it.
    pub fn is_signed_by(&self, keys: &[LogPublicKey]) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(&self.signature) else { return false };
        keys.iter()
            .filter(|key| key.id() == self.key)
            .any(|key| UnparsedPublicKey::new(&ED25519, &key.0).verify(&self.message(), &signature).is_ok())
    }

    fn message(&self) -> Vec<u8> {
        let (records, time) = (self.records.to_be_bytes(), self.time.as_secs().to_be_bytes());
        [DOMAIN, &records, self.root.as_bytes(), self.head.as_bytes(), &time].concat()
    }
}

/// The public key of a gate's checkpoints. Its text form is `ed25519:<base64url>`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogPublicKey([u8; 32]);

impl LogPublicKey {
    /// By what a checkpoint names it: the SHA-256 of the key.
    pub fn id(&self) -> Digest {
        sha256(&[&self.0])
    }
}

impl fmt::Display for LogPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for LogPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for LogPublicKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = text.strip_prefix("ed25519:").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or("not of the form ed25519:… with base64url")
    }
}

impl From<LogPublicKey> for String {
    fn from(key: LogPublicKey) -> Self {
        key.to_string()
    }
}

/// The gate's own key, which signs its checkpoints and nothing else.
pub struct LogKey {
    pair: Ed25519KeyPair,
    public: LogPublicKey,
}

impl LogKey {
    /// A new key, in PKCS#8, to be kept.
    pub fn generate() -> Option<Vec<u8>> {
        let rng = aws_lc_rs::rand::SystemRandom::new();
        Ed25519KeyPair::generate_pkcs8(&rng).ok().map(|document| document.as_ref().to_vec())
    }

    /// The key in this PKCS#8.
    pub fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).ok()?;
        let public = pair.public_key().as_ref().try_into().ok().map(LogPublicKey)?;
        Some(Self { pair, public })
    }

    /// By which others verify what it signs.
    pub const fn public(&self) -> LogPublicKey {
        self.public
    }

    /// Signs what the log is now.
    pub fn sign(&self, tree: &Tree, summary: &Summary, time: UnixTime) -> Checkpoint {
        let mut checkpoint = Checkpoint {
            records: tree.size(),
            root: tree.root(),
            head: summary.head,
            time,
            peaks: tree.peaks().to_vec(),
            key: self.public.id(),
            signature: String::new(),
        };
        checkpoint.signature = URL_SAFE_NO_PAD.encode(self.pair.sign(&checkpoint.message()));
        checkpoint
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogKey").field(&self.public).finish()
    }
}
