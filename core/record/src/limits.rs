//! Every limit of a recording, with its reason.

use std::time::Duration;

/// How often what has happened is written: a crash loses no more than this and the time that writing takes.
pub const WRITE_EVERY: Duration = Duration::from_millis(500);

/// How much of a session is written at once at the latest; a chunk holds little more.
pub const CHUNK_LEN: usize = 256 * 1024;

/// How much of one session may wait for the disk: some seconds of a terminal that scrolls as fast as it can.
pub const WAITING_MAX: usize = 16 * 1024 * 1024;

/// The longest sealed chunk that is read: what is compressed badly is a little longer than before.
pub const SEALED_MAX: usize = WAITING_MAX + WAITING_MAX / 8;

/// The longest data of one frame: an SSH packet's, with room.
pub const FRAME_MAX: usize = 1024 * 1024;

/// How many recordings are listed: the newest ones.
pub const LISTED_MAX: usize = 1000;

/// How many recordings are removed in one go: a clock that jumps leaves somebody the time to see it.
pub const PRUNED_MAX: usize = 1000;

/// How large a part is that goes to a store while the session goes on: stores take no smaller one than 5 MiB, and it
/// is in memory once.
pub const PART_LEN: usize = 8 * 1024 * 1024;

/// How often what waits for the store is looked at, beside each end of a session.
pub const SHIP_EVERY: Duration = Duration::from_secs(5);

/// How long the shipping waits at most after a store has said no, or nothing.
pub const SHIP_PAUSE_MAX: Duration = Duration::from_mins(1);

/// How long the gate's end waits for the store. What has not arrived then goes at the next start.
pub const SHIP_LAST: Duration = Duration::from_secs(10);

/// How often a request to the store is made again.
pub const STORE_RETRIES: usize = 3;

/// How long a request to the store may take, with its repetitions.
pub const STORE_MAX: Duration = Duration::from_mins(1);

/// How much is read from the store at once: a chunk, most often.
pub const STORE_READ: u64 = 512 * 1024;

/// How much of a recording's beginning stays here when it has gone to the store: whose it is, for lists.
pub const HEAD_LEN: usize = 2048;
