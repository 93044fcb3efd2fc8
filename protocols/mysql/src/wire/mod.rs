//! The bytes of the protocol: frames, integers, and the few packets that the gate itself reads and writes.

pub(crate) mod caps;
pub(crate) mod error;
pub(crate) mod framed;
pub(crate) mod greeting;
pub(crate) mod login;
pub(crate) mod ok;
pub(crate) mod read;

/// Why bytes are not the protocol's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The peer closed or the network failed.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// A packet longer than any that is due here.
    #[error("a packet of {0} bytes came where a short one was due")]
    TooLong(usize),
    /// A packet with another number than the one that is due.
    #[error("packets came out of order")]
    OutOfOrder,
    /// A packet that ends too early, or says what it may not.
    #[error("{0} can't be read")]
    Malformed(&'static str),
}
