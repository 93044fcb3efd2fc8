//! Every limit of the Kubernetes door, with its reason.

use std::time::Duration;

/// How long a client may take to send a request's head.
pub(crate) const HEAD_MAX: Duration = Duration::from_secs(15);

/// How large a request's head may be: a long list of groups and a field selector fit many times.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How many requests one HTTP/2 connection may have open: a busy controller has some hundred watches.
pub(crate) const STREAMS_MAX: u32 = 512;

/// How many sessions one gate keeps at once for all clusters; each holds a few idle connections at most.
pub(crate) const SESSIONS_MAX: usize = 4_096;

/// How long a session without any request stays, where no role says otherwise: between two commands of somebody who
/// reads, and no more.
pub(crate) const SESSION_IDLE: Duration = Duration::from_mins(10);

/// How long an idle connection to an API server is kept for the next request.
pub(crate) const POOL_IDLE: Duration = Duration::from_mins(1);

/// How many idle connections a session keeps: one command fans out over a few.
pub(crate) const POOL_MAX: usize = 8;

/// How long the API server's TLS handshake may take.
pub(crate) const TLS_MAX: Duration = Duration::from_secs(10);

/// How long the API server may take to answer with a head; its own limit for a request is a minute.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(75);

/// How long reading a cluster's credentials may take, a credential plugin's run included.
pub(crate) const CREDENTIALS_MAX: Duration = Duration::from_secs(30);

/// How long a session's credentials are held to be the present ones whatever the API server says of them: reading them
/// anew may run a program.
pub(crate) const CREDENTIALS_AGE_MIN: Duration = Duration::from_secs(10);

/// How much of an upgraded stream is copied at once.
pub(crate) const COPY_BYTES: usize = 32 * 1024;

/// How large a list may be that is filtered: a page of the 500 objects that clients ask for is far below.
pub(crate) const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many lists are filtered at once, so that the sizes above can't add up; others wait.
pub(crate) const LISTS_MAX: usize = 4;

/// How large one event of a watch may be that is filtered: an object has at most 1.5 MiB in etcd, and JSON swells it.
pub(crate) const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How large a body may be whose object's name decides: the API server takes no larger one.
pub(crate) const CREATE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How old a cluster's own word may be on what the gate may do there, before a new session has it asked again.
pub(crate) const HEALTH_AGE_MAX: Duration = Duration::from_mins(10);

/// How large the API server's answer to that may be; it has some hundred bytes.
pub(crate) const REVIEW_BYTES_MAX: usize = 64 * 1024;

/// How much output of a command without a terminal is recorded: what a person reads, and not every file that is copied.
pub(crate) const PLAIN_OUTPUT_MAX: usize = 1024 * 1024;

/// How long what says how a command ended may be; it has some hundred bytes, and is read whole.
pub(crate) const STATUS_BYTES_MAX: usize = 64 * 1024;

/// How long a terminal's size may be in JSON.
pub(crate) const SIZE_BYTES_MAX: usize = 256;

/// How much that a WebSocket client has masked is unmasked at once: a terminal's size and its frame's head.
pub(crate) const UNMASK_BYTES: usize = 256;

/// How long a control frame of a SPDY client may be: the headers of a stream have some hundred bytes.
pub(crate) const CONTROL_BYTES_MAX: usize = 16 * 1024;

/// How long the headers of a stream may be, unpacked.
pub(crate) const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// How many streams one exec or attach may open: it has five.
pub(crate) const STREAMS_OF_ONE_MAX: usize = 16;
