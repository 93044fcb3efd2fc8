//! The agent: it keeps the session keys of open windows in memory, for as long as the windows last.
//!
//! A key goes in and never comes out: what comes out are certificates and signatures.

pub mod client;
mod keep;
pub mod server;
pub mod wire;

pub use keep::Keep;
