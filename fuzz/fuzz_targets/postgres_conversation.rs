//! The fuzz target of `tapgate_postgres::fuzz::conversation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_postgres::fuzz::conversation(data));
