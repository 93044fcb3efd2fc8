//! Taps: when one is asked for, what it is worth, and what is worth nothing.

mod admin;
pub(crate) mod audit;
mod cluster;
mod devices;
mod enrol;
mod forged;
mod login;
mod offline;
mod passwordless;
mod prompt;
mod replay;
mod secrets;
mod seeds;
mod sso;
mod tamper;
mod witness;
