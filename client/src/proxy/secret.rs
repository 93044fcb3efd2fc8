//! The secret of one run of a local proxy: what a program on this machine must show at a port that anybody can reach.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::error::{Act as _, Result};
use crate::keys::to_base64;

/// A secret of 256 bits; it is made at the start of a proxy and is gone with it.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A fresh one.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice()).act(|| "the system gives no random bytes".to_owned())?;
        Ok(Self(Zeroizing::new(to_base64(bytes.as_slice()))))
    }

    /// One with this text, for protocols whose secrets have a form of their own.
    pub fn of(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Its text, for the one place where its owner reads it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is it; takes the same time wherever they differ.
    pub fn is(&self, shown: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), shown.as_bytes()).is_ok()
    }
}

/// Never prints itself.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_itself_and_no_other() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert!(one.is(one.reveal()));
        assert!(!one.is(two.reveal()) && !one.is("") && !one.is(&one.reveal()[1..]));
        assert_eq!(one.reveal().len(), 43);
    }
}
