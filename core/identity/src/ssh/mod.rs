//! The SSH profile: the authority that issues it and the reader that verifies it.

mod address;
mod ca;
mod verify;

pub use ca::{Permit, SshCa, SshLoginSubject, SshSessionSubject, TargetSubject};
pub(crate) use verify::fuzz;

use crate::Credential;

/// The critical option that pins a certificate to addresses, as OpenSSH names it.
const SOURCE_ADDRESS: &str = "source-address";

/// The critical option that holds the record. It is critical so that an sshd which trusts the authority by
/// mistake refuses the certificate.
const fn record_option(credential: Credential) -> &'static str {
    match credential {
        Credential::Login | Credential::SshKey => "tapgate-login@tapgate",
        Credential::Session => "tapgate-session@tapgate",
    }
}
