//! The fuzz target of `tapgate_ssh::fuzz::conversation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_ssh::fuzz::conversation(data));
