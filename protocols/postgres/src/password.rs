//! Passwords of database users: read from their files when they are needed, and never shown.

use std::path::Path;

use tapgate_relay::PasswordError;
use zeroize::Zeroizing;

/// A password.
pub(crate) struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, PasswordError> {
        tapgate_relay::read_password(path).map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Never prints it.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", Password(Zeroizing::new(b"secret".to_vec()))), "Password(…)");
    }
}
