//! What is true of a credential beside its key: part of what a tap vouches for.

use der::Sequence;
use tapgate_model::Digest;

use crate::bytes;
use crate::wire::Octets;

/// What is true of a credential beside its key. Whoever could change these without a tap could let a key log in
/// alone, or call it hardware that it is not; so they are part of [`crate::Registration::digest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traits {
    /// Whether it may log in without a password, as its user chose.
    pub passwordless: bool,
    /// What its maker vouched for when it was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attested: Option<Attested>,
}

/// What a maker vouched for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attested {
    /// The model (AAGUID).
    #[serde(with = "bytes")]
    pub aaguid: [u8; 16],
    /// The SHA-256 of the authority's certificate (DER) that the attestation led to.
    pub ca_sha256: Digest,
}

impl Traits {
    /// Whether there is nothing to say: the digest is then the one of a registration without traits.
    pub fn are_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// ```text
/// Traits ::= SEQUENCE {
///     passwordless  BOOLEAN,
///     attested      SEQUENCE { aaguid OCTET STRING (SIZE (16)), ca OCTET STRING (SIZE (32)) } OPTIONAL }
/// ```
#[derive(Sequence)]
pub(crate) struct WireTraits {
    passwordless: bool,
    attested: Option<WireAttested>,
}

#[derive(Sequence)]
struct WireAttested {
    aaguid: Octets<16>,
    ca: Octets<32>,
}

impl From<&Traits> for WireTraits {
    fn from(traits: &Traits) -> Self {
        let attested = traits.attested.as_ref();
        let attested =
            attested.map(|attested| WireAttested { aaguid: Octets(attested.aaguid), ca: attested.ca_sha256.into() });
        Self { passwordless: traits.passwordless, attested }
    }
}
