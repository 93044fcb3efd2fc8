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

/// The recordings that the caller may see, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recordings {
    /// The recordings.
    pub recordings: Vec<RecordingEntry>,
}

/// A recording of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordingEntry {
    /// The session's number.
    pub session: String,
    /// Who.
    pub user: String,
    /// The kind of target.
    pub kind: String,
    /// The target's name.
    pub target: String,
    /// Who the user became there.
    pub login: String,
    /// The protocol.
    pub protocol: String,
    /// When it began, in seconds since the epoch.
    pub started: u64,
    /// The recording's size on the disk, in bytes.
    pub size: u64,
    /// Whether the session is live.
    pub live: bool,
}

/// A piece of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordingPage {
    /// What happened, in order.
    pub frames: Vec<RecordingFrame>,
    /// The parameter `at` of the next piece; none where this is all there is at present.
    pub next: Option<String>,
    /// Whether this is the end of a recording that was ended in good order.
    pub last: bool,
}

/// Something that happened in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordingFrame {
    /// Milliseconds since the session began.
    pub at: u64,
    /// The channel; 0 is the session itself.
    pub channel: u32,
    /// What it is: `facts`, `terminal`, `resize`, `runs`, `output`, `errors`, `skipped`, `exit`, `deed`, `end`.
    pub kind: String,
    /// What belongs to it, in base64url.
    pub data: String,
}
