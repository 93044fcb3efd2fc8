//! Sessions: which targets there are, what a session of them needs, and the certificates for it.

use serde::{Deserialize, Serialize};

use crate::Ceremony;

/// The targets that the caller may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Targets {
    /// In the order of their names.
    pub targets: Vec<TargetEntry>,
}

/// One target, as the caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TargetEntry {
    /// `node`, `db`, `kube_cluster`, `app` or `windows_desktop`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// The logins that the caller's roles allow here.
    pub logins: Vec<String>,
    /// Whether a session there needs a tap.
    pub mfa_required: bool,
    /// What it speaks, where that differs among the targets of its kind: `postgres` or `mysql`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// What its resource says of it, in a person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A target and the login that is wanted there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionTarget {
    /// `node`, `db`, `kube_cluster`, `app` or `windows_desktop`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The login, in its text form.
    pub login: String,
}

/// Asks what sessions of these targets need; the challenge comes in the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionBegin {
    /// The targets; one tap covers them all.
    pub targets: Vec<SessionTarget>,
    /// The session's public key (`SubjectPublicKeyInfo` of an Ed25519 key, DER, base64url). Its
    /// private half lives in memory only.
    pub public_key: String,
}

/// What the sessions need.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "requirement", rename_all = "snake_case")]
pub enum Requirement {
    /// The login certificate is enough.
    None,
    /// A tap is due, and the user can make it at the identity provider alone.
    Sso,
    /// A tap is due.
    Tap {
        /// The tap.
        ceremony: Box<Ceremony>,
        /// Whether the certificates may open sessions until they end (`false`: one session only,
        /// so they are not worth keeping).
        reusable: bool,
    },
}

/// What a tap yields: certificates that carry it, for the key that was named at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionCertificates {
    /// The X.509 session certificate, PEM.
    pub tls_certificate: String,
    /// The SSH session certificate, one line of OpenSSH.
    pub ssh_certificate: String,
    /// When they stop opening sessions, in seconds since the epoch.
    pub expires: u64,
    /// Whether they may open more than one session until then.
    pub reusable: bool,
}
