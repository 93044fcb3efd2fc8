//! Files that are nobody else's: folders 0700, files 0600, each written whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::error::{Act as _, Failure, Result};

/// Makes a folder that only its owner can enter, and refuses one that is another's.
pub fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .act(|| format!("{} cannot be made", path.display()))?;
    let meta = fs::metadata(path).act(|| format!("{} cannot be read", path.display()))?;
    if meta.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Failure::new(format!("{} belongs to somebody else", path.display()))
            .advise("set TAP_HOME to a folder of your own"));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .act(|| format!("{} cannot be made private", path.display()))?;
    }
    Ok(())
}

/// Writes a file that only its owner can read, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let act = || format!("{} cannot be written", path.display());
    let parent = path.parent().ok_or_else(|| Failure::new(act()))?;
    let mut file =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o600)).tempfile_in(parent).act(act)?;
    file.write_all(content).act(act)?;
    file.as_file().sync_all().act(act)?;
    file.persist(path).act(act)?;
    Ok(())
}

/// A file's text, or `None` where there is no such file.
pub fn read_optional(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!("{} cannot be read: {error}", path.display()))),
    }
}

/// Removes a folder and what is in it; one that is not there is no failure.
pub fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{} cannot be removed: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let (inner, file) = (dir.path().join("a/b"), dir.path().join("a/b/c"));
        private_dir(&inner)?;
        write_private(&file, b"one")?;
        write_private(&file, b"two")?;
        assert_eq!(fs::metadata(&inner)?.permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(read_optional(&file)?.as_deref(), Some("two"));
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755))?;
        private_dir(&inner)?;
        assert_eq!(fs::metadata(&inner)?.permissions().mode() & 0o777, 0o700);
        remove_dir(&inner)?;
        remove_dir(&inner)?;
        assert_eq!(read_optional(&file)?, None);
        Ok(())
    }
}
