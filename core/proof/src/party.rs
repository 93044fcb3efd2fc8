//! Who asks for taps, and what every tap is compared with.

use std::ops::Deref;

use tapgate_model::Digest;

use crate::challenge::sha256;

/// Who asks for taps: the `WebAuthn` relying party.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RelyingParty {
    /// Its id, a host name.
    pub id: String,
    /// The origins whose pages may ask, compared exactly.
    pub origins: Vec<String>,
}

/// A relying party with the SHA-256 of its id, which an authenticator signs: computed once, not at every tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownParty {
    party: RelyingParty,
    id_sha256: Digest,
}

impl KnownParty {
    /// The SHA-256 of the id.
    pub(crate) const fn id_sha256(&self) -> &Digest {
        &self.id_sha256
    }
}

impl From<RelyingParty> for KnownParty {
    fn from(party: RelyingParty) -> Self {
        Self { id_sha256: sha256(&[party.id.as_bytes()]), party }
    }
}

impl Deref for KnownParty {
    type Target = RelyingParty;

    fn deref(&self) -> &RelyingParty {
        &self.party
    }
}
