//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// From the first byte to the startup packet, TLS included. PostgreSQL's own `authentication_timeout`.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_mins(1);

/// A startup packet, in bytes; PostgreSQL's own limit (`MAX_STARTUP_PACKET_LENGTH`).
pub(crate) const STARTUP_MAX: usize = 10_000;

/// The key of a cancel request, in bytes, as version 3.2 of the protocol allows.
pub(crate) const CANCEL_KEY_MAX: usize = 256;

/// From the dialled target to its readiness. A target on a loaded machine takes seconds to start a process and to
/// hash a password, not tens of them.
pub(crate) const TARGET_HANDSHAKE_MAX: Duration = Duration::from_secs(20);

/// One message of the target before it is ready, in bytes. libpq takes 30,000 for an error, and an administrator's
/// notice is not longer.
pub(crate) const GREETING_MESSAGE_MAX: usize = 64 * 1024;

/// All that a target says between letting the gate in and being ready, in bytes: a few dozen settings.
pub(crate) const GREETING_MAX: usize = 256 * 1024;

/// The longest frame, in bytes: PostgreSQL takes no larger one (`PQ_LARGE_MESSAGE_LIMIT`).
pub(crate) const FRAME_MAX: usize = 0x3fff_ffff;

/// Frames up to this size pass whole, so that a session can be ended in words between any two of them. Larger ones
/// are few, and pass as they come.
pub(crate) const WHOLE_MAX: usize = 32 * 1024;

/// The longest text of a statement that is judged, in bytes, with room for its name. A longer one counts as not
/// understood.
pub(crate) const JUDGED_MAX: usize = 260 * 1024;

/// Statements that are prepared under a name and remembered for the log. Drivers keep a few hundred.
pub(crate) const PREPARED_MAX: usize = 1024;

/// Named portals that are remembered for the log.
pub(crate) const PORTALS_MAX: usize = 256;

/// Messages that wait for their answer and are counted one by one: far more than a pipeline that is read has.
pub(crate) const UNANSWERED_MAX: usize = 64 * 1024;

/// Statements that wait for the log in one session. Beyond it they are counted, and not told in detail.
pub(crate) const TOLD_WAITING_MAX: usize = 256;

/// How long it may take at a session's end to find out what its last statements do. What is not found out by then is
/// told without.
pub(crate) const TOLD_END_MAX: Duration = Duration::from_secs(5);

/// A file with a password, in bytes.
pub(crate) const PASSWORD_FILE_MAX: u64 = 4 * 1024;

/// How long a cancel request may take, the connection to the target included.
pub(crate) const CANCEL_MAX: Duration = Duration::from_secs(10);

/// Cancel requests of one session that are under way at once.
pub(crate) const CANCELS_MAX: usize = 4;

/// Wrong cancel keys from one address in `WRONG_KEYS_WINDOW`, after which it is not listened to: four bytes of an
/// older client's key must not be guessed.
pub(crate) const WRONG_KEYS_MAX: u32 = 20;

/// How long wrong keys count.
pub(crate) const WRONG_KEYS_WINDOW: Duration = Duration::from_mins(1);

/// Addresses whose wrong keys are counted; with more nobody's cancel request is heard until the window is over.
pub(crate) const WRONG_ADDRESSES_MAX: usize = 16 * 1024;

/// How long a side has to read its last words before its connection is cut.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_millis(700);

/// A message of our own to a client, in bytes.
pub(crate) const MESSAGE_MAX: usize = 2 * 1024;
