//! The fuzz target of `tapgate_proof::fuzz::fuzz_statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_proof::fuzz::fuzz_statement(data));
