//! The fuzz target of `tapgate_postgres::fuzz::startup`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_postgres::fuzz::startup(data));
