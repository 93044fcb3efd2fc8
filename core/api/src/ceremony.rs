//! Ceremonies: login, enrolment, and the tap that finishes any of them.

use serde::{Deserialize, Serialize};
use webauthn_rs_proto::{
    CreationChallengeResponse, PublicKeyCredential, RegisterPublicKeyCredential,
    RequestChallengeResponse,
};

/// Starts a login.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginBegin {
    /// Who wants to log in.
    pub user: String,
    /// The password.
    pub password: String,
    /// The public key that the login certificate shall carry (`SubjectPublicKeyInfo`, DER, base64url).
    pub tls_public_key: String,
    /// The public key that the SSH login certificate shall carry, as one line of OpenSSH.
    pub ssh_public_key: String,
}

/// Never prints the password.
impl std::fmt::Debug for LoginBegin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginBegin")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A tap that is due. The challenge is a hash over `random` and `statement`, so the client can
/// see what its key is about to sign, and must check it before it asks for the tap.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ceremony {
    /// The ceremony's number; good for one try.
    pub id: String,
    /// When the ceremony ends, in seconds since the epoch.
    pub expires: u64,
    /// The 32 random bytes under the challenge, base64url.
    pub random: String,
    /// The statement that the tap signs (DER, base64url).
    pub statement: String,
    /// What goes to the authenticator.
    #[schema(value_type = Object)]
    pub webauthn: RequestChallengeResponse,
    /// For an invite: what the tap signs beside the user and the request, so that the client can
    /// compute the action by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<InviteTerms>,
}

/// The part of an invite that the gate chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InviteTerms {
    /// The SHA-256 of the secret that will be shown, in hex.
    pub token_sha256: String,
    /// When it is made, in seconds since the epoch.
    pub created: u64,
    /// When it ends, in seconds since the epoch.
    pub expires: u64,
}

/// The answer to a [`Ceremony`].
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Assertion {
    /// The ceremony's number.
    pub id: String,
    /// What the authenticator answered.
    #[schema(value_type = Object)]
    pub webauthn: PublicKeyCredential,
}

/// What a login yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoginCertificates {
    /// The user.
    pub user: String,
    /// The login certificate, PEM.
    pub tls_certificate: String,
    /// The SSH login certificate, one line of OpenSSH.
    pub ssh_certificate: String,
    /// The certificate that the gate's own TLS certificate is signed by, PEM.
    pub host_ca: String,
    /// The key that signs the gate's SSH host certificates, one line of OpenSSH.
    pub host_ssh_ca: String,
    /// When both certificates end, in seconds since the epoch.
    pub expires: u64,
    /// The user's roles, for the eye only: the gate reads them from its store.
    pub roles: Vec<String>,
    /// The Unix logins that the roles name, for the eye only.
    pub logins: Vec<String>,
}

/// Spends an invite.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EnrolBegin {
    /// The invite, as it was handed over.
    pub token: String,
    /// The password that the user chooses.
    pub password: String,
    /// What the user calls the key, such as `yubi`.
    pub device_name: String,
    /// Whether it shall hold a passkey that signs in to the pages without name and password.
    #[serde(default)]
    pub passwordless: bool,
}

/// Never prints the invite or the password.
impl std::fmt::Debug for EnrolBegin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolBegin")
            .field("device_name", &self.device_name)
            .finish_non_exhaustive()
    }
}

/// What the authenticator is asked when a first key is enrolled.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EnrolChallenge {
    /// The ceremony's number; good for one try.
    pub id: String,
    /// Who is enrolled.
    pub user: String,
    /// What goes to the authenticator.
    #[schema(value_type = Object)]
    pub webauthn: CreationChallengeResponse,
}

/// Finishes an enrolment.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EnrolFinish {
    /// The ceremony's number.
    pub id: String,
    /// What the authenticator answered.
    #[schema(value_type = Object)]
    pub webauthn: RegisterPublicKeyCredential,
}

/// What an enrolment yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Enrolled {
    /// Who was enrolled.
    pub user: String,
    /// For a first administrator: the line for `tapgate.yaml` without which the key counts for
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}
