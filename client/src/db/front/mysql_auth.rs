//! How MySQL's clients prove a password without saying it: `mysql_native_password`, and the quick way of
//! `caching_sha2_password`. Pure.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::mysql_wire::{CHALLENGE_BYTES, NATIVE};

/// The plugin of newer clients, which MySQL's own from version 9 on alone have.
pub(super) const CACHING: &[u8] = b"caching_sha2_password";

/// What tells the client of [`CACHING`] that its proof was enough (`fast_auth_success`).
pub(super) const ENOUGH: &[u8] = b"\x01\x03";

/// A way to prove a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plugin {
    /// `mysql_native_password`: SHA-1. The password has 256 bits of chance, so that nothing is found out of it.
    Native,
    /// `caching_sha2_password`: SHA-256.
    Caching,
}

impl Plugin {
    /// The plugin that a client has, by the one that it names.
    pub(super) fn of(name: &[u8]) -> Self {
        if name == CACHING { Self::Caching } else { Self::Native }
    }

    /// Its name.
    pub(super) const fn name(self) -> &'static [u8] {
        match self {
            Self::Native => NATIVE,
            Self::Caching => CACHING,
        }
    }

    /// What proves this password for this challenge.
    pub(super) fn proof(self, password: &str, challenge: &[u8; CHALLENGE_BYTES]) -> Vec<u8> {
        let hash = |algorithm: &'static Algorithm, parts: &[&[u8]]| digest(algorithm, &parts.concat());
        let mixed = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a ^ b).collect();
        match self {
            Self::Native => {
                let once = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[password.as_bytes()]);
                let twice = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[once.as_ref()]);
                mixed(once.as_ref(), hash(&SHA1_FOR_LEGACY_USE_ONLY, &[challenge, twice.as_ref()]).as_ref())
            }
            Self::Caching => {
                let once = hash(&SHA256, &[password.as_bytes()]);
                let twice = hash(&SHA256, &[once.as_ref()]);
                mixed(once.as_ref(), hash(&SHA256, &[twice.as_ref(), challenge]).as_ref())
            }
        }
    }

    /// Whether this answer proves it; takes the same time wherever they differ.
    pub(super) fn is_proof(self, answer: &[u8], password: &str, challenge: &[u8; CHALLENGE_BYTES]) -> bool {
        verify_slices_are_equal(answer, &self.proof(password, challenge)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: [u8; CHALLENGE_BYTES] = *b"abcdefghijklmnopqrst";

    #[test]
    fn the_proofs_are_those_of_the_real_plugins() {
        // Worked out with another implementation of the hashes, by the rules in MySQL's documentation.
        let native = Plugin::Native.proof("secret", &CHALLENGE);
        assert_eq!(hex::encode(native), "8817c50fa779daef010ee7577825b0847df9842e");
        let caching = Plugin::Caching.proof("secret", &CHALLENGE);
        assert_eq!(hex::encode(caching), "c76e2898612a4cf042c77fa8c4702c4c64c0c2c557c53c4d75595aaa6abae809");
    }

    #[test]
    fn another_password_or_challenge_proves_nothing() {
        for plugin in [Plugin::Native, Plugin::Caching] {
            let proof = plugin.proof("secret", &CHALLENGE);
            assert!(plugin.is_proof(&proof, "secret", &CHALLENGE));
            assert!(!plugin.is_proof(&proof, "secres", &CHALLENGE));
            assert!(!plugin.is_proof(&proof, "secret", b"abcdefghijklmnopqrsu"));
            assert!(!plugin.is_proof(&[], "secret", &CHALLENGE) && !plugin.is_proof(&proof[1..], "secret", &CHALLENGE));
            assert_eq!(Plugin::of(plugin.name()), plugin);
        }
    }
}
