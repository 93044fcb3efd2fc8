//! A session's tie to the browser's device: Device Bound Session Credentials (W3C, `webappsec-dbsc`).
//!
//! A browser that can, makes a key pair for the session that never leaves the device, and proves it once
//! (registration). From then on each request needs a second cookie that is good for minutes; the browser gets the
//! next one by signing a challenge (refresh). A copied session cookie alone opens nothing any more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tapgate_model::Digest;
use tokio::time::Instant;

use crate::cookie::{self, DEVICE, fresh, hash};
use crate::limits::{CHALLENGE_TTL, DEVICE_COOKIE_TTL, DEVICE_PROOF_BYTES_MAX};

/// Where a browser shows its new key.
pub(crate) const REGISTER: &str = "/.tapgate/device";

/// Where it proves the key again.
pub(crate) const REFRESH: &str = "/.tapgate/device/refresh";

/// What ties one session to a device, where something does.
#[derive(Default)]
pub(crate) struct Binding(Mutex<State>);

#[derive(Default)]
struct State {
    /// The hash of what the next proof must answer, and until when.
    challenge: Option<(Digest, Instant)>,
    /// The device's public key: an uncompressed point.
    key: Option<Vec<u8>>,
    /// The present cookie's hash and the one before it, which requests on their way may still carry.
    cookies: [Option<(Digest, Instant)>; 2],
}

/// A proof that proves nothing, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproven {
    #[error("it is no proof that can be read")]
    Unreadable,
    #[error("its challenge is not the one that was given, or is over")]
    Challenge,
    #[error("its signature is not the device's")]
    Signature,
    #[error("it is for another address")]
    Audience,
    #[error("the session is tied to a device already, or to none")]
    State,
    #[error("the system gives no random bytes")]
    Random,
}

impl Binding {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next proof must answer; it takes the place of the one before.
    pub(crate) fn challenge(&self) -> Option<String> {
        let challenge = fresh()?;
        self.state().challenge = Some((hash(&challenge), Instant::now() + CHALLENGE_TTL));
        Some(challenge)
    }

    /// Whether a request may use the session: it is tied to nothing, or the device's cookie is there and good.
    pub(crate) fn admits(&self, cookie: Option<&str>) -> bool {
        let state = self.state();
        if state.key.is_none() {
            return true;
        }
        let (Some(shown), now) = (cookie.map(hash), Instant::now()) else { return false };
        state.cookies.iter().flatten().any(|(known, until)| *known == shown && *until > now)
    }

    /// Whether a device has been tied to the session.
    pub(crate) fn is_tied(&self) -> bool {
        self.state().key.is_some()
    }

    /// Ties the session to the key in this proof; answers the device's first cookie.
    pub(crate) fn register(&self, proof: &str, origin: &str) -> Result<String, Unproven> {
        let proof = Proof::read(proof).ok_or(Unproven::Unreadable)?;
        let key = point(&proof.head["jwk"]).ok_or(Unproven::Unreadable)?;
        let mut state = self.state();
        if state.key.is_some() {
            return Err(Unproven::State);
        }
        proof.verify(&key, origin, state.challenge.take())?;
        state.key = Some(key);
        state.renew()
    }

    /// The device's next cookie, for a proof by the key that the session is tied to.
    pub(crate) fn refresh(&self, proof: &str, origin: &str) -> Result<String, Unproven> {
        let proof = Proof::read(proof).ok_or(Unproven::Unreadable)?;
        let mut state = self.state();
        let challenge = state.challenge.take();
        let key = state.key.as_ref().ok_or(Unproven::State)?;
        proof.verify(key, origin, challenge)?;
        state.renew()
    }
}

impl State {
    fn renew(&mut self) -> Result<String, Unproven> {
        let value = fresh().ok_or(Unproven::Random)?;
        let [present, before] = &mut self.cookies;
        *before = present.replace((hash(&value), Instant::now() + DEVICE_COOKIE_TTL));
        Ok(value)
    }
}

/// A JSON Web Token of the type `dbsc+jwt`, not verified yet.
struct Proof<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    head: Value,
    body: Value,
}

impl<'a> Proof<'a> {
    fn read(text: &'a str) -> Option<Self> {
        // Some drafts write the header as a string in quotes.
        let text = text.trim().trim_matches('"');
        let (signed, signature) = text.rsplit_once('.').filter(|_| text.len() <= DEVICE_PROOF_BYTES_MAX)?;
        let (head, body) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).ok();
        let (head, body) = (json(head)?, json(body)?);
        let good = head["typ"] == "dbsc+jwt" && head["alg"] == "ES256";
        good.then_some(Self { signed, signature: decode(signature)?, head, body })
    }

    fn verify(&self, key: &[u8], origin: &str, challenge: Option<(Digest, Instant)>) -> Result<(), Unproven> {
        let said = self.body["jti"].as_str().ok_or(Unproven::Challenge)?;
        let good = challenge.is_some_and(|(known, until)| known == hash(said) && until > Instant::now());
        if !good {
            return Err(Unproven::Challenge);
        }
        // Not every browser names the address that it proves for; one that does must mean this one.
        let here = |aud: &str| aud.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !self.body["aud"].is_null() && !self.body["aud"].as_str().is_some_and(here) {
            return Err(Unproven::Audience);
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
        key.verify(self.signed.as_bytes(), &self.signature).map_err(|_| Unproven::Signature)
    }
}

/// The point of a P-256 key (RFC 7517), as signatures are verified with.
fn point(jwk: &Value) -> Option<Vec<u8>> {
    let coordinate = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok()?;
        (bytes.len() == 32).then_some(bytes)
    };
    let good = jwk["kty"] == "EC" && jwk["crv"] == "P-256";
    good.then_some([vec![4], coordinate("x")?, coordinate("y")?].concat())
}

