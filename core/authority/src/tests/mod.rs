//! The authority with real parts: a store on the disk, soft keys that make real ceremonies, a gate.

mod admin;
mod browser;
mod chain;
mod enrol;
mod lab;
mod login;
mod resources;
mod session;
