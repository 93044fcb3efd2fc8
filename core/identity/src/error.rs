//! Why a certificate is refused, and why one is not issued.

use crate::CaKind;

/// Why a certificate is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is larger than any certificate of ours.
    #[error("the certificate has more than {max} bytes")]
    Oversized {
        /// The limit, in bytes.
        max: usize,
    },
    /// It cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Malformed(&'static str),
    /// None of our authorities signed it.
    #[error("the certificate was not issued by this gate (log in to this gate)")]
    UnknownCa,
    /// A certificate came along that is not one of our authorities'.
    #[error("the certificate comes with a chain (send the certificate alone)")]
    Chain,
    /// The signature does not fit.
    #[error("the certificate's signature does not verify")]
    Signature,
    /// Its time has not come.
    #[error("the certificate is not valid yet (check the clocks)")]
    NotYetValid,
    /// Its time is over.
    #[error("the certificate has expired (log in again)")]
    Expired,
    /// It lives longer than its kind may.
    #[error("the certificate is valid for longer than a {0} certificate may be")]
    Lifetime(&'static str),
    /// The extended key usage is absent or another.
    #[error("the certificate is not for this use (its extended key usage is missing or another)")]
    Usage,
    /// An SSH host certificate where a user certificate is due.
    #[error("the certificate is a host certificate (use a user certificate)")]
    NotUser,
    /// An SSH certificate that a certificate signed, instead of a key.
    #[error("the certificate was signed by a certificate (only an authority's key may sign)")]
    SignedByCertificate,
    /// An SSH certificate without principals, which elsewhere means everybody.
    #[error("the certificate names no principal")]
    NoPrincipals,
    /// The principals do not hold the name that was asked for.
    #[error("the certificate is not for \"{0}\" (ask for a certificate with this login and target)")]
    Principal(String),
    /// A critical option that is not understood here.
    #[error("the certificate has the critical option \"{0}\", which is not supported here")]
    CriticalOption(String),
    /// The certificate is pinned to another address.
    #[error("the certificate may not be used from this address (log in from here)")]
    SourceAddress,
    /// The payload is absent.
    #[error("the certificate holds no {0} record")]
    NoPayload(&'static str),
    /// The payload names another gate.
    #[error("the certificate is for another gate (log in to this gate)")]
    OtherGate,
    /// Two parts of the certificate contradict each other.
    #[error("the certificate contradicts itself: {0}")]
    Inconsistent(&'static str),
    /// The certified key is of a kind that is not used here.
    #[error("the certificate's key is neither Ed25519 nor P-256")]
    Key,
    /// An authority that cannot be trusted as given.
    #[error("the list of authorities is not usable: {0}")]
    Authority(&'static str),
}

/// Why a certificate is not issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The authority is of another kind.
    #[error("the {ca} authority does not issue this certificate (use the {due} authority)")]
    WrongCa {
        /// The authority that was asked.
        ca: CaKind,
        /// The one to ask.
        due: CaKind,
    },
    /// The end lies too far ahead.
    #[error("the certificate would be valid for longer than {max_seconds} seconds")]
    TooLong {
        /// The limit, in seconds.
        max_seconds: u64,
    },
    /// The end lies in the past.
    #[error("the certificate would have expired already (log in again)")]
    Past,
    /// The public key cannot be certified.
    #[error("the public key is not usable (use Ed25519 or P-256)")]
    Key,
    /// The names cannot stand in a certificate.
    #[error("the names are not usable: {0}")]
    Names(&'static str),
    /// The proof does not fit the certificate.
    #[error("the proof does not fit the certificate: {0}")]
    Proof(&'static str),
    /// The certificate would be larger than is looked at.
    #[error("the certificate would have more than {max} bytes (tap for fewer targets)")]
    Oversized {
        /// The limit, in bytes.
        max: usize,
    },
    /// The stored parts are no authority.
    #[error("the authority's stored parts are not usable: {0}")]
    Parts(&'static str),
    /// The cryptographic library refused.
    #[error("the cryptographic library refused: {0}")]
    Crypto(&'static str),
}
