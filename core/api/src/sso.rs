//! Sign-in and taps at an identity provider: begun at a terminal, done in the browser, finished at the terminal.

use serde::{Deserialize, Serialize};

use crate::{BrowserTarget, SessionTarget};

/// Where the terminal waits for the browser, as in [`crate::BrowserBegin`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoReturn {
    /// The port of `127.0.0.1` on which the terminal listens, 1024 or higher.
    pub port: u16,
    /// The number in the callback's path: a UUID's 32 hex digits and four hyphens.
    pub nonce: String,
    /// The key that the answer is sealed to (X25519, base64url).
    pub public_key: String,
}

/// Starts a login at an identity provider. Who it is, the provider says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoLoginBegin {
    /// The connector's name; without it, the cluster's own.
    pub connector: Option<String>,
    /// The public key that the login certificate shall carry (`SubjectPublicKeyInfo`, DER, base64url).
    pub tls_public_key: String,
    /// The public key that the SSH login certificate shall carry, as one line of OpenSSH.
    pub ssh_public_key: String,
    /// Where the terminal waits.
    pub back: SsoReturn,
}

/// Asks for sessions of these targets, to be tapped for at the identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoSessionBegin {
    /// The targets; one tap covers them all.
    pub targets: Vec<SessionTarget>,
    /// The session's public key, as in [`crate::SessionBegin`].
    pub public_key: String,
    /// Where the terminal waits.
    pub back: SsoReturn,
}

/// A ceremony at the identity provider. Its challenge, over the statement, is the nonce of the ID token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoCeremony {
    /// The ceremony's number.
    pub id: String,
    /// The page that shows what is asked for and leads to the provider.
    pub url: String,
    /// The code that is typed on the page.
    pub code: String,
    /// What the provider's token will sign: DER, base64url.
    pub statement: String,
    /// When it ends, in seconds since the epoch.
    pub expires: u64,
    /// Whether the tap may open sessions until it ends.
    pub reusable: bool,
}

/// Never prints the number or the code.
impl std::fmt::Debug for SsoCeremony {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SsoCeremony").finish_non_exhaustive()
    }
}

/// What sessions need of the identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "requirement", rename_all = "snake_case")]
pub enum SsoRequirement {
    /// The login certificate is enough.
    None,
    /// A tap is due.
    Sso {
        /// The ceremony.
        ceremony: SsoCeremony,
    },
}

/// Finishes a ceremony with the ticket that came sealed through the browser.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoFinish {
    /// The ceremony's number.
    pub id: String,
    /// The ticket.
    pub ticket: String,
}

/// Never prints the ticket.
impl std::fmt::Debug for SsoFinish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SsoFinish").finish_non_exhaustive()
    }
}

/// What the page shows before it leads to the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoShown {
    /// The cluster's name.
    pub cluster: String,
    /// What people call the provider.
    pub provider: String,
    /// Who taps; empty at a login, which finds out.
    pub user: String,
    /// `session` or `login`.
    pub purpose: String,
    /// The targets of the sessions.
    pub targets: Vec<BrowserTarget>,
    /// Until when the tap may open them again, in seconds since the epoch; none where it opens one session.
    pub reusable_until: Option<u64>,
    /// From where it was asked for.
    pub address: String,
    /// Whether the browser is at another address than that.
    pub elsewhere: bool,
    /// When it was asked for, in seconds since the epoch.
    pub asked: u64,
    /// When it ends, in seconds since the epoch.
    pub expires: u64,
}

/// The code that was typed on the page.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoStart {
    /// The code.
    pub code: String,
}

/// Where the page goes next.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoRedirect {
    /// The provider's address, with what is asked of it.
    pub location: String,
}

/// What the provider sent the browser back with.
#[derive(Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoAnswer {
    /// The number of the request.
    pub state: String,
    /// The code that becomes a token.
    #[serde(default)]
    pub code: Option<String>,
    /// Why there is no code.
    #[serde(default)]
    pub error: Option<String>,
    /// The provider's words for it.
    #[serde(default)]
    pub error_description: Option<String>,
    /// Who answers (RFC 9207).
    #[serde(default)]
    pub iss: Option<String>,
}

/// The answer to a browser that has signed in on the pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SsoSignedIn {
    /// Always so: what went wrong is another answer.
    pub signed_in: bool,
}
