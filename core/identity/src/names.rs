//! The names that may stand in a host certificate, and how many.

use crate::{IssueError, limits};

/// At least one name, and not too many.
pub(crate) fn countable(names: usize) -> Result<(), IssueError> {
    match names {
        0 => Err(IssueError::Names("there is none")),
        n if n > limits::NAMES_MAX => Err(IssueError::Names("there are too many")),
        _ => Ok(()),
    }
}

/// A host name or address. No comma, which would let one principal match as two (CVE-2026-35414), and no
/// pattern.
pub(crate) fn host(name: &str) -> Result<&str, IssueError> {
    let legible = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || !name.chars().all(legible) {
        return Err(IssueError::Names("one is not a DNS name or address"));
    }
    Ok(name)
}
