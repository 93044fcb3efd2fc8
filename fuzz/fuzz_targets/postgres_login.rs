//! The fuzz target of `tapgate_postgres::fuzz::login`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_postgres::fuzz::login(data));
