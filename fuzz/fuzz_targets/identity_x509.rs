//! The fuzz target of `tapgate_identity::fuzz::x509`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_identity::fuzz::x509(data));
