//! Passwords of desktops: read from their files when they are needed, and never shown.

use std::path::Path;

use tapgate_relay::PasswordError;
use zeroize::Zeroizing;

/// A password, which is a text.
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, PasswordError> {
        let bytes = tapgate_relay::read_password(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| PasswordError::Empty)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Its text, for the one place that shows it to the desktop.
    pub(crate) fn reveal(&self) -> &str {
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
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_a_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ann");
        let read = |text: &[u8]| {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            Password::read(&path)
        };
        assert_eq!(read(b"secret\r\n").unwrap().reveal(), "secret");
        assert!(matches!(read(b"\xff"), Err(PasswordError::Empty)));
        assert_eq!(format!("{:?}", read(b"secret").unwrap()), "Password(…)");
    }
}
