//! Every limit of applications, with its reason.

use std::time::Duration;

/// How long an application's session may rest at most; a role may shorten it. A quarter of an hour is what people
/// are used to from their banks.
pub const IDLE_MAX: Duration = Duration::from_mins(15);

/// How often it is asked whether the web session behind an application's session still holds: what happens to that
/// one otherwise (a new password, a key that is gone) is seen within this time.
pub const RECHECK_EVERY: Duration = Duration::from_mins(1);

/// How many sessions of applications there may be: each is a few kilobytes.
pub const SESSIONS_MAX: usize = 16_384;

/// How many sessions of one application a user may have: a person has a few browsers and terminals.
pub const SESSIONS_PER_USER_MAX: usize = 32;

/// How long a code that leads from the tap page to the application is good: a redirect takes far less.
pub const CODE_TTL: Duration = Duration::from_mins(1);

/// How many codes may be on their way at once.
pub const CODES_MAX: usize = 4_096;

/// How long the place may be that a browser comes back to: longer than any real address, and a header's line still.
pub const PLACE_BYTES_MAX: usize = 4_096;

/// How long the answer to whoever leaves may take to be on its way before the session's connections end.
pub const LEAVE_AFTER: Duration = Duration::from_millis(500);

/// How long the cookie is good that only a session's own device can get: a copy of it is worth so long.
pub const DEVICE_COOKIE_TTL: Duration = Duration::from_mins(10);

/// How long a browser may take to sign a challenge; some keys are slow.
pub const CHALLENGE_TTL: Duration = Duration::from_mins(2);

/// How long a device's proof may be: a key, a challenge and a signature are far less.
pub const DEVICE_PROOF_BYTES_MAX: usize = 4_096;

/// How long a request's head may take from its second packet on.
pub const HEAD_MAX: Duration = Duration::from_secs(15);

/// How large a request's head may be over HTTP/1: twice what browsers and servers agree on.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How long a client may take for the next bytes of a body that it has begun to send.
pub const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long a client may take to read what is sent to it.
pub const WRITE_MAX: Duration = Duration::from_mins(1);

/// How long an application may take for an answer, or for the next bytes of one, where its resource says nothing.
pub const ANSWER_MAX: Duration = Duration::from_mins(2);

/// How long connecting to an application may take, its TLS included.
pub const CONNECT_MAX: Duration = Duration::from_secs(15);

/// How long a connection to an application waits for the next request of its session.
pub const UPSTREAM_IDLE: Duration = Duration::from_mins(1);

/// How many connections to applications wait so at once.
pub const UPSTREAM_IDLE_MAX: usize = 1_024;

/// How many requests share one HTTP/2 connection to an application.
pub const UPSTREAM_STREAMS_MAX: usize = 100;

/// How long a client's HTTP/1 connection may rest between two requests: longer than the pause of a person who reads
/// on, and what pingora has by itself.
pub const CLIENT_IDLE: Duration = Duration::from_mins(1);

/// How much room a request's head gets to begin with: most fit.
pub const HEAD_BUFFER: usize = 4096;

/// How long a client's HTTP/2 connection may rest.
pub const CLIENT_H2_IDLE: Duration = Duration::from_mins(3);

/// How often a request is tried anew where a kept connection turned out to be closed.
pub const RETRIES_MAX: usize = 2;

/// How large the parts are in which a client's answers are put together before they are encrypted.
pub const WRITE_BUFFER: usize = 4 * 1024;

/// How long a signed identity is good, and after which part of that it is signed anew.
pub const JWT_LIFE: Duration = Duration::from_mins(5);

/// How long a TCP session may rest at most where no role says anything: a forgotten connection ends some day.
pub const TCP_IDLE_MAX: Duration = Duration::from_hours(8);

/// How long the last bytes of a TCP session may take once one side has ended.
pub const LINGER_MAX: Duration = Duration::from_secs(30);

/// How long a client certificate for an application is used for new connections: it lives five minutes.
pub const CLIENT_CERTIFICATE_USE: Duration = Duration::from_mins(3);
