//! The fuzz target of `tapgate_mysql::fuzz::login`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_mysql::fuzz::login(data));
