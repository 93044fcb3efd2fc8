//! The fuzz target of `tapgate_sql::fuzz::redacted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_sql::fuzz::redacted(data));
