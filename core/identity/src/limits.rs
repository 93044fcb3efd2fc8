//! Every limit of the certificate profiles, each with its reason.

use std::time::Duration;

/// How far a certificate reaches into the past, for clocks that run behind the gate's.
pub const SKEW: Duration = Duration::from_secs(30);

/// The longest life of a session certificate, from its issue: a tap opens sessions for five minutes, no longer.
pub const SESSION_MAX: Duration = Duration::from_mins(5);

/// The longest life of a login certificate, from its issue: a working day.
pub const LOGIN_MAX: Duration = Duration::from_hours(12);

/// The life of a certificate that the gate shows to a target: it is used at once, so minutes are plenty.
pub const TARGET_LIFE: Duration = Duration::from_mins(5);

/// The life of the gate's own host certificates. The gate issues new ones at each start, and a year is
/// longer than any release should run.
pub const HOST_LIFE: Duration = Duration::from_hours(365 * 24);

/// The life of an authority's own certificate. Authorities are rotated by hand, and clients pin their keys.
pub const CA_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// The largest X.509 certificate that is looked at: a proof of 16 KiB and the certificate around it.
pub const X509_MAX: usize = 20 * 1024;

/// The largest SSH certificate that is looked at: a proof of 16 KiB in base64, and the principals.
pub const SSH_MAX: usize = 32 * 1024;

/// The most principals or names in one certificate: a tap covers a set that a person has read.
pub const NAMES_MAX: usize = 64;

/// The longest host name, by DNS.
pub const NAME_BYTES_MAX: usize = 253;

/// How many host authorities may stand one behind the other, each vouched for by the one before: with one rotation every
/// two years that is longer than an authority's own life. Verifiers look no further than six (webpki).
pub const LINEAGE_MAX: u8 = 5;

/// How many certificates a client looks at beside the gate's own: its host authority's, and those of all before it.
pub(crate) const CHAIN_MAX: usize = 6;

/// The last second of the year 9999, beyond which X.509 has no dates.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;
