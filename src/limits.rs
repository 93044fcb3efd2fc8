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

/// Terminals in pages at once, of all users: each has a connection to its target, and up to three megabytes where its
/// page does not read.
pub(crate) const TERMINALS_MAX: usize = 4_096;

/// The same, of one web session: more tabs than anybody looks at.
pub(crate) const TERMINALS_PER_SESSION_MAX: usize = 32;

/// One message of a terminal's page: a part of what is pasted.
pub(crate) const TERMINAL_MESSAGE_MAX: usize = 64 * 1024;

/// What waits to be written to a page: its present message, and a little more.
pub(crate) const TERMINAL_WRITE_MAX: usize = 128 * 1024;

/// Output that is read from the target at once.
pub(crate) const TERMINAL_READ: usize = 16 * 1024;

/// How far output may be ahead of what the page has shown: some screens, so that fast output stays fast over slow lines.
pub(crate) const TERMINAL_AHEAD_MAX: u64 = 512 * 1024;

/// How far what is typed may be ahead of what the target has taken: a person's typing never is, and a paste waits.
pub(crate) const TERMINAL_TYPED_MAX: u64 = 64 * 1024;

/// How long a page may take to say what it wants, a tap of its person included.
pub(crate) const TERMINAL_WISH_MAX: Duration = Duration::from_mins(10);

/// How often a terminal's page is asked whether it is there; proxies close what is silent for a minute.
pub(crate) const TERMINAL_PING_EVERY: Duration = Duration::from_secs(25);

/// How long a page may say nothing, not even that it is there: three such questions, and time for the last answer.
pub(crate) const TERMINAL_SILENCE_MAX: Duration = Duration::from_secs(95);

/// How long a terminal may rest before its web session is looked at: as long as a web session may rest.
pub(crate) const TERMINAL_REST_MAX: Duration = Duration::from_hours(1);

/// How long a page has to read why its terminal is over.
pub(crate) const TERMINAL_FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Transfers of files at once, of one page: more only share the same line.
pub(crate) const TRANSFERS_MAX: usize = 4;

/// How long a browser may send nothing of a file.
pub(crate) const UPLOAD_STALL_MAX: Duration = Duration::from_mins(1);

/// How often a page hears how far a download is.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(250);
