//! How long the lab waits, and why.

use std::time::Duration;

/// For a server to say that it is ready. Only reached when something is broken, so it may be long: a machine
/// with two cores that compiles at the same time takes many times what an idle one does.
pub(crate) const READY: Duration = Duration::from_secs(30);

/// For a client's command to end, key derivation and a handshake or two included.
pub(crate) const COMMAND: Duration = Duration::from_mins(1);

/// For a process to end by itself after it was asked to, before it is killed.
pub(crate) const FAREWELL: Duration = Duration::from_secs(3);

/// Between two looks at whether a process has ended; the system offers no wait with a deadline.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// For what a process said before an error to arrive, so that the error can show it.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(300);

/// How much of a log is shown with an error: its end is what matters.
pub(crate) const SHOWN_BYTES: usize = 8 * 1024;
