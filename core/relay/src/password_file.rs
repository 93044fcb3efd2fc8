//! Passwords of targets: read from their files when they are needed.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

/// How large a password's file may be: room for the tokens that stand for passwords in clouds.
pub const PASSWORD_FILE_MAX: u64 = 8 * 1024;

/// Why a password can't be used: for the log, since the client is not to know the gate's files.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file can't be read.
    #[error("the password file can't be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is a folder, a pipe, or too large.
    #[error("the password file is no file of at most {PASSWORD_FILE_MAX} bytes")]
    NoFile,
    /// Everybody on the machine can read it.
    #[error("the password file can be read by everybody (use `chmod o-rwx`)")]
    Open,
    /// There is nothing in it, or no text where there must be one.
    #[error("the password file is empty, or no text")]
    Empty,
}

/// Reads a file; one line's end at its end is not the password's.
pub fn read_password(path: &Path) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
    let file = std::fs::File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() > PASSWORD_FILE_MAX {
        return Err(PasswordError::NoFile);
    }
    if about.mode() & 0o007 != 0 {
        return Err(PasswordError::Open);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default()));
    file.take(PASSWORD_FILE_MAX).read_to_end(&mut bytes)?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    if bytes.is_empty() { Err(PasswordError::Empty) } else { Ok(bytes) }
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
            read_password(&path).map(|password| String::from_utf8(password.to_vec()).unwrap())
        };
        for (text, expect) in
            [("secret", "secret"), ("secret\n", "secret"), ("secret\r\n", "secret"), (" a \n\n", " a \n")]
        {
            assert_eq!(read(text, 0o600).unwrap(), expect);
        }
        assert_eq!(read("secret", 0o640).unwrap(), "secret");
        assert!(matches!(read("secret", 0o604), Err(PasswordError::Open)));
        assert!(matches!(read("\n", 0o600), Err(PasswordError::Empty)));
        assert!(matches!(read(&"x".repeat(8193), 0o600), Err(PasswordError::NoFile)));
        assert!(matches!(read_password(dir.path()), Err(PasswordError::NoFile)));
        assert!(matches!(read_password(&dir.path().join("none")), Err(PasswordError::Io(_))));
    }
}
