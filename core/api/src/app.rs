//! Applications: which there are for the caller, and how a browser gets into one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The applications that the caller may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Apps {
    /// The applications, by name.
    pub apps: Vec<AppEntry>,
}

/// One application, as the caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppEntry {
    /// Its name.
    pub name: String,
    /// Where a browser opens it; none for TCP, and where the gate has no name for it.
    pub url: Option<String>,
    /// Whether it is carried as bytes.
    pub tcp: bool,
    /// The ports of a TCP application that has several, as first and last.
    pub ports: Vec<(u16, u16)>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether a session of it needs a tap of its own.
    pub mfa_required: bool,
    /// Why the gate can't reach it just now; none where it can, and where it has not looked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

/// An application that the gate can't reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppDown {
    /// Its name.
    pub name: String,
    /// Why, in words.
    pub why: String,
    /// Since when, in seconds after 1970.
    pub since: u64,
}

/// Asks for the way into an application, with what its host gave the browser along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppOpen {
    /// The application's host name.
    pub host: String,
    /// Path and query there.
    pub to: String,
    /// The hash of the cookie that the browser has there.
    pub begun: String,
}

/// How it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "offer", rename_all = "snake_case")]
pub enum AppOffer {
    /// A tap for this application is due; ask again after it.
    Tap {
        /// The application's name.
        name: String,
    },
    /// Lead the browser here, once.
    Go {
        /// The address.
        url: String,
    },
}
