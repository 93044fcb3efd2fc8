//! The X.509 profile: the authority that issues it and the reader that verifies it.

mod ca;
mod signer;
mod verify;

pub use ca::{LoginSubject, SessionSubject, X509Ca};
pub(crate) use verify::fuzz;

use tapgate_model::{Digest, UserName};

use crate::Credential;

/// The name in a certificate, for people and for other tools' logs.
fn uri(gate: &Digest, user: &UserName, credential: Credential) -> String {
    format!("tapgate://{gate}/user/{user}/{}", credential.as_str())
}
