//! An ID token's header and claims, read strictly.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tapgate_model::UnixTime;

use super::key::name;
use crate::limits::{ACCOUNT_TEXT_MAX, KEY_ID_MAX};
use crate::{Algorithm, bytes};

/// Why something is no ID token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has not three parts of base64url.
    #[error("it does not consist of three parts in base64url")]
    Form,
    /// Header or claims can't be read, or say something twice.
    #[error("its {part} cannot be read: {why}")]
    Json {
        /// Header or claims.
        part: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It is signed in a way that is not used here.
    #[error("it is signed by {0:?} (let the provider use RS256, ES256 or EdDSA)")]
    Algorithm(String),
    /// The header asks for what nobody here understands.
    #[error("its header demands extensions, or is of another kind of token")]
    Kind,
    /// A text is empty or too long.
    #[error("its `{0}` is empty or too long")]
    Text(&'static str),
}

/// The header's members that decide. One of them given twice is an error.
#[derive(serde::Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
    #[serde(default)]
    b64: Option<IgnoredAny>,
}

/// The claims that decide. One of them given twice is an error.
#[derive(serde::Deserialize)]
struct Raw {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default)]
    azp: Option<String>,
    exp: Seconds,
    iat: Seconds,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    acr: Option<String>,
    #[serde(default)]
    auth_time: Option<Seconds>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A time in a token is a JSON number, and may have a fraction, which is cut off (RFC 7519, section 2).
#[derive(Clone, Copy, serde::Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct Seconds(UnixTime);

impl TryFrom<serde_json::Number> for Seconds {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Self, Self::Error> {
        let text = number.to_string();
        let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
        whole.parse().map(|seconds| Self(UnixTime::from_secs(seconds))).map_err(|_| "a time is no number of seconds")
    }
}

/// What an ID token says, as far as the gate relies on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`: the provider.
    pub issuer: String,
    /// `sub`: the account.
    pub subject: String,
    /// `aud`: for whom it is.
    pub audience: Vec<String>,
    /// `azp`: for whom it was made.
    pub authorized_party: Option<String>,
    /// `exp`: when it ends.
    pub expires: UnixTime,
    /// `iat`: when it was made.
    pub issued: UnixTime,
    /// `nonce`: the challenge that it answers.
    pub nonce: Option<String>,
    /// `acr`: by which class of authentication somebody signed in.
    pub class: Option<String>,
    /// `auth_time`: when somebody signed in.
    pub authenticated: Option<UnixTime>,
    /// All claims, for names, roles and traits.
    pub all: Map<String, Value>,
}

/// An ID token without its signature, read and not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdToken {
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Claims,
}

impl IdToken {
    /// Reads header and payload as they are signed: base64url, a dot, base64url.
    pub fn parse(signed: &[u8]) -> Result<Self, TokenError> {
        let text = std::str::from_utf8(signed).map_err(|_| TokenError::Form)?;
        let (header, payload) = text.split_once('.').ok_or(TokenError::Form)?;
        let header: Header = object("header", header)?.1;
        let algorithm = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
        let algorithm = algorithm.into_iter().find(|known| name(*known) == header.alg);
        let algorithm = algorithm.ok_or(TokenError::Algorithm(header.alg))?;
        let other = header.typ.is_some_and(|kind| !kind.eq_ignore_ascii_case("JWT"));
        if other || header.crit.is_some() || header.b64.is_some() {
            return Err(TokenError::Kind);
        }
        if header.kid.as_ref().is_some_and(|id| id.len() > KEY_ID_MAX) {
            return Err(TokenError::Text("kid"));
        }
        let (all, raw) = object::<Raw>("claims", payload)?;
        Ok(Self { algorithm, key_id: header.kid, claims: claims(all, raw)? })
    }

    /// By which algorithm it is signed.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Which key the provider names; none where it has one only.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// What it says.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// A JSON object in base64url, with all its members and with those that decide.
fn object<T: serde::de::DeserializeOwned>(
    part: &'static str,
    text: &str,
) -> Result<(Map<String, Value>, T), TokenError> {
    let json = bytes::decode(text).ok_or(TokenError::Form)?;
    let unreadable = |error: serde_json::Error| TokenError::Json { part, why: error.to_string() };
    // The derived reader would take an array of the members as well, so the object comes first.
    let all = serde_json::from_slice(&json).map_err(unreadable)?;
    Ok((all, serde_json::from_slice(&json).map_err(unreadable)?))
}

fn claims(all: Map<String, Value>, raw: Raw) -> Result<Claims, TokenError> {
    for (name, text) in [("iss", &raw.iss), ("sub", &raw.sub)] {
        if text.is_empty() || text.len() > ACCOUNT_TEXT_MAX {
            return Err(TokenError::Text(name));
        }
    }
    Ok(Claims {
        issuer: raw.iss,
        subject: raw.sub,
        audience: match raw.aud {
            Audience::One(one) => vec![one],
            Audience::Many(many) => many,
        },
        authorized_party: raw.azp,
        expires: raw.exp.0,
        issued: raw.iat.0,
        nonce: raw.nonce,
        class: raw.acr,
        authenticated: raw.auth_time.map(|time| time.0),
        all,
    })
}
