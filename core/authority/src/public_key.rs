//! The public keys that clients want certified, parsed once.

use tapgate_identity::{spki_digest, ssh_key_spki};
use tapgate_model::Digest;

use crate::limits::PUBLIC_KEY_MAX;
use crate::{Fault, token};

/// The DER before the 32 bytes of an Ed25519 public key (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A session's key: Ed25519, so that it is one key in both certificate formats.
pub(crate) struct SessionKey {
    pub(crate) spki: Vec<u8>,
    pub(crate) ssh: ssh_key::PublicKey,
}

impl SessionKey {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let spki = der(text)?;
        let point: [u8; 32] = spki
            .strip_prefix(&ED25519_SPKI)
            .and_then(|point| point.try_into().ok())
            .ok_or_else(|| Fault::invalid("the session's public key is not an Ed25519 key", "use an Ed25519 key"))?;
        let data = ssh_key::public::KeyData::Ed25519(ssh_key::public::Ed25519PublicKey(point));
        Ok(Self { spki, ssh: ssh_key::PublicKey::new(data, "") })
    }

    pub(crate) fn digest(&self) -> Digest {
        spki_digest(&self.spki)
    }
}

/// The two keys of a login.
pub(crate) struct LoginKeys {
    pub(crate) spki: Vec<u8>,
    pub(crate) ssh: ssh_key::PublicKey,
}

impl LoginKeys {
    pub(crate) fn parse(tls: &str, ssh: &str) -> Result<Self, Fault> {
        let spki = der(tls)?;
        let bad = || Fault::invalid("the SSH public key is not usable", "use a line of OpenSSH with an Ed25519 key");
        let short = Some(ssh).filter(|line| line.len() <= PUBLIC_KEY_MAX).ok_or_else(bad)?;
        let mut ssh = ssh_key::PublicKey::from_openssh(short).map_err(|_| bad())?;
        ssh_key_spki(&ssh).ok_or_else(bad)?;
        ssh.set_comment("");
        Ok(Self { spki, ssh })
    }

    /// What names the TLS key.
    pub(crate) fn digest(&self) -> Digest {
        spki_digest(&self.spki)
    }

    /// What names the SSH key.
    pub(crate) fn ssh_digest(&self) -> Option<Digest> {
        ssh_key_spki(&self.ssh).map(|spki| spki_digest(&spki))
    }

    /// What a login's tap signs: the TLS key and the SSH key, one after the other.
    pub(crate) fn action(&self) -> Result<Digest, Fault> {
        let blob = self.ssh.to_bytes().map_err(Fault::internal)?;
        Ok(token::sha256(&[&self.spki, &blob]))
    }
}

fn der(text: &str) -> Result<Vec<u8>, Fault> {
    token::from_text(text)
        .filter(|der| !der.is_empty() && der.len() <= PUBLIC_KEY_MAX)
        .ok_or_else(|| Fault::invalid("the public key is not DER in base64url", "send a SubjectPublicKeyInfo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_one_key_in_both_formats() {
        let spki = [ED25519_SPKI.as_slice(), &[7; 32]].concat();
        let key = SessionKey::parse(&token::to_text(&spki)).unwrap();
        assert_eq!(ssh_key_spki(&key.ssh).unwrap(), spki);
    }

    #[test]
    fn other_keys_are_refused() {
        for bad in ["", "!", "AAAA", &token::to_text(&[&ED25519_SPKI[..], &[7; 33]].concat())] {
            assert_eq!(SessionKey::parse(bad).err().unwrap().status, 400, "{bad}");
        }
        assert!(LoginKeys::parse("AAAA", "ssh-rsa AAAA").is_err());
    }
}
