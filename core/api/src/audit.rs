//! The audit log and its checkpoints, page by page, for those who may see them.

use serde::{Deserialize, Serialize};

/// A piece of the log, or of its checkpoints: whole lines, as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditPage {
    /// The lines, each with its end.
    pub text: String,
    /// Where the next piece begins, for the parameter `at`.
    pub next: u64,
    /// Whether there is no more at present.
    pub end: bool,
}
