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

/// How much of a WebSocket is read at once: a page says little, each time somebody presses a key.
pub(crate) const SOCKET_BUFFER: usize = 4 * 1024;

/// How large one message of a WebSocket may be: a clipboard's whole text.
pub(crate) const SOCKET_MESSAGE_MAX: usize = 1024 * 1024;

/// How long a page may take to read why its WebSocket ends.
pub(crate) const SOCKET_CLOSE_MAX: Duration = Duration::from_secs(2);

/// How long a page may take from asking for a desktop to having its WebSocket there: as long as its tap is good.
pub(crate) const TICKET_TTL: Duration = Duration::from_mins(5);

/// How many pages may be on that way at once: each is a hundred bytes.
pub(crate) const TICKETS_MAX: usize = 8_192;

/// How many of them one web session may have.
pub(crate) const TICKETS_PER_SESSION_MAX: usize = 32;
