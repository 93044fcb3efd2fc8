//! Passwords of database users: read from their files when they are needed, and never shown.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::limits::PASSWORD_FILE_MAX;

/// A password.
pub(crate) struct Password(Zeroizing<Vec<u8>>);

/// Why a password can't be used: for the log, since the client is not to know the gate's files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("the password file can't be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("the password file is no file of at most {PASSWORD_FILE_MAX} bytes")]
    NoFile,
    #[error("the password file can be read by everybody (use `chmod o-rwx`)")]
    Open,
    #[error("the password file is empty")]
    Empty,
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
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        if bytes.is_empty() { Err(PasswordError::Empty) } else { Ok(Self(bytes)) }
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
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_a_files_text_without_its_lines_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        let read = |text: &str, mode| {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Password::read(&path).map(|password| String::from_utf8(password.as_bytes().to_vec()).unwrap())
        };
        for (text, expect) in
            [("secret", "secret"), ("secret\n", "secret"), ("secret\r\n", "secret"), (" a \n\n", " a \n")]
        {
            assert_eq!(read(text, 0o600).unwrap(), expect);
        }
        assert_eq!(read("secret", 0o640).unwrap(), "secret");
        assert!(matches!(read("secret", 0o604), Err(PasswordError::Open)));
        assert!(matches!(read("\n", 0o600), Err(PasswordError::Empty)));
        assert!(matches!(read(&"x".repeat(5000), 0o600), Err(PasswordError::NoFile)));
        assert!(matches!(Password::read(dir.path()), Err(PasswordError::NoFile)));
        assert!(matches!(Password::read(&dir.path().join("none")), Err(PasswordError::Io(_))));
    }

    #[test]
    fn a_password_is_not_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        write(&path, "secret").unwrap();
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(format!("{:?}", Password::read(&path).unwrap()), "Password(…)");
    }
}
