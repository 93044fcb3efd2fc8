//! A fault: why a request is not carried out, with its HTTP status and words that are safe to show.

use std::fmt;

use tapgate_api::ApiError;

/// Why a request is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status.
    pub status: u16,
    /// What the client reads.
    pub error: ApiError,
}

impl Fault {
    fn new(status: u16, code: &str, message: impl Into<String>, hint: Option<&str>) -> Self {
        let error = ApiError { code: code.to_owned(), message: message.into(), hint: hint.map(str::to_owned) };
        Self { status, error }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found", message, None)
    }

    /// The caller may not do this.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "denied", message, None)
    }

    /// The request makes no sense.
    pub fn invalid(message: impl Into<String>, hint: &str) -> Self {
        Self::new(400, "invalid", message, Some(hint))
    }

    /// The caller has not shown who they are.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(401, "unauthenticated", message, None)
    }

    /// What the request refers to is over.
    pub fn expired(message: impl Into<String>, hint: &str) -> Self {
        Self::new(410, "expired", message, Some(hint))
    }

    /// The request contradicts what is there.
    pub fn conflict(message: impl Into<String>, hint: &str) -> Self {
        Self::new(409, "conflict", message, Some(hint))
    }

    /// Something that the gate needs for this does not answer.
    pub fn unavailable(message: impl Into<String>, hint: &str) -> Self {
        Self::new(503, "unavailable", message, Some(hint))
    }

    /// Too many tries.
    pub fn too_many() -> Self {
        Self::new(429, "too_many", "too many tries", Some("wait a minute and try again"))
    }

    /// The gate itself failed: the log gets the cause, the client none of it.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(error = %cause, "The authority failed");
        Self::new(500, "internal", "the gate failed", Some("the gate's log says why"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error.message)?;
        self.error.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for Fault {}

impl From<tapgate_store::StoreError> for Fault {
    fn from(error: tapgate_store::StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(format_args!("a record in the store can't be read or written: {error}"))
    }
}
