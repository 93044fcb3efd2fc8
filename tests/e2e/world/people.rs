//! People and their disks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tapgate_lab::{Client, Lab};

/// A person with a home, a software key and a password in a file.
pub(crate) fn person(lab: &Lab, name: &str) -> Result<Client> {
    let password = lab.write(&format!("password-{name}"), &format!("correct horse battery {name}"))?;
    Ok(Client::new(lab, name)?.with("TAP_PASSWORD_FILE", password))
}

/// Every file below a folder; what is neither file nor folder (a socket) is left out.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Copies a folder as a thief would: every file that is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    for file in files_below(from)? {
        let target = to.join(file.strip_prefix(from)?);
        std::fs::create_dir_all(target.parent().context("a file lies in a folder")?)?;
        std::fs::copy(&file, &target)?;
    }
    Ok(())
}
