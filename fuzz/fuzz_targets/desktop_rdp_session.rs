//! The fuzz target of `tapgate_desktop::fuzz::rdp_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_desktop::fuzz::rdp_session(data));
