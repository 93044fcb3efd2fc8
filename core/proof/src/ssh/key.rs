//! A user's SSH public key, read once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use tapgate_model::Digest;

use super::wire::Wire;
use crate::challenge::sha256;
use crate::limits::SSH_KEY_MAX;
use crate::{CredentialKey, KeyError};

const ED25519: &str = "ssh-ed25519";
const P256: &str = "ecdsa-sha2-nistp256";
const RSA: &str = "ssh-rsa";
const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
const SK_P256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// The algorithms that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SshAlgorithm {
    Ed25519,
    P256,
    Rsa,
    SkEd25519,
    SkP256,
}

impl SshAlgorithm {
    const ALL: [Self; 5] = [Self::Ed25519, Self::P256, Self::Rsa, Self::SkEd25519, Self::SkP256];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => ED25519,
            Self::P256 => P256,
            Self::Rsa => RSA,
            Self::SkEd25519 => SK_ED25519,
            Self::SkP256 => SK_P256,
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Of a certificate's name its key's. Those of security keys have their domain behind the version.
    fn certified(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(CERTIFICATE)?;
        let own = |algorithm: &Self| algorithm.as_str().trim_end_matches("@openssh.com") == stem;
        Self::ALL.into_iter().find(own)
    }
}

/// An SSH public key. Its text form is a line of `authorized_keys` without options and comment.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshKey {
    blob: Arc<[u8]>,
    kind: SshAlgorithm,
    key: CredentialKey,
    application: Option<Arc<str>>,
}

/// Why something is no SSH key that can be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// The text is not a line of a `.pub` file.
    #[error("it is no SSH public key (give a .pub file's one line, such as ssh-ed25519 AAAA…)")]
    Text,
    /// Its algorithm is not taken.
    #[error(
        "an SSH key of type {0:?} is not taken (make one with `ssh-keygen -t ed25519-sk`, `ecdsa-sk`, `ed25519`, \
         `ecdsa -b 256`, or `rsa` with 2048 to 4096 bits)"
    )]
    Type(String),
    /// Its parts are not a key.
    #[error("the SSH key is damaged")]
    Damaged,
    /// The key itself is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A security key's application may be that of a web page.
    #[error("the key's application is {0:?} (it must begin with \"ssh:\", as ssh-keygen makes it)")]
    Application(String),
}

impl SshKey {
    /// The key in SSH's wire form.
    pub fn from_blob(blob: &[u8]) -> Result<Self, SshKeyError> {
        if blob.len() > SSH_KEY_MAX {
            return Err(SshKeyError::Damaged);
        }
        let mut wire = Wire(blob);
        let name = wire.text().ok_or(SshKeyError::Damaged)?;
        let kind = SshAlgorithm::of(name).ok_or_else(|| SshKeyError::Type(name.chars().take(64).collect()))?;
        let key = Self::parse(kind, &mut wire)?;
        wire.end().ok_or(SshKeyError::Damaged)?;
        Ok(Self { blob: blob.into(), ..key })
    }

    /// The key that was presented in an authentication: bare, or within a certificate.
    pub fn presented(blob: &[u8]) -> Result<Self, SshKeyError> {
        let mut wire = Wire(blob);
        let name = wire.text().ok_or(SshKeyError::Damaged)?;
        // A certificate has a number that nobody guesses behind its name, and then the key's own parts.
        let Some(kind) = SshAlgorithm::certified(name) else { return Self::from_blob(blob) };
        wire.string().ok_or(SshKeyError::Damaged)?;
        let start = wire.0;
        let key = Self::parse(kind, &mut wire)?;
        let length = start.len() - wire.0.len();
        let mut bare = Vec::new();
        super::wire::push(&mut bare, kind.as_str().as_bytes());
        bare.extend_from_slice(start.get(..length).ok_or(SshKeyError::Damaged)?);
        Ok(Self { blob: bare.into(), ..key })
    }

    /// The parts that follow the name; the blob is left to the caller.
    fn parse(kind: SshAlgorithm, wire: &mut Wire<'_>) -> Result<Self, SshKeyError> {
        let damaged = || SshKeyError::Damaged;
        let key = match kind {
            SshAlgorithm::Ed25519 | SshAlgorithm::SkEd25519 => {
                CredentialKey::eddsa(wire.string().ok_or_else(damaged)?)?
            }
            SshAlgorithm::P256 | SshAlgorithm::SkP256 => {
                let curve = wire.text().filter(|curve| *curve == "nistp256");
                let point = wire.string().and_then(|point| point.strip_prefix(&[4]));
                let (x, y) = curve.and(point).and_then(|point| point.split_at_checked(32)).ok_or_else(damaged)?;
                CredentialKey::es256(x, y)?
            }
            SshAlgorithm::Rsa => {
                let (e, n) = (wire.number().ok_or_else(damaged)?, wire.number().ok_or_else(damaged)?);
                CredentialKey::rs256(n, e)?
            }
        };
        let application = match kind {
            SshAlgorithm::SkEd25519 | SshAlgorithm::SkP256 => Some(application(wire)?),
            SshAlgorithm::Ed25519 | SshAlgorithm::P256 | SshAlgorithm::Rsa => None,
        };
        Ok(Self { blob: Arc::from([]), kind, key, application })
    }

    /// Its name among SSH's algorithms.
    pub const fn kind(&self) -> &'static str {
        self.kind.as_str()
    }

    /// In SSH's wire form.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// What names it: the SHA-256 of its wire form, which OpenSSH writes as its fingerprint.
    pub fn id(&self) -> Digest {
        sha256(&[&self.blob])
    }

    /// The fingerprint as OpenSSH writes it, `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        let text = BASE64_STANDARD.encode(self.id().as_bytes());
        format!("SHA256:{}", text.trim_end_matches('='))
    }

    /// The key itself.
    pub const fn key(&self) -> &CredentialKey {
        &self.key
    }

    /// What a security key was made for, `ssh:` as a rule; none of a key that is a file.
    pub fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }

    /// Whether a security key holds it.
    pub const fn is_sk(&self) -> bool {
        self.application.is_some()
    }
}

/// A page's key has the page's host there, which has no colon: so none of these ever taps for a page.
fn application(wire: &mut Wire<'_>) -> Result<Arc<str>, SshKeyError> {
    let text = wire.text().ok_or(SshKeyError::Damaged)?;
    if text.starts_with("ssh:") && text.len() <= 64 {
        Ok(text.into())
    } else {
        Err(SshKeyError::Application(text.chars().take(64).collect()))
    }
}

impl PartialEq for SshKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for SshKey {}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), BASE64_STANDARD.encode(&self.blob))
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SshKey {
    type Err = SshKeyError;

    /// Reads the line of a `.pub` file; a comment behind the key is left out.
    fn from_str(text: &str) -> Result<Self, SshKeyError> {
        let mut words = text.split_ascii_whitespace();
        let (Some(name), Some(blob)) = (words.next(), words.next()) else { return Err(SshKeyError::Text) };
        if text.trim().lines().count() != 1 {
            return Err(SshKeyError::Text);
        }
        let blob = BASE64_STANDARD.decode(blob).map_err(|_| SshKeyError::Text)?;
        let key = Self::from_blob(&blob)?;
        if key.kind() == name { Ok(key) } else { Err(SshKeyError::Damaged) }
    }
}

impl TryFrom<String> for SshKey {
    type Error = SshKeyError;

    fn try_from(text: String) -> Result<Self, SshKeyError> {
        text.parse()
    }
}

impl From<SshKey> for String {
    fn from(key: SshKey) -> Self {
        key.to_string()
    }
}
