//! Statements, the taps that sign them, and how anybody verifies one.
//!
//! A [`Statement`] says who opens what, over which key or connection, and until when. Its digest goes
//! into the `WebAuthn` challenge, so the person's key signs it: statement and assertion together are a
//! [`Proof`], which anyone with the registered public key can check by [`verify`]. Which public keys
//! count is settled by [`verify_chain`].
//!
//! Nothing here reads a clock, makes a random number or does any I/O.

mod authenticator_data;
mod bytes;
mod chain;
mod challenge;
mod client_data;
mod describe;
#[doc(hidden)]
pub mod fuzz;
mod holder;
mod key;
pub mod limits;
mod party;
mod proof;
mod purpose;
mod registration;
mod signature;
mod ssh;
mod sso;
mod statement;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod traits;
mod verify;
mod wire;

pub use authenticator_data::Flags;
pub use chain::{ChainError, Chained, verify_chain};
pub use challenge::{challenge, sha256};
pub use holder::Holder;
pub use key::{Algorithm, CredentialKey, KeyError};
pub use party::{KnownParty, RelyingParty};
pub use proof::{Proof, ProofError};
pub use purpose::{Purpose, Uses};
pub use registration::{Invite, Link, Registration};
pub use ssh::{
    ExpectedTouch, SshKey, SshKeyError, SshKeys, SshRegistration, SshTouch, TouchError, verify_ssh_keys, verify_touch,
};
pub use sso::{Claims, ExpectedSso, IdToken, JwkError, ProviderKey, SsoRegistration, TokenError, verify_sso};
pub use statement::{Statement, StatementError, StatementParts, StatementTarget};
pub use traits::{Attested, Traits};
pub use verify::{Expected, VerifiedTap, verify};
