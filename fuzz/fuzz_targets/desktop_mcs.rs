//! The fuzz target of `tapgate_desktop::fuzz::mcs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_desktop::fuzz::mcs(data));
