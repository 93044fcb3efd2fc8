//! What happened, as a chain of records that cannot be changed unseen.

mod audit;
mod checkpoint;
mod deed;
mod event;
mod expect;
mod file;
mod follow;
mod keeper;
mod keys;
pub mod limits;
mod make;
mod memory;
mod parts;
mod prove;
mod prune;
mod queue;
mod record;
mod resume;
mod tape;
mod text;
mod tree;
mod verify;

use std::sync::Arc;

pub use audit::{Audit, Fault, Finding, Given, Period, audit};
pub use checkpoint::{Checkpoint, LogKey, LogPublicKey};
pub use deed::{Deed, Statement, Way};
pub use event::{BrowserStep, Change, DeedFacts, Event, SessionFacts, TapRecord};
pub use expect::Expectation;
pub use file::{AuditError, FileOptions, FileSink, WhenFull};
pub use follow::{Copies, Follower, Witness};
pub use keeper::Checkpoints;
pub use keys::{AuditConnector, AuditKey, AuditKeys, AuditProviderKey, AuditSshKey, Life};
pub use memory::MemorySink;
pub use parts::{checkpoints_of, log_files};
pub use prove::{Method, Prover, Unproven};
pub use prune::Keep;
pub use record::{GENESIS, Record, Summary};
pub use tape::{Recorder, Tape, TapeFacts, Taped};
pub use text::{Capped, StatementText, Text};
pub use tree::Tree;
pub use verify::{Break, ChainBroken, read_file, verify_file};

/// Where events go. Recording never waits for a disk, so that it never holds a session up.
pub trait Sink: Send + Sync {
    /// Records that this has happened, now.
    fn record(&self, event: Event);

    /// Whether a session may begin: not where it could not be recorded, and that is not wanted.
    fn takes_sessions(&self) -> bool {
        true
    }
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn record(&self, event: Event) {
        (**self).record(event);
    }

    fn takes_sessions(&self) -> bool {
        (**self).takes_sessions()
    }
}
