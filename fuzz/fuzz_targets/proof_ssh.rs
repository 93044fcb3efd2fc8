//! The fuzz target of `tapgate_proof::fuzz::fuzz_ssh`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_proof::fuzz::fuzz_ssh(data));
