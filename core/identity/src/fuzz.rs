//! What a fuzzer calls: each reader of untrusted bytes, with the property that it must keep.

use crate::payload::Payload;

/// Bytes that are read as a payload are its only encoding.
pub fn payload(data: &[u8]) {
    if let Some(payload) = Payload::from_der(data) {
        assert_eq!(payload.to_der().as_deref(), Some(data), "a payload has two encodings");
    }
}

/// An X.509 certificate is read without a panic, even before its signature.
pub fn x509(data: &[u8]) {
    crate::x509::fuzz(data);
}

/// An SSH certificate is read without a panic, even before its signature.
pub fn ssh(data: &[u8]) {
    crate::ssh::fuzz(data);
}
