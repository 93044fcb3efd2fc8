//! The X.509 and SSH certificate profiles: issued and verified in one place.
//!
//! A certificate becomes an [`Identity`] through [`Trust::verify_x509`] or [`Trust::verify_ssh`], a registered SSH key
//! through [`Identity::of_ssh_key`], and nothing in any other way. Which authority signed it is the first thing that decides what it is.

mod error;
#[doc(hidden)]
pub mod fuzz;
mod identity;
mod kind;
pub mod limits;
mod names;
mod oid;
mod payload;
mod random;
mod span;
mod spki;
mod ssh;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod x509;

pub use error::{IdentityError, IssueError};
pub use identity::{Credential, Identity};
pub use kind::CaKind;
pub use spki::{gate_pin, spki_digest, ssh_key_pkcs8, ssh_key_spki};
pub use ssh::{Permit, SshCa, SshLoginSubject, SshSessionSubject, TargetSubject};
pub use tls::{
    ClientAuth, ClientVerifier, Lineage, PinnedGate, TargetTlsError, server_config, target_config, target_config_of_one,
};
pub use trust::{SshCaSource, Trust, TrustParts, TrustSource, X509CaSource};
pub use x509::{LoginSubject, SessionSubject, X509Ca};
