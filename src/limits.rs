//! Every limit of the edge, with its reason.

use std::time::Duration;

/// How many connections are served at once, where the process may open so many files.
pub(crate) const CONNECTIONS_MAX: usize = 20_000;

/// How many files the gate opens beside its connections: the store, the log, the recordings, the resources.
pub(crate) const FILES_BESIDE: u64 = 512;

/// How many connections may be in their handshake at once, of all addresses together. Where one more comes, the oldest
/// goes: a flood of stalled ones makes room for whoever goes on.
pub(crate) const HANDSHAKES_ALL_MAX: usize = 4_096;

/// How often the log says that connections were refused: a flood must not fill it.
pub(crate) const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(1);

/// How many connections of one address may be in their handshake at once. A stalled handshake
/// costs its peer as much as us, but only up to here (CVE-2026-7776 of a peer).
pub(crate) const HANDSHAKES_PER_ADDRESS_MAX: usize = 64;

/// How long a client may take from connecting to the end of its TLS handshake.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How many bytes are looked at to tell the protocol: an SSH version line may be 255 bytes, and
/// the others tell in their first few.
pub(crate) const SNIFF_MAX: usize = 256;

/// How much of a plain HTTP request is looked at: the path of a challenge is well below 200 bytes.
pub(crate) const PLAIN_LINE_MAX: usize = 1_024;

/// Where a certificate authority looks (RFC 8555 section 8.3).
pub(crate) const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// How long a certificate authority may take for one answer, and how large that may be: a chain of ten certificates.
pub(crate) const ACME_REQUEST_MAX: Duration = Duration::from_secs(30);
pub(crate) const ACME_BODY_MAX: usize = 256 * 1024;

/// How long it may take to look at the gate, or to issue.
pub(crate) const ACME_POLL_MAX: Duration = Duration::from_mins(2);

/// How long all of it may take.
pub(crate) const ACME_MAX: Duration = Duration::from_mins(5);

/// How often the gate looks whether a certificate is due.
pub(crate) const ACME_LOOK: Duration = Duration::from_mins(10);

/// How long it waits after a failure: twice as long each time, as authorities count failures.
pub(crate) const ACME_RETRY_FIRST: Duration = Duration::from_secs(30);
pub(crate) const ACME_RETRY_LAST: Duration = Duration::from_hours(6);

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

/// Between two looks at whether the last session has ended.
pub(crate) const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How long a connection that rests is left open for a request that is on its way, where connections are to end: a round
/// trip across the world.
pub(crate) const LAST_REQUEST_MAX: Duration = Duration::from_millis(500);

/// How long handshakes and requests that are under way get before another process takes over; what comes meanwhile waits
/// in the kernel.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(2);

/// How long a fresh process may take to look at its files, and then to open: far more than a start with tens of
/// thousands of resources, as the old one serves until then.
pub(crate) const HEIR_START_MAX: Duration = Duration::from_mins(1);

/// How long a fresh process that has failed may take to say why and end.
pub(crate) const LAST_WORDS_MAX: Duration = Duration::from_secs(2);

/// How often a fresh process looks whether there is another policy that the old one must review its sessions by.
pub(crate) const FOLLOW_LOOK: Duration = Duration::from_millis(100);

/// How long the process before this one may take to say what its live sessions are: it reads its memory and no more.
pub(crate) const ELDER_ANSWER_MAX: Duration = Duration::from_secs(5);

/// How many live sessions one word between two processes of the gate names: far below `WORD_MAX`.
pub(crate) const SESSIONS_IN_A_WORD: usize = 1000;

/// How long a word between two processes of the gate may be: far more than the longest event of the audit log.
pub(crate) const WORD_MAX: u64 = 4 * 1024 * 1024;

/// How many events are held while the audit log changes hands, for a second or so.
pub(crate) const LOG_HELD_MAX: usize = 100_000;

/// How many events may be on their way to the process that has the audit log.
pub(crate) const LOG_AWAY_MAX: usize = 100_000;

/// How many connections the kernel keeps until they are accepted: what comes while another process takes over, and what
/// a flood brings at once.
pub(crate) const BACKLOG: u32 = 4_096;

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

/// How many spans wait for their collector, how many go to it at once, and how often: a few hundred bytes each.
pub(crate) const TRACES_WAITING_MAX: usize = 8_192;
pub(crate) const TRACES_AT_ONCE: usize = 512;
pub(crate) const TRACES_EVERY: Duration = Duration::from_millis(500);

/// How long a collector may take.
pub(crate) const TRACES_POST_MAX: Duration = Duration::from_secs(10);

/// How long a PROXY header may be: version 1 has 107 bytes at most, version 2 the addresses and what load balancers add.
pub(crate) const PROXY_HEADER_MAX: usize = 1024;
/// How often a page that is shown events hears something, whether anything has changed or not: proxies close what is
/// silent for a minute, and the web session is looked at again.
pub(crate) const EVENTS_EVERY: Duration = Duration::from_secs(25);

/// How long a page waits for the name of an address: it is of use, and not worth a wait that a person notices.
pub(crate) const REVERSE_MAX: Duration = Duration::from_millis(500);

/// How many such names are asked for at once; a resolver that hangs keeps so many threads, and no more.
pub(crate) const REVERSE_AT_ONCE_MAX: usize = 8;

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

/// How long a connection to the store of recordings or to the witness may take to be there.
pub(crate) const OUTWARD_CONNECT: Duration = Duration::from_secs(10);

/// How long a request to them may take: a part of eight megabytes over a slow line.
pub(crate) const OUTWARD_MAX: Duration = Duration::from_secs(45);

/// How long an answer of theirs may be: a thousand names of a list, with room.
pub(crate) const OUTWARD_BODY_MAX: usize = 16 * 1024 * 1024;

/// How many checkpoints wait for a witness that is slow: the next one covers those that are dropped.
pub(crate) const WITNESS_WAITING: usize = 8;

/// How long after a failure the newest checkpoint goes to its witness once more: as often as new ones come.
pub(crate) const WITNESS_RETRY: Duration = Duration::from_secs(10);

/// How long a gate that ends waits for its last checkpoint to be posted.
pub(crate) const WITNESS_LAST: Duration = Duration::from_secs(5);

/// How often recordings that are kept no longer are looked for.
pub(crate) const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// How long the file of a credential may be.
#[cfg(feature = "s3")]
pub(crate) const CREDENTIAL_FILE_MAX: u64 = 4096;

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
