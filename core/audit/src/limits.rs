//! How much the audit log holds back, and why.

use std::time::Duration;

/// The longest free text in an event, in bytes: a sentence with names in it. Longer ones come from
/// a peer that wants to fill the disk.
pub const TEXT_LEN_MAX: usize = 1024;

/// The longest text of a database statement, in bytes: what a person still reads.
pub const STATEMENT_LEN_MAX: usize = 4 * 1024;

/// The longest line, in bytes: a proof and its statement at their largest, in base64, with room.
pub const LINE_LEN_MAX: usize = 128 * 1024;

/// How many events may wait for the disk: several seconds of a busy gate, in a few megabytes.
pub const QUEUE_LEN_MAX: usize = 8192;

/// How many events one write and one fsync cover. It bounds what a crash can lose, and the memory
/// that a batch takes.
pub const BATCH_LEN_MAX: usize = 512;

/// How long after one batch the next one is written at the earliest, unless somebody waits for the disk: what happens by
/// itself is written at once, and a busy gate syncs fifty times a second, not once for each event. A crash loses so
/// much more.
pub const GATHER: Duration = Duration::from_millis(20);

/// How many records may be without a checkpoint: what a crash leaves unsigned, or an intruder could rewrite unseen.
pub const CHECKPOINT_RECORDS: u64 = 1024;

/// How long a record may be without a checkpoint, for the same reason.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// The size at which a new file is begun: one that an editor and a copy over the network still take.
pub const FILE_LEN_MAX: u64 = 256 * 1024 * 1024;

/// How long a file goes on where older ones are removed by their age: what goes at once is no more than a day.
pub const FILE_AGE_MAX: Duration = Duration::from_hours(24);

/// How many files are removed at once because of their age. More than one, so that a rule that is new catches up; few, so
/// that a clock that jumps forward leaves somebody the time to see it.
pub const PRUNED_BY_AGE: usize = 2;

/// How many batches of lines wait for a stream that gets copies.
pub const COPIES_MAX: usize = 64;

/// How long a session may take from its check to its record: the dial, and the store before it.
pub const RECORD_LAG_MAX: Duration = Duration::from_secs(30);

/// How many faults an audit names one by one; what follows is counted.
pub const FINDINGS_MAX: usize = 100;

/// How long the writer waits before it tries a failed disk again.
pub const RETRY_WAIT: Duration = Duration::from_secs(1);

/// How long `flush` waits for the disk before it says that the log is stuck.
pub const FLUSH_WAIT_MAX: Duration = Duration::from_secs(10);
