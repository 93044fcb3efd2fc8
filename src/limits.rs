//! Every limit of the edge, with its reason.

use std::time::Duration;

/// How many connections are served at once: under the file limit of the service unit, with room
/// for a target connection beside each.
pub(crate) const CONNECTIONS_MAX: usize = 20_000;

/// How many connections of one address may be in their handshake at once. A stalled handshake
/// costs its peer as much as us, but only up to here (CVE-2026-7776 of a peer).
pub(crate) const HANDSHAKES_PER_ADDRESS_MAX: usize = 64;

/// How long a client may take from connecting to the end of its TLS handshake.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How many bytes are looked at to tell the protocol: an SSH version line may be 255 bytes, and
/// the others tell in their first few.
pub(crate) const SNIFF_MAX: usize = 256;

/// How many bytes of a plain HTTP request are read away after its answer: more than any browser's head.
pub(crate) const PLAIN_REQUEST_MAX: u64 = 256 * 1024;

/// How long a client may take to send a request's head.
pub(crate) const REQUEST_HEAD_MAX: Duration = Duration::from_secs(15);

/// How large a request's body may be: a file of resources; far more than any ceremony.
pub(crate) const BODY_MAX: usize = 512 * 1024;

/// How much of the audit log one answer holds: more than two of its longest lines.
pub(crate) const AUDIT_PAGE: usize = 256 * 1024;

/// How much of a body that is too large is read before the connection is closed on its sender.
pub(crate) const BODY_READ_MAX: usize = 8 * 1024 * 1024;

/// How long a request may take, the password hash and the store's write included.
pub(crate) const REQUEST_MAX: Duration = Duration::from_mins(1);

/// How long live sessions get at shutdown to read why they end.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long the gate waits after a failed accept (no file descriptors, usually) before the next.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often spent ceremonies and other ended entries are swept from the store.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_mins(1);

/// How long the file of a private key may be: an RSA key of 16,384 bits has 13 KiB.
pub(crate) const KEY_FILE_MAX: u64 = 32 * 1024;
/// How many names of applications have their certificate at hand; each is a key and a few kilobytes.
pub(crate) const NAMED_MAX: usize = 1_024;

/// How long the file of a certificate, with its chain, or of its key may be: ten certificates of the largest kind.
pub(crate) const CERTIFICATE_FILE_MAX: u64 = 256 * 1024;

/// How often the resource files and the certificate's are looked at: a change counts within this time, and a look is a
/// call for each file.
pub(crate) const RELOAD_LOOK: Duration = Duration::from_secs(2);

/// How often measurements are folded into their histograms: at ten thousand sessions a second, a few hundred kilobytes.
pub(crate) const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// How long a PROXY header may be: version 1 has 107 bytes at most, version 2 the addresses and what load balancers add.
pub(crate) const PROXY_HEADER_MAX: usize = 1024;
/// How often a page that is shown events hears something, whether anything has changed or not: proxies close what is
/// silent for a minute, and the web session is looked at again.
pub(crate) const EVENTS_EVERY: Duration = Duration::from_secs(25);

/// How long a connection to the store of recordings or to the witness may take to be there.
pub(crate) const OUTWARD_CONNECT: Duration = Duration::from_secs(10);

/// How long a request to them may take: a part of eight megabytes over a slow line.
pub(crate) const OUTWARD_MAX: Duration = Duration::from_secs(45);

/// How long an answer of theirs may be: a thousand names of a list, with room.
pub(crate) const OUTWARD_BODY_MAX: usize = 16 * 1024 * 1024;

/// How many checkpoints wait for a witness that is slow: the next one covers those that are dropped.
pub(crate) const WITNESS_WAITING: usize = 8;

/// How often recordings that are kept no longer are looked for.
pub(crate) const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// How long the file of a credential may be.
#[cfg(feature = "s3")]
pub(crate) const CREDENTIAL_FILE_MAX: u64 = 4096;
