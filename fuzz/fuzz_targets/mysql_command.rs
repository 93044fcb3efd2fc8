//! The fuzz target of `tapgate_mysql::fuzz::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_mysql::fuzz::command(data));
