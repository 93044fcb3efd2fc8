//! Real servers and clients for the tests: processes on loopback, in a temporary directory, gone at the end.
//!
//! Nothing here sleeps for a fixed time: a wait is for an event, with a deadline, and says what it waited for
//! and what the process had said until then. A part that is not installed fails the test and says how to get it.

mod browser;
mod client;
mod gate;
mod keys;
mod lab;
mod limits;
mod missing;
mod process;
mod provider;
mod sshd;

pub use browser::Browser;
pub use client::{Client, Ran};
pub use gate::Gate;
pub use keys::KeyPair;
pub use lab::Lab;
pub use missing::{node_package, own_binary, program};
pub use process::Process;
pub use provider::Provider;
pub use sshd::{Sshd, SshdOptions};
