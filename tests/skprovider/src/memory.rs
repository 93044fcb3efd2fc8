//! Memory that is OpenSSH's: what it lends, and what it frees with `free`, which therefore is the C library's own.

use std::ffi::{CStr, c_char, c_int};

use nix::libc;

use crate::api::Refusal;

/// A text of OpenSSH's, where there is one.
///
/// # Safety
/// The pointer is null, or to bytes that end with a zero and outlive the answer.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    // SAFETY: the pointer is not null, so that the caller has promised the rest.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}

/// Bytes of OpenSSH's; none where the pointer is null.
///
/// # Safety
/// The pointer is null, or to this many bytes, which outlive the answer.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, length: usize) -> &'a [u8] {
    if pointer.is_null() {
        return &[];
    }
    // SAFETY: the pointer is not null, so that the caller has promised the rest.
    unsafe { std::slice::from_raw_parts(pointer, length) }
}

/// A copy of these bytes for OpenSSH; null where there is no memory.
pub(crate) fn copy(bytes: &[u8]) -> *mut u8 {
    // SAFETY: `calloc` may be asked for any size, and its answer is looked at.
    let memory = unsafe { libc::calloc(1, bytes.len()) }.cast::<u8>();
    if !memory.is_null() {
        // SAFETY: the memory is as long as the bytes, and new, so that it overlaps nothing.
        unsafe { memory.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
    memory
}

/// Puts an answer where OpenSSH looks for it; the number is what it is told.
///
/// # Safety
/// `place` is null, or may be written to.
pub(crate) unsafe fn hand_over<T>(answer: Result<T, Refusal>, place: *mut *mut T) -> c_int {
    let answer = match answer {
        Ok(answer) => answer,
        Err(refusal) => return refusal.code(),
    };
    // SAFETY: `calloc` may be asked for any size, and its answer is looked at.
    let memory = unsafe { libc::calloc(1, size_of::<T>()) }.cast::<T>();
    if memory.is_null() || place.is_null() {
        return Refusal::General.code();
    }
    // SAFETY: the memory is new, large enough for a `T`, and aligned for all that C has, of which a `T` is made.
    unsafe { memory.write(answer) };
    // SAFETY: the place is not null, so that the caller has promised the rest.
    unsafe { place.write(memory) };
    0
}
