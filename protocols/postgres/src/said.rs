//! A text of statements as it is remembered, and what the log is told of it.

use std::sync::Arc;

/// The longest text that is kept, in bytes. A log shows less; but what it does is told from all of it.
const KEPT_MAX: usize = 16 * 1024;

/// A text of statements that a client has said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The text, or its beginning.
    pub(crate) text: Box<str>,
    /// Whether that is all of it.
    pub(crate) whole: bool,
}

impl Said {
    /// The text in a frame.
    pub(crate) fn new(text: &[u8], whole: bool) -> Self {
        let kept = text.get(..KEPT_MAX).unwrap_or(text);
        Self { text: String::from_utf8_lossy(kept).into(), whole: whole && kept.len() == text.len() }
    }
}

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The target has done it.
    Done,
    /// The target has not, and gave this SQLSTATE.
    Failed(String),
    /// The gate has refused it, in these words.
    Refused(Arc<str>),
    /// The target did not come to it, since something before it failed.
    Skipped,
    /// The session was over first.
    Unanswered,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(code) => write!(f, "failed: {code}"),
            Self::Refused(words) => write!(f, "refused: {words}"),
            Self::Skipped => f.write_str("skipped"),
            Self::Unanswered => f.write_str("unanswered"),
        }
    }
}

/// A text that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The text; none where it was prepared before anybody remembered it.
    pub(crate) said: Option<Arc<Said>>,
    /// How many rows, where the target said so.
    pub(crate) rows: Option<u64>,
    /// What became of it.
    pub(crate) outcome: Outcome,
}
