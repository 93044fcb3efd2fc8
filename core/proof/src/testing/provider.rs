//! An identity provider made of software: it signs whatever token it is given.

use serde_json::{Value, json};
use tapgate_model::UnixTime;

use super::SoftKey;
use crate::{Algorithm, ProviderKey, Statement, bytes};

/// An identity provider with one key.
#[derive(Debug)]
pub struct SoftProvider {
    /// The address that it calls itself.
    pub issuer: String,
    key: SoftKey,
}

impl SoftProvider {
    /// A provider that signs with this key.
    pub fn new(issuer: &str, key: SoftKey) -> Self {
        Self { issuer: issuer.to_owned(), key }
    }

    /// Its public key, as it was seen at this moment.
    pub fn key(&self, seen: UnixTime) -> ProviderKey {
        ProviderKey { id: Some("one".to_owned()), key: self.key.key().clone(), last_seen: seen }
    }

    /// Honest claims: this account signed in at `at` for the statement.
    pub fn claims(&self, client: &str, subject: &str, statement: &Statement, random: &[u8; 32], at: UnixTime) -> Value {
        let nonce = bytes::encode(&statement.challenge(random));
        json!({
            "iss": self.issuer, "sub": subject, "aud": client, "nonce": nonce, "acr": "phr",
            "iat": at.as_secs(), "exp": at.as_secs() + 300, "auth_time": at.as_secs(),
        })
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let algorithm = match self.key.key().algorithm() {
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Rs256 => "RS256",
        };
        self.sign(&json!({ "alg": algorithm, "kid": "one", "typ": "JWT" }), claims)
    }

    /// A token with this header and these claims, be they right or wrong.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            bytes::encode(header.to_string().as_bytes()),
            bytes::encode(claims.to_string().as_bytes())
        );
        let signature = self.key.sign(signed.as_bytes());
        let signature = match self.key.key().algorithm() {
            Algorithm::Es256 => fixed(&signature),
            Algorithm::EdDsa | Algorithm::Rs256 => signature,
        };
        format!("{signed}.{}", bytes::encode(&signature))
    }
}

/// Both numbers of a DER signature in 32 bytes each.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = der.get(2..).unwrap_or_default();
    let mut out = Vec::new();
    for _ in 0..2 {
        let length = rest.get(1).copied().map_or(0, usize::from);
        let number = rest.get(2..2 + length).unwrap_or_default();
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend_from_slice(number);
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    out
}
