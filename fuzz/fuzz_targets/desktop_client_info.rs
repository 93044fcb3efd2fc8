//! The fuzz target of `tapgate_desktop::fuzz::client_info`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_desktop::fuzz::client_info(data));
