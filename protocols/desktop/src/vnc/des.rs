//! The answer to a VNC challenge: DES under the password, each of whose bytes is read backwards (RFC 6143 section
//! 7.2.2 and its errata).

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};

/// Encrypts a challenge. Eight bytes of the password count, whatever its length.
pub(super) fn answer(password: &str, challenge: &[u8; 16]) -> [u8; 16] {
    let mut key = [0; 8];
    for (slot, byte) in key.iter_mut().zip(password.bytes()) {
        *slot = byte.reverse_bits();
    }
    let cipher = Des::new(&Array::from(key));
    let mut answer = *challenge;
    for half in answer.chunks_exact_mut(8) {
        let mut block = Array::default();
        block.copy_from_slice(half);
        cipher.encrypt_block(&mut block);
        half.copy_from_slice(&block);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_eight_bytes_count() {
        let challenge = *b"0123456789abcdef";
        assert_eq!(answer("vncpass1", &challenge), answer("vncpass1 and more", &challenge));
        assert_ne!(answer("vncpass1", &challenge), answer("vncpass2", &challenge));
        assert_ne!(answer("", &challenge), challenge);
    }

    #[test]
    fn a_known_answer() {
        // DES's own example under a key whose bytes are the reverse of 0x133457799BBCDFF1's.
        let key = [0x13_u8, 0x34, 0x57, 0x79, 0x9b, 0xbc, 0xdf, 0xf1].map(u8::reverse_bits);
        let cipher = Des::new(&Array::from(key.map(u8::reverse_bits)));
        let mut block = Array::from([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        cipher.encrypt_block(&mut block);
        assert_eq!(block.as_slice(), [0x85, 0xe8, 0x13, 0x54, 0x0f, 0x0a, 0xb4, 0x05]);
    }
}
