//! `GET /v1/webapi/find`: what a client must know before it logs in.

use serde::{Deserialize, Serialize};

/// The gate, as it presents itself to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Find {
    /// How users may prove who they are.
    pub auth: FindAuth,
    /// Where the gate's doors are.
    pub proxy: FindProxy,
    /// The gate's version, such as `0.1.0`.
    pub server_version: String,
    /// The oldest client that the gate still understands.
    pub min_client_version: String,
    /// The cluster's name.
    pub cluster_name: String,
    /// Whether this build's TLS runs in FIPS mode.
    pub fips: bool,
    /// The gate's time, in seconds since the epoch, so that a client whose clock is wrong is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
}

/// How users may prove who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindAuth {
    /// `local`, or the name of an identity provider.
    #[serde(rename = "type")]
    pub kind: String,
    /// The second factors that the cluster accepts, such as `webauthn`.
    pub second_factors: Vec<String>,
    /// The relying party that security keys are registered with.
    pub rp_id: String,
    /// The origin that a ceremony at the terminal is made for.
    pub origin: String,
    /// Whether a terminal may hand its tap to the browser.
    pub allow_cli_auth_via_browser: bool,
    /// The identity providers, the cluster's own first.
    #[serde(default)]
    pub connectors: Vec<FindConnector>,
}

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindConnector {
    /// What `tap login --auth` calls it.
    pub name: String,
    /// What people call it.
    pub display: String,
    /// Whether its step-up counts as a tap.
    pub mfa: bool,
}

/// Where the gate's doors are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindProxy {
    /// The SSH door.
    pub ssh: FindSsh,
}

/// The SSH door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindSsh {
    /// Host and port.
    pub public_addr: String,
}
