//! The files that a log consists of: older ones, named after their first record, and the one that is written to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The digits of a first record's number in a file's name.
const DIGITS: usize = 12;

/// The name under which a full file of the log is kept.
pub(crate) fn older(path: &Path, first: u64) -> PathBuf {
    with(path, &format!(".{first:0DIGITS$}"))
}

/// The file's name with something behind it.
pub(crate) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Where the checkpoints of a log are, unless somebody says otherwise.
pub fn checkpoints_of(path: &Path) -> PathBuf {
    with(path, ".checkpoints")
}

/// The older files of a log, each with its first record's number, in order.
pub(crate) fn older_files(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let digits = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.'));
        let digits = digits.filter(|digits| digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit()));
        if let Some(first) = digits.and_then(|digits| digits.parse().ok()) {
            found.push((first, directory.join(&entry)));
        }
    }
    found.sort();
    Ok(found)
}

/// Every file of a log, in order; the last one is the one that is written to.
pub fn log_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let older = older_files(path)?.into_iter().map(|(_, file)| file);
    Ok(older.chain([path.to_owned()]).collect())
}
