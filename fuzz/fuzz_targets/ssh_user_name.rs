//! The fuzz target of `tapgate_ssh::fuzz::user_name`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_ssh::fuzz::user_name(data));
