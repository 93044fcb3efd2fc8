//! Login without a user name and a password: the key says whose it is.

use serde::{Deserialize, Serialize};

/// Whom the statement of such a login names: nobody is known before the tap. The key's registration says who
/// it was.
pub const PASSWORDLESS_USER: &str = "@passwordless";

/// Starts a login without a user name. The answer is a [`crate::Ceremony`] that names no credential, which is
/// finished as every login is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PasswordlessBegin {
    /// The public key that the login certificate shall carry (`SubjectPublicKeyInfo`, DER, base64url).
    pub tls_public_key: String,
    /// The public key that the SSH login certificate shall carry, as one line of OpenSSH.
    pub ssh_public_key: String,
}
