//! The fuzz target of `tapgate_desktop::fuzz::x224`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_desktop::fuzz::x224(data));
