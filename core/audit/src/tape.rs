//! What a recording is told of a session while it goes on. Nobody who tells it waits for a disk.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tapgate_model::{Kind, SessionId, TargetName, UnixTime, UserName};

use crate::{Event, Text};

/// Whose recording it is: what stands at its head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapeFacts {
    /// The session's number.
    pub session: SessionId,
    /// Who.
    pub user: UserName,
    /// The kind of target.
    pub kind: Kind,
    /// The target's name.
    pub target: TargetName,
    /// Who the user becomes there.
    pub login: Text,
    /// The protocol.
    pub protocol: Text,
    /// When it began.
    pub started: UnixTime,
}

/// Something that happened in one channel of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taped<'a> {
    /// It has a terminal of this size and kind.
    Terminal {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
        /// Such as `xterm-256color`.
        name: &'a str,
    },
    /// Its terminal has another size.
    Resize {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
    },
    /// This command runs in it; an empty one is a shell.
    Runs(&'a [u8]),
    /// What that put out.
    Output(&'a [u8]),
    /// What that put out as errors, where it has no terminal.
    Errors(&'a [u8]),
    /// So many bytes of output more are not recorded.
    Skipped(u64),
    /// It ended with this status.
    Exit(u32),
}

/// Makes recordings.
pub trait Recorder: Send + Sync {
    /// Begins one. Where it can't go on later, `fault` is called, once. The error says why it can't begin.
    fn begin(&self, facts: &TapeFacts, fault: Box<dyn Fn(&str) + Send + Sync>) -> Result<Arc<dyn Tape>, String>;
}

/// A recording that is being made. Telling it something never waits.
pub trait Tape: Send + Sync {
    /// Something happened in a channel.
    fn write(&self, channel: u32, what: Taped<'_>);

    /// Something was done that the audit log is told too, such as a statement.
    fn deed(&self, event: &Event);

    /// The session is over.
    fn end(&self, reason: &str);
}
