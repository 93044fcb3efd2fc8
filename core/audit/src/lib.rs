//! What happened, as a chain of records that cannot be changed unseen.

mod deed;
mod event;
mod file;
pub mod limits;
mod make;
mod memory;
mod queue;
mod record;
mod resume;
mod text;
mod verify;

use std::sync::Arc;

pub use deed::{Deed, Statement, Way};
pub use event::{BrowserStep, Change, DeedFacts, Event, SessionFacts, TapRecord};
pub use file::{AuditError, FileSink};
pub use memory::MemorySink;
pub use record::{GENESIS, Record, Summary};
pub use text::{Capped, StatementText, Text};
pub use verify::{Break, ChainBroken, read_file, verify_file};

/// Where events go. Recording never waits for a disk, so that it never holds a session up.
pub trait Sink: Send + Sync {
    /// Records that this has happened, now.
    fn record(&self, event: Event);
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn record(&self, event: Event) {
        (**self).record(event);
    }
}
