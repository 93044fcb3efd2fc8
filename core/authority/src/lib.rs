//! Users, login, certificate authorities, ceremonies and issuing.
//!
//! Every method blocks for as long as a disk or a password hash takes: on an async runtime, call
//! them on a blocking thread. [`Authority::snapshot`] must have been called once before users come:
//! it reads what is true, and everything else goes by what it read last.

mod admin;
mod attestation;
mod audit_keys;
mod authority;
mod bootstrap;
mod browser;
mod cas;
mod ceremony;
mod chain;
mod change;
mod counter;
mod demand;
mod device;
mod device_change;
mod documents;
mod enrol;
mod error;
mod fault;
mod host;
mod in_band;
mod invite;
mod key;
pub mod limits;
mod lock_key;
mod lockout;
mod login;
mod node_key;
mod otp;
mod otp_login;
mod password;
mod passwordless;
mod public_key;
mod rate;
mod resources;
mod rotate;
mod sealed;
mod sealed_store;
mod session;
mod snapshot;
mod spend;
mod ssh_key;
mod sso;
mod tap;
#[cfg(test)]
mod tests;
mod token;
mod uid;
mod web_session;
mod webauthn;

pub use audit_keys::{log_key, recordings_key};
pub use authority::{Authority, AuthorityParts};
pub use browser::Asker;
pub use documents::resource_files;
pub use error::AuthorityError;
pub use fault::Fault;
pub use in_band::InBand;
pub use sealed::SecretsKey;
pub use sealed_store::{CARRIED, SealedStore, fits, reseal};
pub use sso::{SSO_COOKIE, SsoDeparture, SsoOutcome, SsoStarted};
pub use web_session::{Method, SignedIn, WebSession};
