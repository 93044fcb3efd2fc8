//! Random bytes from the cryptographic library.

use crate::IssueError;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], IssueError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| IssueError::Crypto("no random bytes"))?;
    Ok(bytes)
}
