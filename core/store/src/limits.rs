//! How large and how long things in the store may be, and why.

use std::time::Duration;

/// The longest key, in bytes: a few names of 253 characters and their separators.
pub const KEY_LEN_MAX: usize = 1024;

/// The largest value, in bytes: a resource document or a registration with its proofs, many times
/// over. Larger things, such as recordings, belong into files.
pub const VALUE_LEN_MAX: usize = 1024 * 1024;

/// The most writes in one batch, so that a batch does not hold the writer for longer than a
/// second: a whole directory of resources fits.
pub const BATCH_LEN_MAX: usize = 10_000;

/// How long to wait for another process that is writing to the same file. Its transactions take
/// milliseconds; one that takes longer than this is stuck.
pub const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often to ask again for a file that another process is just opening or closing, and after which pause: two
/// seconds in all, where it takes milliseconds.
pub const OPEN_ATTEMPTS_MAX: u32 = 100;

/// The pause between two of those attempts.
pub const OPEN_ATTEMPT_WAIT: Duration = Duration::from_millis(20);
