//! What an auditor knows of a log from elsewhere: how many records it had, and the hash of the last of them.

use std::str::FromStr;

use tapgate_model::Digest;

use crate::Checkpoint;

/// What the log must have been: it may have gone on since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// How many records there were, where that is known.
    pub records: Option<u64>,
    /// The hash of the last of them.
    pub head: Digest,
}

/// `HASH`, or `RECORDS:HASH`.
impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (records, head) = match text.split_once(':') {
            Some((records, head)) => (Some(records.parse().map_err(|_| format!("{records:?} is no number"))?), head),
            None => (None, text),
        };
        Ok(Self { records, head: head.parse().map_err(|why| format!("{head:?}: {why}"))? })
    }
}

impl From<&Checkpoint> for Expectation {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self { records: Some(checkpoint.records), head: checkpoint.head }
    }
}
