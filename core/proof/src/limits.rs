//! Every limit of a proof, with its reason.

use std::time::Duration;

/// A statement's encoding: 64 targets of usual names fit, and hashing it stays far below a signature's cost.
pub const STATEMENT_MAX: usize = 8 * 1024;

/// Targets in one statement: more than a person reads before tapping serves nobody.
pub const TARGETS_MAX: usize = 64;

/// Groups in one Kubernetes login; a cluster's impersonation header holds about as many.
pub const GROUPS_MAX: usize = 64;

/// A database's, Kubernetes user's or group's name, in bytes: the longest name of a database object is 255.
pub const TEXT_MAX: usize = 256;

/// A statement's life: the window is five minutes, and waiting for the tap takes five more at most.
pub const STATEMENT_SPAN_MAX: Duration = Duration::from_mins(10);

/// How far ahead of ours the clock may run that dated a statement or a registration.
pub const CLOCK_SKEW: Duration = Duration::from_secs(30);

/// An invite's life: long enough to read a mail, too short to be found in one later.
pub const INVITE_SPAN_MAX: Duration = Duration::from_hours(1);

/// A proof's encoding: it travels in a session certificate, whose extension holds no more.
pub const PROOF_MAX: usize = 16 * 1024;

/// A credential id; `WebAuthn` itself sets this limit.
pub const CREDENTIAL_ID_MAX: usize = 1023;

/// The authenticator's data: 37 bytes, and room for the extensions that a few authenticators add.
pub const AUTHENTICATOR_DATA_MAX: usize = 1024;

/// The client's data: a challenge and two origins; a browser writes about 150 bytes.
pub const CLIENT_DATA_MAX: usize = 4 * 1024;

/// What an identity provider signs, header and claims of an ID token: many have 1 KiB, and the groups of a large
/// organisation make some longer. It stands where authenticator data and client data would, in whose place nothing is.
pub const ID_TOKEN_MAX: usize = 6 * 1024;

/// What a provider calls one of its keys; a hash, usually.
pub const KEY_ID_MAX: usize = 256;

/// An issuer's address and an account's number; `OpenID` Connect allows 255 characters for the latter.
pub const ACCOUNT_TEXT_MAX: usize = 1024;

/// How far a provider's clock may be from ours.
pub const PROVIDER_SKEW: Duration = Duration::from_secs(30);

/// How long before the statement somebody may have signed in: providers tell it in whole seconds.
pub const AUTH_TIME_SKEW: Duration = Duration::from_secs(5);

/// How long after it was last seen a provider's key counts: longer than the gate keeps a set before it asks again.
pub const PROVIDER_KEY_GRACE: Duration = Duration::from_mins(10);

/// A signature: the longest is that of an RSA key of [`RSA_BITS_MAX`].
pub const SIGNATURE_MAX: usize = RSA_BITS_MAX / 8;

/// The shortest RSA modulus that is still held to be safe.
pub const RSA_BITS_MIN: usize = 2048;

/// The longest RSA modulus: authenticators make 2048 bits, and a longer key would make each check slow.
pub const RSA_BITS_MAX: usize = 4096;

/// An SSH public key in its wire form: the longest is an RSA key of [`RSA_BITS_MAX`], of some 530 bytes.
pub const SSH_KEY_MAX: usize = 1024;

/// An RSA exponent, in bytes: 65537 takes three, and a longer one would make each check slow.
pub const RSA_EXPONENT_MAX: usize = 4;

/// Registrations whose chain is verified at once; at one signature each this takes some seconds.
pub const REGISTRATIONS_MAX: usize = 100_000;

// The parts of a proof at their largest, with 64 bytes of tags and lengths, fit into a proof.
const _: () = assert!(
    STATEMENT_MAX + CREDENTIAL_ID_MAX + AUTHENTICATOR_DATA_MAX + CLIENT_DATA_MAX + SIGNATURE_MAX + 32 + 64 <= PROOF_MAX
);

// The same with an ID token.
const _: () = assert!(STATEMENT_MAX + CREDENTIAL_ID_MAX + ID_TOKEN_MAX + SIGNATURE_MAX + 32 + 64 <= PROOF_MAX);
