//! Every size and every wait of the client, each with its reason.

use std::time::Duration;

/// The largest answer that is read from a gate: lists of thousands of targets fit, a flood does not.
pub const BODY_BYTES_MAX: usize = 4 << 20;

/// How long the gate may take to accept a connection and finish the TLS handshake.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// How long one request may take; password hashing at the gate is slow on purpose.
pub const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// The largest message to or from our agent: certificates with a proof are below 32 KiB.
pub const AGENT_FRAME_BYTES_MAX: usize = 128 << 10;

/// How many windows the agent keeps: more than anybody opens by hand within five minutes.
pub const AGENT_ENTRIES_MAX: usize = 256;

/// How long the agent waits for the first window after its start.
pub const AGENT_FIRST_WAIT: Duration = Duration::from_secs(30);

/// How long `tap` waits for the agent that it has started.
pub const AGENT_START_WAIT: Duration = Duration::from_secs(5);

/// How long one exchange with the agent may take; it never blocks on anything but its socket.
pub const AGENT_ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Between two looks at whether another command's turn is over; the system offers no wait for a lock with an end.
pub const TURN_LOOK: Duration = Duration::from_millis(20);

/// How long another command's turn may take before whoever waits is told: by then a person is waited for.
pub const TURN_TOLD: Duration = Duration::from_secs(1);

/// A window that is nearly over is not used: the gate would refuse it before the session opens.
pub const WINDOW_MARGIN: Duration = Duration::from_secs(5);

/// No window is longer than this, whatever a gate says.
pub const WINDOW_MAX: Duration = Duration::from_mins(5);

/// From which difference of the clocks on the person is told: certificates begin half a minute before they are made.
pub const CLOCK_TELL: Duration = Duration::from_secs(30);

/// How far the clocks of gate and client may differ when a statement's times are compared.
pub const CLOCK_SKEW: Duration = Duration::from_mins(2);

/// The largest message that OpenSSH may send to the agent socket (its own limit is the same).
pub const SSH_AGENT_MESSAGE_BYTES_MAX: usize = 256 << 10;

/// How many signatures one `tap ssh` gives: OpenSSH needs one, and a second one where the gate
/// asks it to try again.
pub const SSH_SIGNATURES_MAX: u32 = 2;

/// How long a path to a Unix socket may be (`sun_path` without its final zero).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// How long somebody may take in the browser; the gate's ceremonies are no longer than this.
pub const BROWSER_WAIT: Duration = Duration::from_mins(5);

/// How often an answer may be pasted: one that was cut off is copied once more.
pub const PASTE_TRIES_MAX: u8 = 3;

/// How many wrong answers on the callback are taken by whoever knows its number.
pub const CALLBACK_TRIES_MAX: u32 = 32;

/// How many connections to the callback are open at once: a browser opens a few, others are put off.
pub const CALLBACK_CONNECTIONS_MAX: usize = 64;

/// How long a connection to the callback may take to say what it wants.
pub const CALLBACK_HEAD_WAIT: Duration = Duration::from_secs(5);

/// The largest password that is read from a file or from standard input.
pub const PASSWORD_BYTES_MAX: u64 = 1024;

/// How often a first one-time code is asked for: the gate takes as many.
pub const OTP_CONFIRM_TRIES: u8 = 3;

/// How many logins without a password a software key keeps: security keys have 25 to 100 slots.
pub const RESIDENT_MAX: usize = 25;

/// How long the gate's line in answer to a tunnel's first one may be: a refusal in a sentence or two.
pub const HAIL_ANSWER_BYTES_MAX: usize = 2048;

/// How many connections a local proxy carries at once: more than a browser or a test suite opens.
pub const PROXY_CONNECTIONS_MAX: usize = 512;

/// How many wrong passwords a port to a VNC desktop takes in one run: a person mistypes a few times, and of forty bits
/// nobody guesses the right ones so.
pub const DESKTOP_WRONG_MAX: u32 = 100;

/// How long an `ssh` waits for another one to the same target that is not in yet: as long as the gate lets that one.
pub const TURN_WAIT: Duration = Duration::from_mins(1);

