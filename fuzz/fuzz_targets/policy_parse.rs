//! The fuzz target of `tapgate_policy::fuzz::parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_policy::fuzz::parse(data));
