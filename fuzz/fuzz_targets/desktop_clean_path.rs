//! The fuzz target of `tapgate_desktop::fuzz::clean_path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_desktop::fuzz::clean_path(data));