/// How long a database client of this machine may take until it has said who it is: a person types the password.
pub const DB_GREETING_WAIT: Duration = Duration::from_mins(1);

/// The first packet of a PostgreSQL client, in bytes; the server's own limit (`MAX_STARTUP_PACKET_LENGTH`).
pub const PG_STARTUP_BYTES_MAX: usize = 10_000;

/// A message of a PostgreSQL client's login, in bytes: those of SCRAM have a few hundred.
pub const PG_LOGIN_BYTES_MAX: usize = 4096;

/// The rounds of the password's hash in SCRAM. RFC 7677 asks for 4096; a secret of 256 random bits needs no more.
pub const SCRAM_ROUNDS: u32 = 4096;

/// A packet of a MySQL client's login, or of the gate's answer to it, in bytes: connection attributes may have 64 KiB.
pub const MYSQL_LOGIN_BYTES_MAX: usize = 128 << 10;

/// The buffer of each direction of a database connection: four TLS records.
pub const DB_BUFFER_BYTES: usize = 64 << 10;

/// How many logins one local database proxy opens: each database name that a client asks for is one, with its own tap.
pub const DB_LOGINS_MAX: usize = 64;

/// How many databases one `tap db exec` may reach: the gate has no more in one tap.
pub const DB_EXEC_MAX: usize = 32;

/// How many of them `tap db exec` reaches at once where nothing else is said.
pub const DB_EXEC_CONNECTIONS: u8 = 10;

/// How long the certificate of a local proxy for clusters is good: longer than anybody's login.
pub const LOCAL_CERTIFICATE_LIFE: Duration = Duration::from_hours(30 * 24);

/// How large a body may be that a local proxy keeps, to send it once more after a fresh tap: what deletes is far below.
pub const RETRY_BYTES_MAX: u64 = 1 << 20;

/// A `.pub` file, in bytes: the longest key that is taken, in base64, and its comment.
pub const SSH_PUBLIC_KEY_MAX: usize = 4 << 10;

/// How many connections the command of one `tap batch` may open: a play opens several to each host, for five minutes.
pub const BATCH_SIGNATURES_MAX: u32 = 10_000;

/// The lowest rate of a load: one session in a hundred seconds tells nothing.
pub const LOAD_RATE_MIN: f64 = 0.01;

/// The highest rate of a load: a session costs its opener a handshake, and no machine makes more of them.
pub const LOAD_RATE_MAX: f64 = 10_000.0;

/// How long a load may last: longer than the login that it goes under.
pub const LOAD_DURATION_MAX: Duration = Duration::from_hours(24);

/// How many targets a load may have: as many as one statement may.
pub const LOAD_TARGETS_MAX: usize = 64;

/// How many sessions of a load may be open where nothing else is said: a system's usual limit of open files.
pub const LOAD_AT_ONCE: u32 = 1000;

/// How many may be open at all: one address has some 28,000 ports to go out by.
pub const LOAD_AT_ONCE_MAX: u32 = 20_000;

/// How many files a load has open besides those of its sessions.
pub const LOAD_FILES_BESIDE: u64 = 64;

/// How long a session of a load may take: the gate's own wait for a target is shorter.
pub const LOAD_SESSION_WAIT: Duration = Duration::from_secs(30);

/// The longest latency that is told apart: a session's own wait, behind that of a whole hour for its turn.
pub const LOAD_LATENCY_MAX: Duration = Duration::from_hours(1);

/// To how many digits latencies are told apart.
pub const LOAD_DIGITS: u8 = 3;

/// Steps of each halving of the rest in an exported distribution; the tools of `HdrHistogram` have five.
pub const LOAD_HDR_TICKS: u32 = 5;

/// Between two lines of progress.
pub const LOAD_PROGRESS: Duration = Duration::from_secs(5);

/// The largest message of a database that a load reads: rows of a load's statement, not of an export.
pub const LOAD_MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The rounds of a password's hash that a server may want: some 0.1 s; PostgreSQL's own number is 4096.
pub const LOAD_SCRAM_ROUNDS_MAX: u32 = 200_000;

/// How many targets one `tap batch` may name: a statement holds no more, and a role may say less.
pub const BATCH_TARGETS_MAX: usize = 64;
