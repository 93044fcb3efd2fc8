//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// From the first byte to the client's last word of its login. Nobody types in between.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// From the dialled target to its acceptance of our login. A server on a loaded machine takes seconds, not tens.
pub(crate) const TARGET_LOGIN_MAX: Duration = Duration::from_secs(20);

/// The longest packet before the login is over, in bytes: a login with all the connection attributes that a client
/// may send (64 KiB), and its names.
pub(crate) const LOGIN_PACKET_MAX: usize = 80 * 1024;

/// How many packets a target's login may take. The longest that is known has five.
pub(crate) const LOGIN_PACKETS_MAX: usize = 16;

/// The longest password, in bytes, with room for tokens of cloud databases.
pub(crate) const PASSWORD_MAX: u64 = 8 * 1024;

/// The most that one frame holds, in bytes; a longer packet goes on in the next one.
pub(crate) const FRAME_MAX: usize = 0xff_ffff;

/// How much of a packet of the target is looked at, in bytes: a status, or an error with its words.
pub(crate) const HEAD_MAX: usize = 600;

/// The longest statement that is read, in bytes. Of a longer one nothing is known but its beginning.
pub(crate) const STATEMENT_MAX: usize = 256 * 1024;

/// How much of any other command is looked at, in bytes: a database's name, or a number.
pub(crate) const COMMAND_MAX: usize = 1024;

/// What a session keeps to write its next answer into, in bytes: a few rows.
pub(crate) const WRITE_KEPT: usize = 4 * 1024;

/// Commands that wait for their answer. Drivers send one at a time, or a batch of some hundreds.
pub(crate) const WAITING_MAX: usize = 1024;

/// Bytes of statements that wait for their answer, so that they can be told in the log.
pub(crate) const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Prepared statements whose text is known. A server allows 16382 to all its sessions together.
pub(crate) const PREPARED_MAX: usize = 4096;

/// Bytes of their texts. What is prepared beyond is relayed, and its text not told.
pub(crate) const PREPARED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long what is under way may take to come to a packet's end once the session must end.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(1);

/// How long a client may take to read its last packet.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Statements that wait to be told to the log. Whoever is faster waits.
pub(crate) const TOLD_MAX: usize = 32;
