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
