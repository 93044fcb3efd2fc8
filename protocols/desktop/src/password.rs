//! Passwords of desktops: read from their files when they are needed, and never shown.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::limits::PASSWORD_FILE_MAX;

/// A password.
pub(crate) struct Password(Zeroizing<String>);

/// Why a password can't be used: for the log, since the client is not to know the gate's files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("the password file can't be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("the password file is no file of at most {PASSWORD_FILE_MAX} bytes")]
    NoFile,
    #[error("the password file can be read by everybody (use `chmod o-rwx`)")]
    Open,
    #[error("the password file is empty, or no text")]
    NoText,
}

impl Password {
    /// Reads a file; one line's end at its end is not the password's.
    pub(crate) fn read(path: &Path) -> Result<Self, PasswordError> {
        let file = std::fs::File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() || about.len() > PASSWORD_FILE_MAX {
            return Err(PasswordError::NoFile);
        }
        if about.mode() & 0o007 != 0 {
            return Err(PasswordError::Open);
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(PASSWORD_FILE_MAX).read_to_end(&mut bytes)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| PasswordError::NoText)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() { Err(PasswordError::NoText) } else { Ok(Self(Zeroizing::new(text.to_owned()))) }
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
    fn a_password_is_a_files_text_without_its_lines_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ann");
        let read = |text: &[u8], mode| {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Password::read(&path).map(|password| password.reveal().to_owned())
        };
        assert_eq!(read(b"secret\r\n", 0o600).unwrap(), "secret");
        assert_eq!(read(b" a \n\n", 0o640).unwrap(), " a \n");
        assert!(matches!(read(b"secret", 0o604), Err(PasswordError::Open)));
        assert!(matches!(read(b"\n", 0o600), Err(PasswordError::NoText)));
        assert!(matches!(read(b"\xff", 0o600), Err(PasswordError::NoText)));
        assert!(matches!(read(&[b'x'; 5000], 0o600), Err(PasswordError::NoFile)));
        assert!(matches!(Password::read(&dir.path().join("none")), Err(PasswordError::Io(_))));
        write(&path, "secret").unwrap();
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(format!("{:?}", Password::read(&path).unwrap()), "Password(…)");
    }
}
