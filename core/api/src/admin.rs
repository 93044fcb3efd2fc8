//! Administration: resources, invites, status and explanations.

use serde::{Deserialize, Serialize};

/// What an administrator wants done; the tap signs the SHA-256 of this body's exact bytes, for an
/// invite together with the terms in [`crate::Ceremony::invite`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum AdminAction {
    /// Creates or replaces the resources of a YAML text.
    PutResources {
        /// One or more YAML documents.
        yaml: String,
        /// Whether a resource that is there already may be replaced.
        replace: bool,
    },
    /// Removes a resource.
    DeleteResource {
        /// Its kind, such as `role`.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Makes a user, or lets one enrol anew, and issues the invite for it.
    Invite {
        /// The user's name.
        user: String,
        /// The roles of a new user; ignored where the user is there already.
        roles: Vec<String>,
    },
    /// Takes one step of an authority's rotation.
    RotateAuthority {
        /// `user`, `session`, `target` or `host`.
        authority: String,
        /// `prepare`, `switch`, `finish` or `rollback`.
        step: String,
        /// Whether what still depends on the old one is given up.
        at_once: bool,
    },
}

/// Every authority of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Authorities {
    /// Each with its public half; in a rotation there are two of one.
    pub authorities: Vec<AuthorityEntry>,
}

/// An authority's public half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuthorityEntry {
    /// What is rotated together: `user`, `session`, `target`, `host` or `gate`.
    pub authority: String,
    /// What it signs, such as `login-ssh`.
    pub kind: String,
    /// `signs`, `next` or `old`.
    pub state: String,
    /// The fingerprint of its key.
    pub fingerprint: String,
    /// A certificate in PEM, or the line of an SSH key.
    pub public: String,
}

/// Asks whether the gate can connect to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReachAsk {
    /// Its kind, such as `node`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Whether the gate can connect to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reach {
    /// Why it can't; nothing where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdminOutcome {
    /// One line a change, such as `role "dev" has been created`.
    pub lines: Vec<String>,
    /// The invite, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<InviteCreated>,
}

/// An invite, shown once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InviteCreated {
    /// Whom it enrols.
    pub user: String,
    /// The secret to hand over.
    pub token: String,
    /// When it ends, in seconds since the epoch.
    pub expires: u64,
}

/// Never prints the token.
impl std::fmt::Debug for InviteCreated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteCreated")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A resource as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ResourceText {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The whole document.
    pub yaml: String,
}

/// `tapctl status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// The gate's version.
    pub version: String,
    /// `sha256:` and the SHA-256 of the host CA's public key, for `tap login --ca-pin`.
    pub ca_pin: String,
    /// How many sessions are open.
    pub live_sessions: u64,
    /// What is wrong with Kubernetes clusters, one line each, as far as sessions have shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kube_problems: Vec<String>,
    /// The applications that the gate can't reach, of those that the caller may see.
    #[serde(default)]
    pub apps_down: Vec<crate::AppDown>,
}

/// Why a user may or may not open a target, role by role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The user.
    pub user: String,
    /// The target's name.
    pub target: String,
    /// One line each: a login, and `allowed`, `allowed after a tap` or `denied`, and why.
    pub verdicts: Vec<String>,
    /// What each role of the user says.
    pub roles: Vec<ExplainRole>,
}

/// What one role says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExplainRole {
    /// The role's name.
    pub role: String,
    /// What it says of this target, in words.
    pub says: String,
}