/// What asks a browser to make a key.
pub(crate) fn invitation(challenge: &str) -> String {
    format!("(ES256);path=\"{REGISTER}\";challenge=\"{challenge}\"")
}

/// What a browser must know to keep the cookie fresh.
pub(crate) fn instructions(session: &str, origin: &str, host: &str) -> Value {
    json!({
        "session_identifier": session,
        "refresh_url": REFRESH,
        "scope": {
            "origin": origin,
            "include_site": false,
            "scope_specification": [{"type": "exclude", "domain": host, "path": "/.tapgate"}],
        },
        "credentials": [{"type": "cookie", "name": DEVICE, "attributes": cookie::ATTRIBUTES}],
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    const ORIGIN: &str = "https://dash.apps.example.com";

    fn key() -> EcdsaKeyPair {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap()
    }

    fn jwk(key: &EcdsaKeyPair) -> Value {
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }

    fn proof(key: &EcdsaKeyPair, head: &Value, body: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(head), encode(body));
        let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn head(key: &EcdsaKeyPair) -> Value {
        json!({"typ": "dbsc+jwt", "alg": "ES256", "jwk": jwk(key)})
    }

    #[test]
    fn a_session_is_tied_once_and_kept_by_the_key() {
        let (binding, key, thief) = (Binding::default(), key(), key());
        assert!(binding.admits(None), "no device, no condition");
        let challenge = binding.challenge().unwrap();
        let first = binding.register(&proof(&key, &head(&key), &json!({"jti": challenge})), ORIGIN).unwrap();
        assert!(binding.admits(Some(&first)) && !binding.admits(None) && !binding.admits(Some("x")));
        // Neither another key nor the same one takes its place.
        for other in [&thief, &key] {
            let challenge = binding.challenge().unwrap();
            let said = binding.register(&proof(other, &head(other), &json!({"jti": challenge})), ORIGIN);
            assert_eq!(said, Err(Unproven::State));
        }
        let by = |key: &EcdsaKeyPair| {
            let challenge = binding.challenge().unwrap();
            let body = json!({"jti": challenge, "aud": format!("{ORIGIN}{REFRESH}")});
            binding.refresh(&proof(key, &json!({"typ": "dbsc+jwt", "alg": "ES256"}), &body), ORIGIN)
        };
        assert_eq!(by(&thief), Err(Unproven::Signature));
        let second = by(&key).unwrap();
        assert!(binding.admits(Some(&first)) && binding.admits(Some(&second)), "requests on their way go on");
        let third = by(&key).unwrap();
        assert!(!binding.admits(Some(&first)) && binding.admits(Some(&second)) && binding.admits(Some(&third)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cookie_and_a_challenge_are_good_for_a_while() {
        let (binding, key) = (Binding::default(), key());
        let challenge = binding.challenge().unwrap();
        let good = proof(&key, &head(&key), &json!({"jti": challenge}));
        tokio::time::advance(CHALLENGE_TTL).await;
        assert_eq!(binding.register(&good, ORIGIN), Err(Unproven::Challenge));
        let challenge = binding.challenge().unwrap();
        let cookie = binding.register(&proof(&key, &head(&key), &json!({"jti": challenge})), ORIGIN).unwrap();
        tokio::time::advance(DEVICE_COOKIE_TTL).await;
        assert!(!binding.admits(Some(&cookie)));
    }

    #[test]
    fn what_proves_nothing_ties_nothing() {
        let (binding, key) = (Binding::default(), key());
        let check = |head: &Value, body: &dyn Fn(&str) -> Value, why: Unproven| {
            let challenge = binding.challenge().unwrap();
            assert_eq!(binding.register(&proof(&key, head, &body(&challenge)), ORIGIN), Err(why), "{head}");
            // A challenge is spent by what was wrong too, where it was looked at.
            assert!(binding.admits(None));
        };
        let plain = |challenge: &str| json!({"jti": challenge});
        let mut other = head(&key);
        for (field, value) in [("typ", "jwt"), ("alg", "none"), ("alg", "RS256")] {
            other = head(&key);
            other[field] = json!(value);
            check(&other, &plain, Unproven::Unreadable);
        }
        other["alg"] = json!("ES256");
        for wrong in [json!(null), json!({"kty": "RSA"}), json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})] {
            other["jwk"] = wrong;
            check(&other, &plain, Unproven::Unreadable);
        }
        let off_the_curve = URL_SAFE_NO_PAD.encode([1; 32]);
        other["jwk"] = json!({"kty": "EC", "crv": "P-256", "x": off_the_curve, "y": off_the_curve});
        check(&other, &plain, Unproven::Signature);
        let good = head(&key);
        check(&good, &|_| json!({"jti": "x"}), Unproven::Challenge);
        check(&good, &|_| json!({}), Unproven::Challenge);
        for aud in ["https://evil.example", "https://dash.apps.example.com.evil.example/"] {
            check(&good, &|challenge: &str| json!({"jti": challenge, "aud": aud}), Unproven::Audience);
        }
        check(&good, &|challenge: &str| json!({"jti": challenge, "aud": [ORIGIN]}), Unproven::Audience);
        for text in ["", "a", "a.b", "a.b.c", "....", &"x".repeat(DEVICE_PROOF_BYTES_MAX + 1)] {
            assert_eq!(binding.register(text, ORIGIN), Err(Unproven::Unreadable), "{text:.9}");
            assert_eq!(binding.refresh(text, ORIGIN), Err(Unproven::Unreadable));
        }
        assert!(!binding.is_tied());
    }
}
