//! The fuzz target of `tapgate_kube::fuzz::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_kube::fuzz::request(data));
