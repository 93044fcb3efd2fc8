//! A provider's public key, and for how long it counts.

use serde_json::Value;
use tapgate_model::UnixTime;

use crate::limits::{KEY_ID_MAX, PROVIDER_KEY_GRACE};
use crate::{Algorithm, CredentialKey, IdToken, KeyError, bytes};

/// A public key that a provider published. It is kept when the provider has another one: what it signed in its time
/// stays provable, and what it signs later does not count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderKey {
    /// What the provider calls it, where it calls it anything.
    pub id: Option<String>,
    /// The key.
    pub key: CredentialKey,
    /// When the provider last had it among its keys.
    pub last_seen: UnixTime,
}

/// Why a JWK is not a key that a token can be verified with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is for something else, such as encryption.
    #[error("the key is not for signatures")]
    Use,
    /// It is of a kind that is not used here.
    #[error("the key is for none of RS256, ES256 and EdDSA")]
    Kind,
    /// A member is missing or no base64url.
    #[error("the key's `{0}` cannot be read")]
    Member(&'static str),
    /// The key itself is none.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl ProviderKey {
    /// Reads a public key of a provider's set (RFC 7517), which had it at this moment.
    pub fn from_jwk(jwk: &Value, seen: UnixTime) -> Result<Self, JwkError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return Err(JwkError::Use);
        }
        let part = |name: &'static str| text(name).and_then(bytes::decode).ok_or(JwkError::Member(name));
        let key = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => CredentialKey::rs256(&part("n")?, &part("e")?)?,
            (Some("EC"), Some("P-256")) => CredentialKey::es256(&part("x")?, &part("y")?)?,
            (Some("OKP"), Some("Ed25519")) => CredentialKey::eddsa(&part("x")?)?,
            _ => return Err(JwkError::Kind),
        };
        if text("alg").is_some_and(|algorithm| algorithm != name(key.algorithm())) {
            return Err(JwkError::Kind);
        }
        let id = text("kid").map(str::to_owned);
        if id.as_ref().is_some_and(|id| id.len() > KEY_ID_MAX) {
            return Err(JwkError::Member("kid"));
        }
        Ok(Self { id, key, last_seen: seen })
    }

    /// Whether this may be the key of the token: by its name and kind, and by the time at which it was in use.
    pub(super) fn may_sign(&self, token: &IdToken) -> bool {
        self.key.algorithm() == token.algorithm()
            && token.key_id().is_none_or(|id| self.id.as_deref() == Some(id))
            && token.claims().issued <= self.last_seen.plus(PROVIDER_KEY_GRACE)
    }
}

/// The name of an algorithm in a token's header.
pub(super) const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "ES256",
        Algorithm::EdDsa => "EdDSA",
        Algorithm::Rs256 => "RS256",
    }
}
