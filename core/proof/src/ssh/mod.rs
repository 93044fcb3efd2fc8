//! SSH keys that users register, and what an `sk-` key's touch proves.
//!
//! A key counts when a tap of its owner's device vouches for it ([`verify_ssh_keys`]). Such a key says who somebody
//! is, and vouches for nothing. When an `sk-` key logs in, what it signs has the form of a `WebAuthn` assertion: data
//! with the digest of an application, flags and a counter, followed by the digest of a message. Here the message is
//! SSH's own, with the connection and the user name in it, and [`verify_touch`] compares it with the statement that
//! the gate has put beside it.

mod key;
mod keys;
mod message;
mod touch;
mod wire;

pub use key::{SshKey, SshKeyError};
pub use keys::{SshKeys, SshRegistration, verify_ssh_keys};
pub use touch::{ExpectedTouch, SshTouch, TouchError, verify_touch};

pub(crate) use message::fuzz as fuzz_message;
