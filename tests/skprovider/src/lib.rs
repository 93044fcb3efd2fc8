//! A FIDO security key in software, with the four functions by which OpenSSH uses one. It is for tests alone: the handle
//! of a key is its private key, so that it keeps nothing, and whoever reads the file can sign.

mod api;
mod key;
mod memory;
mod touch;

use std::ffi::{c_char, c_int, c_void};

use api::{EnrollResponse, Refusal, SignResponse, VERSION};
use touch::Touch;

/// Which interface this is.
#[unsafe(no_mangle)]
pub extern "C" fn sk_api_version() -> u32 {
    VERSION
}

/// Makes a key. No attestation is given: OpenSSH takes a key without one.
///
/// # Safety
/// `pin` is null or ends with a zero byte, and `response` is null or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_enroll(
    algorithm: u32,
    _challenge: *const u8,
    _challenge_length: usize,
    _application: *const c_char,
    flags: u8,
    pin: *const c_char,
    _options: *const c_void,
    response: *mut *mut EnrollResponse,
) -> c_int {
    // SAFETY: `pin` is as this function's caller has promised.
    let pin = unsafe { memory::text(pin) };
    let made = touch::demand(flags, pin).and_then(|()| key::enrol(algorithm));
    let answer = made.map(|made| EnrollResponse::new(flags, &made));
    // SAFETY: `response` is as this function's caller has promised.
    unsafe { memory::hand_over(answer, response) }
}

/// Signs what the owner of the key has touched it for.
///
/// # Safety
/// `data` and `handle` are null or as many bytes as is said, `application` and `pin` are null or end with a zero byte,
/// and `response` is null or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sk_sign(
    algorithm: u32,
    data: *const u8,
    data_length: usize,
    application: *const c_char,
    handle: *const u8,
    handle_length: usize,
    flags: u8,
    pin: *const c_char,
    _options: *const c_void,
    response: *mut *mut SignResponse,
) -> c_int {
    // SAFETY: `data` is as this function's caller has promised.
    let data = unsafe { memory::bytes(data, data_length) };
    // SAFETY: `handle` is as this function's caller has promised.
    let handle = unsafe { memory::bytes(handle, handle_length) };
    // SAFETY: `application` is as this function's caller has promised.
    let application = unsafe { memory::text(application) };
    // SAFETY: `pin` is as this function's caller has promised.
    let pin = unsafe { memory::text(pin) };
    let answer = touch::demand(flags, pin).and_then(|()| Touch::next(flags)).and_then(|touch| {
        let signature = key::sign(algorithm, handle, &touch.signed(application, data))?;
        Ok(SignResponse::new(&touch, &signature))
    });
    // SAFETY: `response` is as this function's caller has promised.
    unsafe { memory::hand_over(answer, response) }
}

/// Lists the keys that stay on the authenticator: this one keeps none, and says that it can't.
#[unsafe(no_mangle)]
pub extern "C" fn sk_load_resident_keys(
    _pin: *const c_char,
    _options: *const c_void,
    _keys: *mut c_void,
    _count: *mut usize,
) -> c_int {
    Refusal::Unsupported.code()
}
