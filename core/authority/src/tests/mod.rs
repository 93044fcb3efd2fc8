//! The authority with real parts: a store on the disk, soft keys that make real ceremonies, a gate.

mod admin;
mod browser;
mod chain;
mod device;
mod enrol;
mod lab;
mod login;
mod otp;
mod resources;
mod session;
mod sso;
mod web_session;
