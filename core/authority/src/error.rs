//! Why the authority can't be opened or can't say what is true now.

use std::fmt;
use std::path::PathBuf;

use tapgate_identity::{IdentityError, IssueError};
use tapgate_model::UserName;
use tapgate_policy::Problem;
use tapgate_store::StoreError;

/// Why the authority can't be opened or can't say what is true now: for the operator.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A certificate was not issued, or a stored authority can't be read.
    #[error("{0}")]
    Issue(#[from] IssueError),
    /// The authorities can't be trusted as they are.
    #[error("{0}")]
    Trust(#[from] IdentityError),
    /// The relying party makes no sense.
    #[error("the relying party is not usable: {0}")]
    RelyingParty(String),
    /// The resources contradict themselves or each other; every problem is listed.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
    /// The resource directory can't be read.
    #[error("{path} can't be read: {source}", path = path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is an administrator already.
    #[error(
        "{0} has a registered key already, so this cluster has its first administrator \
         (`tapctl users add` invites others)"
    )]
    HasAdmin(UserName),
    /// The user who shall be the first administrator is there and is none.
    #[error("the user {0} is there already and has not the role `admin` (name another user, or give it the role)")]
    NotAdmin(UserName),
    /// The store's secrets were sealed with another key.
    #[error(
        "the secrets' key is not the one that sealed this store (bring that one back, from where it is kept apart)"
    )]
    WrongKey,
    /// Whoever has lost all keys is nobody who could use the way back in.
    #[error("{0} is no administrator (an administrator lets others enrol anew with `tapctl users reset {0}`)")]
    NothingToRecover(UserName),
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

impl AuthorityError {
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }
}

/// One problem a line.
pub(crate) fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl From<serde_json::Error> for AuthorityError {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(format!("a record in the store can't be read or written: {error}"))
    }
}
