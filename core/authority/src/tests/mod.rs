//! The authority with real parts: a store on the disk, soft keys that make real ceremonies, a gate.

mod admin;
mod attestation;
mod browser;
mod chain;
mod device;
mod enrol;
mod in_band;
mod lab;
mod lockout;
mod login;
mod otp;
mod passwordless;
mod resources;
mod session;
mod sso;
mod web_session;
