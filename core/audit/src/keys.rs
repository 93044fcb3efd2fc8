//! What an auditor needs beside the log: the public keys of users' devices and of providers, and what vouches for them.

use serde::{Deserialize, Serialize};
use tapgate_model::{Digest, UnixTime};
use tapgate_proof::{ProviderKey, Registration, RelyingParty, SshRegistration, SsoRegistration};

use crate::LogPublicKey;

/// All public keys that a gate has ever counted. It holds no secret, and proves nothing by itself: an auditor who keeps
/// `gate`, `pins` and `log_keys` elsewhere trusts those alone, and verifies the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditKeys {
    /// The format, 1.
    pub version: u64,
    /// The cluster's name.
    pub cluster_name: String,
    /// The gate's fingerprint, which every statement names; `tapctl status` prints it as the CA pin.
    pub gate: Digest,
    /// Whom the devices were registered with.
    pub relying_party: RelyingParty,
    /// The pins of the first administrators' keys, from `tapgate.yaml`.
    pub pins: Vec<Digest>,
    /// The keys that sign checkpoints.
    pub log_keys: Vec<LogPublicKey>,
    /// The users' devices, those that were removed among them.
    pub devices: Vec<AuditKey>,
    /// The users' SSH keys, those that were removed among them.
    #[serde(default)]
    pub ssh_keys: Vec<AuditSshKey>,
    /// The users' accounts at identity providers.
    pub accounts: Vec<SsoRegistration>,
    /// What is demanded of identity providers.
    pub connectors: Vec<AuditConnector>,
    /// The identity providers' keys, those of the past among them.
    pub provider_keys: Vec<AuditProviderKey>,
}

/// A device, and when it counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditKey {
    /// The registration, with the tap that vouches for it.
    pub registration: Registration,
    /// When it counted: once, or again after it was removed.
    pub lives: Vec<Life>,
}

/// An SSH key, and when it counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSshKey {
    /// The registration, with the tap that vouches for it.
    pub registration: SshRegistration,
    /// When it counted.
    pub lives: Vec<Life>,
}

/// A time in which a device counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// Since when.
    pub from: UnixTime,
    /// Until when; none where it still counts.
    pub until: Option<UnixTime>,
}

/// What is demanded of an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConnector {
    /// The provider.
    pub issuer: String,
    /// What it calls this gate.
    pub audience: String,
    /// The classes of authentication that count for a session.
    pub classes: Vec<String>,
    /// The classes that count for signing in; any, where there are none.
    pub login_classes: Vec<String>,
}

/// A provider's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditProviderKey {
    /// The provider.
    pub issuer: String,
    /// The key, and when the provider last had it.
    pub key: ProviderKey,
}

/// The format that this program writes and reads.
pub(crate) const VERSION: u64 = 1;

impl AuditKeys {
    /// The keys in this JSON.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        let keys: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if keys.version == VERSION { Ok(keys) } else { Err(format!("their format is {}, not {VERSION}", keys.version)) }
    }
}
