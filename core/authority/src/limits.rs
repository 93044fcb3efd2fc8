//! Every limit of the authority, with its reason.

use std::time::Duration;

/// How long a ceremony may wait for its tap: five minutes is what browsers give a person too.
pub const CEREMONY_TTL: Duration = Duration::from_mins(5);

/// How many ceremonies of one kind a user may have waiting (login: per address). A person has a
/// few terminals; more is a broken script, and each one is a row in the store.
pub const CEREMONIES_MAX: usize = 32;

/// How long a session certificate without a window lives: long enough to connect once.
pub const ONCE_TTL: Duration = Duration::from_mins(1);

/// How long a login certificate lives at most: a working day and a bit.
pub const LOGIN_TTL_MAX: Duration = Duration::from_hours(12);

/// How long an invite may wait: it is handed over by a person who expects it to be used now.
pub const INVITE_TTL: Duration = Duration::from_hours(1);

/// How long a spent proof is remembered after it has ended: more than any two clocks of one
/// cluster may differ.
pub const SPENT_MARGIN: Duration = Duration::from_mins(2);

/// How long a web session may rest: a coffee break and a meeting, and not a night in an unlocked room.
pub const WEB_IDLE_MAX: Duration = Duration::from_hours(1);

/// How often the use of a web session is noted in the store: a write for each request would wear it out.
pub const WEB_TOUCH_EVERY: Duration = Duration::from_mins(1);

/// How long a web session's old cookie is good beside the new one: for requests that are under way.
pub const WEB_ROTATION_GRACE: Duration = Duration::from_secs(10);

/// How many web sessions a user may have; the oldest makes room. A person has a few browsers.
pub const WEB_SESSIONS_MAX: usize = 16;

/// How many challenges for passkeys an address may have waiting: each opened sign-in page has one, and an office
/// behind one address opens many in five minutes.
pub const PASSKEY_CHALLENGES_MAX: usize = 512;

/// How many taps one user may be asked for in-band from one address, held and awaited together: a script that opens
/// many connections, and not a flood.
pub const IN_BAND_PER_USER_AND_ADDRESS_MAX: usize = 64;

/// How many wrong codes end what a stock client asks for. It can ask again; a guesser has three in a million.
pub const IN_BAND_TRIES: u8 = 3;

/// How many targets one tap may cover, whatever the roles say: a statement holds no more. A person must be able to read
/// the list before tapping, so that roles say less.
pub const TARGETS_MAX: usize = 64;

/// How many clients that wait are listed beside one on its page.
pub const BESIDE_MAX: usize = 31;

/// The shortest password, in characters. NIST SP 800-63B asks for 8 where a second factor is
/// always due, as here, and for 15 where the password stands alone. 12 leaves a margin for the day
/// the store leaks, when only the hash stands between a guesser and the password.
pub const PASSWORD_MIN: usize = 12;

/// The longest password, in bytes: enough for any passphrase, and too little to keep the hash busy.
pub const PASSWORD_MAX: usize = 512;

/// Argon2id memory in KiB, passes and lanes: the first choice of OWASP's cheat sheet, 19 MiB.
pub const ARGON2: (u32, u32, u32) = if cfg!(test) { (64, 1, 1) } else { (19_456, 2, 1) };

/// How many passwords are hashed at once: at 19 MiB each this bounds what logins may eat.
pub const HASHES_AT_ONCE: usize = 4;

/// How many may wait for that: two seconds' worth, and far fewer than there are blocking threads.
pub const HASHES_WAITING: usize = 64;

/// The longest name of a security key, in characters: it stands in lists.
pub const DEVICE_NAME_MAX: usize = 64;

/// How many SSH keys a user may have: one a machine, and some.
pub const SSH_KEYS_MAX: usize = 32;

/// How many security keys a user may have. Every tap offers all of them to the authenticator.
pub const DEVICES_MAX: usize = 16;

/// A step of a one-time code, in seconds, and how many steps a clock may be off: what RFC 6238 says
/// and every app does.
pub const OTP_STEP: (u64, u16) = (30, 1);

/// How many tries there may be within how long.
#[derive(Debug, Clone, Copy)]
pub struct Tries {
    /// The most.
    pub most: usize,
    /// Within this time.
    pub span: Duration,
}

/// How many wrong codes a user may give. A million codes, three of them right at a time, against 480 tries a
/// day leave a guesser who has the password already one chance in seven hundred a day.
pub const OTP_TRIES: Tries = Tries { most: 5, span: Duration::from_mins(15) };

