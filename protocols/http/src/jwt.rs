//! The signed identity that applications get: a JSON Web Token (RFC 7519) with ES256, and the key to verify it with.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tapgate_model::UnixTime;

use crate::cookie::hash;
use crate::limits::JWT_LIFE;

/// Who signs identities for applications.
pub struct Signer {
    key: EcdsaKeyPair,
    /// The key's thumbprint (RFC 7638).
    kid: String,
    x: String,
    y: String,
    issuer: String,
    random: SystemRandom,
}

/// The signing key can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the key that signs identities for applications can't be used")]
pub struct BadKey;

/// What a token says.
pub(crate) struct Claims<'a> {
    pub(crate) user: &'a str,
    /// The address that the application is reached under.
    pub(crate) audience: &'a str,
    /// The session's number, which the audit log names too.
    pub(crate) session: &'a str,
    /// The user's roles, where the application wants them.
    pub(crate) roles: Option<&'a [String]>,
    pub(crate) now: UnixTime,
}

impl Signer {
    /// Signs with this P-256 key (PKCS #8) in the name of this issuer.
    pub fn new(pkcs8: &[u8], issuer: String) -> Result<Self, BadKey> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| BadKey)?;
        // The uncompressed point (SEC 1 section 2.3.3): 4, x, y.
        let (x, y) = match key.public_key().as_ref() {
            [4, point @ ..] if point.len() == 64 => point.split_at(32),
            _ => return Err(BadKey),
        };
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let thumbprint = hash(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let kid = URL_SAFE_NO_PAD.encode(thumbprint.as_bytes());
        Ok(Self { key, kid, x, y, issuer, random: SystemRandom::new() })
    }

    /// The keys that verify, as `/.well-known/jwks.json` has them (RFC 7517 section 5).
    pub fn jwks(&self) -> serde_json::Value {
        let Self { kid, x, y, .. } = self;
        json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y}]})
    }

    /// A token, good for [`JWT_LIFE`].
    pub(crate) fn sign(&self, claims: &Claims<'_>) -> Option<String> {
        let now = claims.now.as_secs();
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid});
        let mut body = json!({
            "iss": self.issuer,
            "aud": claims.audience,
            "sub": claims.user,
            "sid": claims.session,
            "iat": now,
            "nbf": now.saturating_sub(30),
            "exp": claims.now.plus(JWT_LIFE).as_secs(),
        });
        if let (Some(roles), Some(map)) = (claims.roles, body.as_object_mut()) {
            map.insert("roles".to_owned(), json!(roles));
        }
        let text = format!("{}.{}", encode(&head), encode(&body));
        let signature = self.key.sign(&self.random, text.as_bytes()).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn encode(value: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn whoever_has_the_published_key_can_verify() {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let signer = Signer::new(pkcs8.as_ref(), "https://gate.example.com".to_owned()).unwrap();
        let roles = ["dev".to_owned()];
        let claims = Claims {
            user: "jerry",
            audience: "https://grafana.apps.example.com",
            session: "17",
            roles: Some(&roles),
            now: UnixTime::from_secs(1000),
        };
        let token = signer.sign(&claims).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let jwks = signer.jwks();
        let key = &jwks["keys"][0];
        let coordinate = |name: &str| decode(key[name].as_str().unwrap());
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        verifier.verify(text.as_bytes(), &decode(signature)).unwrap();
        verifier.verify(b"other", &decode(signature)).unwrap_err();
        let (head, body) = text.split_once('.').unwrap();
        let read = |part: &str| serde_json::from_slice::<serde_json::Value>(&decode(part)).unwrap();
        assert_eq!(read(head)["kid"], key["kid"]);
        let body = read(body);
        assert_eq!((body["sub"].as_str(), body["exp"].as_u64()), (Some("jerry"), Some(1300)));
        assert_eq!(body["roles"], json!(["dev"]));
        assert!(Signer::new(b"x", String::new()).is_err());
    }
}
