//! The fuzz target of `tapgate_identity::fuzz::ssh`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_identity::fuzz::ssh(data));
