//! The fuzz target of `tapgate_ssh::fuzz::sftp_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tapgate_ssh::fuzz::sftp_answer(data));
