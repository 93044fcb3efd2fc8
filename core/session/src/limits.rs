//! Every limit of the room, with its reason.

use std::time::Duration;

/// How long a tap may open sessions. A role may shorten it; nothing lengthens it.
pub const WINDOW_MAX: Duration = Duration::from_mins(5);

/// How long a client may be held while a tap is awaited: enough to open a page, type a code and find a key, and
/// under the 130 seconds after which psycopg gives up by itself.
pub const HOLD_MAX: Duration = Duration::from_mins(2);

/// How long after its tap a client that was turned away may come again, once: people press one key for that.
pub const RETURN_MAX: Duration = Duration::from_mins(1);

/// For how long a connection that a key's touch opened may open further channels where a role gives no window: what one
/// command opens, it opens at once.
pub const TOUCH_SPAN_MIN: Duration = Duration::from_mins(1);

/// How many asks may be held at once in the whole gate, so that held clients can't eat its memory. Where there are more,
/// whoever has most gives way.
pub const HELD_MAX: usize = 4_096;

/// How many asks of one user from one address, or one IPv6 network, may be held at once: more is a broken script or a flood of prompts.
/// A thief elsewhere uses up nothing of its owner's.
pub const HELD_PER_USER_AND_ADDRESS_MAX: usize = 32;

/// How long connecting to a target may take; a target in reach answers in far less.
pub const DIAL_MAX: Duration = Duration::from_secs(10);

/// How many pieces of evidence the cache keeps: at about 1 KiB each, 64 MiB at most.
pub const EVIDENCE_MAX: u64 = 65_536;

/// In how many parts the cache keeps them: a thread of every processor of a usual machine seldom meets another at one.
pub(crate) const EVIDENCE_PARTS: usize = 8;

/// How many certificates' taps may be verified at once: more than there are processors, so that two certificates seldom
/// have one turn.
pub(crate) const TURNS: usize = 64;

/// How many taps may wait for the session that they were made for: at about 1 KiB each, 16 MiB at most.
pub const BROUGHT_MAX: u64 = 16_384;

/// How many sessions may be live at once. Each holds two sockets; the limit keeps the process
/// under the file limit that its service unit asks for.
pub const LIVE_MAX: usize = 30_000;

/// How many deeds of one session are logged in one second. A person, and a script that copies many
/// small files, stays below; more would push other sessions' events out of the log's queue.
pub const DEEDS_PER_SECOND_MAX: u32 = 500;

/// How long nothing may have been heard of an application before the gate looks whether it can be reached.
pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(30);

/// How often it is seen which applications are due for a look: one that was just written is looked at so soon.
pub(crate) const LOOKS_EVERY: Duration = Duration::from_secs(3);

/// How long a look may take; less than a session's own connection, so that one that is slow stands out.
pub(crate) const LOOK_MAX: Duration = Duration::from_secs(3);

/// How many applications are looked at at once, so that a thousand that hang cost a few sockets.
pub(crate) const LOOKS_AT_ONCE_MAX: usize = 16;

/// How many addresses of one name are tried: more than any application has, and each may take a while to fail.
pub(crate) const ADDRESSES_MAX: usize = 8;

/// How many ended web sessions wait to be told elsewhere: they are told at once.
pub(crate) const SIGN_OUTS_TOLD: usize = 1_024;
