//! Private keys that the gate logs in to targets with, where a target does not trust the gate's authority.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use russh::keys::ssh_key::{Algorithm, LineEnding, PrivateKey};
use tapgate_model::ObjectName;
use zeroize::Zeroizing;

use crate::limits::RSA_BITS_MIN;

/// A private key. It is written into the store and into nothing else.
pub struct StoredKey(PrivateKey);

/// Where stored keys come from: the text of the one of this name, if there is one.
pub type KeySource =
    Arc<dyn Fn(ObjectName) -> BoxFuture<'static, Result<Option<Zeroizing<String>>, String>> + Send + Sync>;

/// Why a text is no key to be stored.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// It can't be read.
    #[error("this is no private key in the form of OpenSSH, PKCS#1 or PKCS#8: {0}")]
    Unreadable(russh::keys::Error),
    /// It has a passphrase, which nobody could type.
    #[error("the key has a passphrase, which the gate can't type (remove it from a copy: ssh-keygen -p -N '' -f COPY)")]
    Encrypted,
    /// Its kind is not supported.
    #[error("keys of the type {0} are not supported (use Ed25519, ECDSA or RSA)")]
    Kind(String),
    /// It is too short.
    #[error("an RSA key of {0} bits can be broken (use {RSA_BITS_MIN} or more)")]
    Short(usize),
    /// It can't be written.
    #[error("the key can't be written: {0}")]
    Unwritable(#[from] russh::keys::ssh_key::Error),
}

impl StoredKey {
    /// Reads a private key's file.
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let key = russh::keys::decode_secret_key(text, None).map_err(|error| match error {
            russh::keys::Error::KeyIsEncrypted => KeyFault::Encrypted,
            other => KeyFault::Unreadable(other),
        })?;
        match key.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => {}
            Algorithm::Rsa { .. } => {
                let modulus = key.public_key().key_data().rsa().map(|rsa| rsa.n().as_bytes());
                // A positive number may begin with a byte of zero.
                let bytes = modulus.unwrap_or_default().iter().skip_while(|byte| **byte == 0).count();
                if bytes * 8 < RSA_BITS_MIN {
                    return Err(KeyFault::Short(bytes * 8));
                }
            }
            other => return Err(KeyFault::Kind(other.to_string())),
        }
        Ok(Self(key))
    }

    /// A new Ed25519 key.
    pub fn generate() -> Result<Self, KeyFault> {
        Ok(Self(PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?))
    }

    /// The text that is stored.
    pub fn to_text(&self) -> Result<Zeroizing<String>, KeyFault> {
        Ok(self.0.to_openssh(LineEnding::LF)?)
    }

    /// The line for `authorized_keys`, with this comment.
    pub fn public_line(&self, comment: &str) -> Result<String, KeyFault> {
        let mut public = self.0.public_key().clone();
        public.set_comment(comment);
        Ok(public.to_openssh()?)
    }

    pub(crate) fn into_private(self) -> PrivateKey {
        self.0
    }
}

/// Never prints the private half.
impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoredKey").field(&crate::algorithms::fingerprint(self.0.public_key())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_never_printed() {
        let key = StoredKey::generate().unwrap();
        let text = key.to_text().unwrap();
        let again = StoredKey::parse(&text).unwrap();
        assert_eq!(again.public_line("x").unwrap(), key.public_line("x").unwrap());
        assert!(key.public_line("bastion").unwrap().ends_with(" bastion"));
        let printed = format!("{key:?}");
        assert!(printed.contains("SHA256:") && printed.len() < 80, "{printed}");
    }

    #[test]
    fn what_is_no_key_is_refused_in_words() {
        let told = |text: &str| StoredKey::parse(text).unwrap_err().to_string();
        assert!(told("hello").contains("no private key"));
        assert!(
            told("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
                .contains("no private key")
        );
    }
}
