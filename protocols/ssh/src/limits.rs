//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// From the first byte to the end of authentication. `sshd` gives 120 seconds for typing passwords;
/// here nobody types, but a security key behind an agent may want its touch first.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_mins(1);

/// How many authentication tries a connection has. Each certificate of a full agent is one.
pub(crate) const AUTH_TRIES_MAX: usize = 20;

/// From the dialled target to its acceptance of our certificate. A target on a loaded machine takes
/// seconds for a key exchange, not tens of them.
pub(crate) const TARGET_HANDSHAKE_MAX: Duration = Duration::from_secs(20);

/// Packets that wait while the session is being opened. A client that has nothing confirmed yet
/// sends a channel or two and a keepalive.
pub(crate) const EARLY_PACKETS_MAX: usize = 64;

/// Bytes of such packets, all together.
pub(crate) const EARLY_BYTES_MAX: usize = 64 * 1024;

/// How much output of a command without a terminal is recorded: what a person reads, and not every file and backup that
/// goes through.
pub(crate) const PLAIN_OUTPUT_MAX: usize = 1024 * 1024;

/// Channels of one connection at once. `sshd` allows ten sessions; forwarded ports come on top.
pub(crate) const CHANNELS_MAX: usize = 64;

/// Window credit of one direction of one channel, which is also what the relay may have to keep for
/// a receiver that is slow. It is twice what OpenSSH gives, so that OpenSSH's own windows pass as
/// they are; the surplus of a larger one (`PuTTY` gives 2 GiB) is passed on as its data moves.
pub(crate) const CHANNEL_WINDOW_MAX: u32 = 4 * 1024 * 1024;

/// Data in one packet. OpenSSH takes 32 KiB, and nobody gains by more than twice that.
pub(crate) const DATA_MAX: u32 = 64 * 1024;

/// Any other packet, a long command line included. The transport refuses more than 256 KiB itself.
pub(crate) const CONTROL_MAX: usize = 256 * 1024;

/// Bytes of packets outside the windows (requests, window adjustments) that wait for a peer which
/// does not read. More is a flood.
pub(crate) const CONTROL_BACKLOG_MAX: usize = 1024 * 1024;

/// Names of requests and channel types. RFC 4250 allows 64 characters.
pub(crate) const NAME_MAX: usize = 64;

/// Requests that wait for their answer, per channel and per connection. `PuTTY` measures its windows
/// with such requests and keeps a few dozen on their way.
pub(crate) const REPLIES_MAX: usize = 256;

/// How long a client that must be asked for a tap has to open its first channel. It does so at once; the rest is for
/// slow lines.
pub(crate) const FIRST_WISH_MAX: Duration = Duration::from_secs(5);

/// How long the gate waits to read what a client will run, before it asks for the tap without knowing.
pub(crate) const COMMAND_MAX: Duration = Duration::from_secs(2);

/// The window of a channel that is held: so much that a person's Ctrl-C comes through.
pub(crate) const HELD_WINDOW: u32 = 1024;

/// Data in one packet of a channel that is held: what every target takes, since the client is told before there is one.
pub(crate) const HELD_PACKET_MAX: u32 = 24 * 1024;

/// How often each side is asked whether it is still there. Firewalls forget idle connections after
/// some minutes.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long a side may say nothing at all before it counts as gone: three keepalives.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(95);

/// How long after the session was opened its first channel needs no verdict of its own. The grant
/// was given for that channel, and a client opens it at once.
pub(crate) const FIRST_CHANNEL_MAX: Duration = Duration::from_secs(10);

/// How long a client has to close by itself once its target is gone and every channel is closed.
/// `ssh` forgets an exit status it already holds when a disconnect overtakes its own closing.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(2);

/// How long a side has to read its last words before its connection is cut.
pub(crate) const FAREWELL_MAX: Duration = Duration::from_millis(700);

/// A message of our own to a client, on one line of a terminal or a few.
pub(crate) const MESSAGE_MAX: usize = 512;

/// How long an SFTP packet may be. `sftp-server` takes 256 KiB; a peer that sends more is not understood.
pub(crate) const SFTP_PACKET_MAX: usize = 1024 * 1024;

/// How much of an SFTP packet is kept for reading: two paths of 4 KiB each, with room.
pub(crate) const SFTP_KEPT_MAX: usize = 16 * 1024;

/// Connections to targets over one connection that is jumped over. `ssh -J` opens one.
pub(crate) const JUMPS_MAX: usize = 8;

/// Window of a connection inside a connection: what may wait for a reader that stands still. As much as OpenSSH gives.
pub(crate) const PIPE_WINDOW: u32 = 2 * 1024 * 1024;

/// Data in one packet of such a connection. What everybody takes.
pub(crate) const PIPE_PACKET_MAX: u32 = 32 * 1024;

/// Bytes of such a connection that wait to be sent, whatever window the peer names: enough to keep its line busy.
pub(crate) const PIPE_QUEUE_MAX: usize = 256 * 1024;

/// Channels of a page's session at once: the shell's, or the one that its files go over.
pub(crate) const SEAT_CHANNELS_MAX: usize = 4;

/// Data in one request for files. Every server takes 32 KiB.
pub(crate) const FILE_CHUNK: u32 = 32 * 1024;

/// Requests of one transfer of a file that are on their way: with their data half a megabyte, enough for a line of
/// 40 Mbit/s and 100 ms, and all that a transfer which stands still keeps in memory.
pub(crate) const FILE_REQUESTS_MAX: usize = 16;

/// A path at the target. Systems take 4 KiB.
pub(crate) const PATH_MAX: usize = 4096;

/// How long a client has to take what its target sent before it was gone. No exit status is lost to
/// a slow line, and no socket stays for a client that reads nothing.
pub(crate) const FLUSH_MAX: Duration = Duration::from_mins(1);

/// How short an RSA key may be. Less was factored, or will be.
pub(crate) const RSA_BITS_MIN: usize = 2048;

/// The line that says where a connection leads: a host name and a word before it.
pub(crate) const PREFACE_MAX: usize = 272;