/// Logins that one user name may begin from one network without finishing any: fingers and forgotten passwords
/// need fewer, and a guesser gets 1,920 a day.
pub const LOCKOUT_USER_ADDRESS: Tries = Tries { most: 20, span: Duration::from_mins(15) };

/// The same for one network, whatever names it gives: an office's morning, in which most succeed.
pub const LOCKOUT_ADDRESS: Tries = Tries { most: 200, span: Duration::from_mins(15) };

/// The same for one user name from networks that are new to it, all together. A guesser with many addresses
/// gets as many as one with ten; the owner is not among them.
pub const LOCKOUT_USER: Tries = Tries { most: 200, span: Duration::from_mins(15) };

/// How long a network is one that a user has logged in from: over a holiday.
pub const KNOWN_ADDRESS_TTL: Duration = Duration::from_hours(24 * 60);

/// How many codes may be tried before a new secret is thrown away: one for the clock, one for the fingers.
pub const OTP_CONFIRM_TRIES: u8 = 3;

/// The longest body of an administrator's action: it waits in the store, whose values have 1 MiB, as base64.
pub const BODY_MAX: usize = 512 << 10;

/// The largest resource file that is read from the resource directory.
pub const FILE_MAX: u64 = 4 << 20;

/// The longest SSH public key line and the longest DER public key that is looked at.
pub const PUBLIC_KEY_MAX: usize = 1_024;

/// Tries at once, and seconds until another one is free, for one address without a certificate:
/// an office behind one address logs in together in the morning.
pub const RATE_ADDRESS: (u32, u64) = (40, 1);

/// The same for one user name from one address: what a person's fingers need.
pub const RATE_USER_ADDRESS: (u32, u64) = (10, 6);

/// The same for one user name from anywhere. It is wider than the one above, so that one address
/// alone can't lock anybody out, and still far too narrow for guessing.
pub const RATE_USER: (u32, u64) = (60, 2);

/// The same for one user who has shown a login certificate: scripts that open many sessions.
pub const RATE_CERTIFICATE: (u32, u64) = (60, 1);

/// How many keys a rate limiter may hold before the idle ones are dropped.
pub const RATE_KEYS_MAX: usize = 50_000;

/// The longest credential id, in bytes. Keys use 16 to 128; in base64 it stands in a store's key.
pub const CREDENTIAL_ID_MAX: usize = 512;

/// How often code and tap may be wrong on one page: a person mistypes, and a guesser has five in a million.
pub const BROWSER_TRIES: u8 = 5;

/// The lowest port that a terminal may listen on: those below are for services, which must not get what
/// a browser posts.
pub const CALLBACK_PORT_MIN: u16 = 1_024;

/// How much of a change the page shows, in bytes: more than anybody reads before tapping.
pub const DETAILS_MAX: usize = 64 << 10;

/// A private key for nodes, as text: an RSA key of 16,384 bits has 13 KiB.
pub(crate) const NODE_KEY_MAX: usize = 32 * 1024;
/// How long an identity provider may take to answer one request: longer, and the person has gone.
pub const FETCH_MAX: Duration = Duration::from_secs(10);

/// The largest answer of an identity provider: a set of keys with certificate chains has some 20 KiB.
pub const FETCH_BODY_MAX: usize = 256 << 10;

/// How many requests to identity providers are under way at once: each holds a thread and a socket.
pub const FETCHES_AT_ONCE: usize = 16;

/// How long a provider's metadata and keys are used before it is asked again. What is kept of a key that it gave up
/// counts for twice as long.
pub const PROVIDER_FRESH: Duration = Duration::from_mins(5);

/// How long a provider that did not answer is left alone: everybody who waits would wait as long again.
pub const PROVIDER_DOWN: Duration = Duration::from_secs(3);

/// How soon after the last time a provider is asked again because a token names a key that it had not.
pub const REFETCH_PAUSE: Duration = Duration::from_secs(10);

/// How many keys of a provider are looked at: large ones have a dozen.
pub const KEYS_MAX: usize = 64;

/// The largest file that holds a client's secret.
pub const SECRET_MAX: u64 = 4 << 10;

/// How many claims of a sign-in become traits, how many values each has, and how long a name or value may be, in
/// bytes: an organisation's groups fit, and the resource of a user stays one that can be read.
pub const TRAITS_MAX: usize = 64;
/// See [`TRAITS_MAX`].
pub const TRAIT_VALUES_MAX: usize = 256;
/// See [`TRAITS_MAX`].
pub const TRAIT_BYTES_MAX: usize = 256;

const _: () = assert!(PROVIDER_FRESH.as_secs() * 2 <= tapgate_proof::limits::PROVIDER_KEY_GRACE.as_secs());
