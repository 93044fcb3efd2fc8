//! Browser MFA: a terminal hands its ceremony to the browser, which carries the answer back to it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs_proto::{PublicKeyCredential, RegisterPublicKeyCredential};

/// Hands a ceremony to the browser. What the terminal says of itself is a port and a number, never an
/// address to send anybody to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrowserBegin {
    /// The ceremony's number.
    pub ceremony: String,
    /// The port of `127.0.0.1` on which the terminal listens, 1024 or higher; 0 where the answer is pasted.
    pub port: u16,
    /// The number in the callback's path: a UUID's 32 hex digits and four hyphens.
    pub nonce: String,
    /// The key that the answer is sealed to (X25519, base64url).
    pub public_key: String,
    /// Whether the person carries the answer to the terminal by hand, where the cluster allows it.
    #[serde(default)]
    pub paste: bool,
}

/// Where the browser goes, and what is typed there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrowserRequest {
    /// The request's number.
    pub id: String,
    /// The page.
    pub url: String,
    /// The code that the terminal shows.
    pub code: String,
}

/// Never prints the number or the code.
impl std::fmt::Debug for BrowserRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrowserRequest").finish_non_exhaustive()
    }
}

/// What the page shows before anybody taps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrowserShown {
    /// `get` for a tap, `create` for a new key.
    pub ceremony: String,
    /// What goes to the authenticator.
    #[schema(value_type = Object)]
    pub webauthn: Value,
    /// The cluster's name.
    pub cluster: String,
    /// Who taps.
    pub user: String,
    /// `session`, `in-band`, `login`, `admin`, `enrol`, `register`, `add-device` or `device`.
    pub purpose: String,
    /// The targets of the sessions.
    pub targets: Vec<BrowserTarget>,
    /// Until when the tap may open them again, in seconds since the epoch; none where it opens one session.
    pub reusable_until: Option<u64>,
    /// What is changed, what the new key is called, or what the client says of itself.
    pub details: Option<String>,
    /// What becomes of each resource that is written, line by line.
    pub changes: Vec<BrowserChange>,
    /// Whether the person carries the answer to the terminal by hand.
    pub paste: bool,
    /// What an in-band tap is good for, in words.
    #[serde(default)]
    pub good_for: Option<String>,
    /// What else the same user waits for from the same address, to be covered by the same tap where it is ticked.
    #[serde(default)]
    pub others: Vec<AskOther>,
    /// From where it was asked for.
    pub address: String,
    /// The name that this address says it has, where it is known.
    #[serde(default)]
    pub host: Option<String>,
    /// Whether the browser is at another address than that.
    pub elsewhere: bool,
    /// When it was asked for, in seconds since the epoch.
    pub asked: u64,
    /// When it ends, in seconds since the epoch.
    pub expires: u64,
}

/// What becomes of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrowserChange {
    /// Which one and what, such as `update role "dev"`.
    pub title: String,
    /// Its lines as a unified difference: each begins with ` `, `-`, `+` or `@@`.
    pub diff: String,
}

/// One target on the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrowserTarget {
    /// The kind as people read it, such as `Node`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The login there.
    pub login: String,
}

/// What the page sends after the tap.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrowserAnswer {
    /// The code that was typed.
    pub code: String,
    /// What the authenticator answered.
    #[schema(value_type = Object)]
    pub webauthn: Value,
}

/// The code that a stock client shows, as it was typed on the page.
#[derive(Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AskCode {
    /// The code.
    pub code: String,
    /// Which others the tap shall cover, by their tokens.
    #[serde(default)]
    pub also: Vec<String>,
}

/// Denies a tap that a client of the signed-in user waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AskDeny {
    /// Its token, of [`AskOther`].
    pub token: String,
    /// Whether the key that asks is somebody else's by now: it is locked, and everything that it has opened ends.
    #[serde(default)]
    pub lock: bool,
}

/// A tap that another client of the same user waits for at the same address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AskOther {
    /// What the page ticks it by, or denies it. It leads to no page.
    pub token: String,
    /// Whereto.
    pub target: BrowserTarget,
    /// From where it is asked.
    pub address: String,
    /// What the client says of itself.
    pub client: String,
    /// When it was asked for, in seconds since the epoch.
    pub asked: u64,
}

/// Never prints the code.
impl std::fmt::Debug for AskCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AskCode").finish_non_exhaustive()
    }
}

/// The tap counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AskApproved {
    /// Whether the client has to connect again for it, within a minute.
    pub again: bool,
}

/// The tap that a right code leads to; it is answered with an [`crate::Assertion`].
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AskCeremony {
    /// The ceremony's number; good for one try.
    pub id: String,
    /// What goes to the authenticator.
    #[schema(value_type = Object)]
    pub webauthn: Value,
}

/// Never prints the code.
impl std::fmt::Debug for BrowserAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrowserAnswer").finish_non_exhaustive()
    }
}

/// Where the page carries the outcome: a form's `POST` with the field `sealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrowserCarried {
    /// The terminal's callback, on loopback; none where the person pastes what is sealed.
    pub action: Option<String>,
    /// A [`BrowserOutcome`], sealed to the terminal's key.
    pub sealed: String,
}

/// What came of it; the terminal alone can read this.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum BrowserOutcome {
    /// The tap.
    Tapped {
        /// What the authenticator answered.
        webauthn: Box<PublicKeyCredential>,
    },
    /// The new key.
    Registered {
        /// What the authenticator answered.
        webauthn: Box<RegisterPublicKeyCredential>,
    },
    /// The identity provider has answered well.
    Sso {
        /// What the terminal finishes with.
        ticket: String,
    },
    /// The identity provider has not answered well.
    Refused {
        /// Why, for the person at the terminal.
        reason: String,
    },
    /// The person at the browser said no.
    Denied,
    /// There were too many wrong tries.
    Exhausted,
}

/// What sealed messages are bound to: the request and the ceremony.
pub fn browser_context(request: &str, ceremony: &str) -> Vec<u8> {
    format!("{request}/{ceremony}").into_bytes()
}
