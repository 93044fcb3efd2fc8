//! Every limit of desktops, with its reason.

use std::time::Duration;

use tapgate_relay::carry::Pace;

/// How long the desktop may take, from the first byte to where the gate is in: a logon that asks a domain takes a few
/// seconds.
pub(crate) const ENTER_MAX: Duration = Duration::from_secs(15);

/// How long a client may take from there to where its picture begins: people are asked about certificates meanwhile.
pub(crate) const CLIENT_MAX: Duration = Duration::from_mins(2);

/// How long a session may rest at most where no role says anything: a forgotten one ends some day.
pub(crate) const IDLE_MAX: Duration = Duration::from_hours(8);

/// How long the last bytes may take once one side has ended.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(5);

/// Both.
pub(crate) const PACE: Pace = Pace { idle_max: IDLE_MAX, linger_max: LINGER_MAX };

/// How large RDP's first message may be, in bytes: its length indicator is one byte, and a correlation id follows.
pub(crate) const X224_MAX: usize = 512;

/// How large a page's first message may be: a request of X.224, and texts that are not looked at.
pub(crate) const CLEAN_PATH_MAX: usize = 8 * 1024;

/// How large one message may be before the session's picture begins: the largest that clients send, with sixteen
/// monitors and thirty-one channels, is below two kilobytes.
pub(crate) const PDU_MAX: usize = 16 * 1024;

/// How many messages a client may send before it says who it is: one for each of its channels, and a few.
pub(crate) const PDUS_MAX: usize = 64;

/// How large one message of Network Level Authentication may be.
#[cfg(feature = "rdp-nla")]
pub(crate) const CREDSSP_MAX: usize = 64 * 1024;

/// How many of them there may be: two would do for NTLM, three for the rest.
#[cfg(feature = "rdp-nla")]
pub(crate) const CREDSSP_STEPS_MAX: usize = 8;

/// How many kinds of security a VNC desktop may offer.
pub(crate) const VNC_TYPES_MAX: u8 = 32;

/// How long its reason for a refusal may be, and the name that it gives itself.
pub(crate) const VNC_TEXT_MAX: usize = 4 * 1024;

/// How long a client with a file may take to prove its password, from its first byte: it has asked its user before.
#[cfg(feature = "rdp-nla")]
pub(crate) const PROVE_MAX: Duration = Duration::from_secs(30);

/// How often a file's password may be tried: clients come twice for one click, and once more when they were refused.
#[cfg(feature = "rdp-nla")]
pub(crate) const TRIES_MAX: u8 = 8;

/// How many files may be out at once: each is a few hundred bytes, and gone with its window.
#[cfg(feature = "rdp-nla")]
pub(crate) const FILES_MAX: usize = 4_096;

/// How many of them one user may have out: a person opens a few desktops at once.
#[cfg(feature = "rdp-nla")]
pub(crate) const FILES_PER_USER_MAX: usize = 16;

/// How long a file is good: as long as a tap's window is at most.
#[cfg(feature = "rdp-nla")]
pub(crate) const FILE_TTL: Duration = Duration::from_mins(5);
