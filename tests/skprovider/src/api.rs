//! What goes over to OpenSSH, in C's layout: version 10 of its interface, spoken by 9.2 to 10.x.

use std::ffi::c_int;
use std::ptr::null_mut;

use crate::key::{Made, Signature};
use crate::memory;
use crate::touch::Touch;

/// The version; OpenSSH compares the upper half.
pub(crate) const VERSION: u32 = 0x000a_0000;

/// The number of ECDSA with P-256.
pub(crate) const ECDSA: u32 = 0;

/// The number of Ed25519.
pub(crate) const ED25519: u32 = 1;

/// Why the key does not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Something is wrong with what was given, or here.
    General,
    /// This key has no such thing.
    Unsupported,
    /// A PIN must be given.
    PinRequired,
}

impl Refusal {
    /// OpenSSH's number of it.
    pub(crate) const fn code(self) -> c_int {
        match self {
            Self::General => -1,
            Self::Unsupported => -2,
            Self::PinRequired => -3,
        }
    }
}

/// A new key.
#[repr(C)]
pub struct EnrollResponse {
    flags: u8,
    public_key: *mut u8,
    public_key_length: usize,
    key_handle: *mut u8,
    key_handle_length: usize,
    signature: *mut u8,
    signature_length: usize,
    attestation_certificate: *mut u8,
    attestation_certificate_length: usize,
    authenticator_data: *mut u8,
    authenticator_data_length: usize,
}

impl EnrollResponse {
    /// This key, which is used with these flags.
    pub(crate) fn new(flags: u8, made: &Made) -> Self {
        Self {
            flags,
            public_key: memory::copy(&made.public),
            public_key_length: made.public.len(),
            key_handle: memory::copy(&made.handle),
            key_handle_length: made.handle.len(),
            signature: null_mut(),
            signature_length: 0,
            attestation_certificate: null_mut(),
            attestation_certificate_length: 0,
            authenticator_data: null_mut(),
            authenticator_data_length: 0,
        }
    }
}

/// A signature.
#[repr(C)]
pub struct SignResponse {
    flags: u8,
    counter: u32,
    r: *mut u8,
    r_length: usize,
    s: *mut u8,
    s_length: usize,
}

impl SignResponse {
    /// This signature of this touch.
    pub(crate) fn new(touch: &Touch, signature: &Signature) -> Self {
        let (s, s_length) = match &signature.s {
            Some(s) => (memory::copy(s), s.len()),
            None => (null_mut(), 0),
        };
        let (r, r_length) = (memory::copy(&signature.r), signature.r.len());
        Self { flags: touch.flags, counter: touch.counter, r, r_length, s, s_length }
    }
}
