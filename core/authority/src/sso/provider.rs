//! Identity providers: what they say of themselves, which keys they have, and a code made into a token.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tapgate_model::UnixTime;
use tapgate_policy::OidcResource;
use tapgate_proof::ProviderKey;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::fetch::{Call, FetchError, fetch};
use crate::limits::{KEYS_MAX, PROVIDER_DOWN, PROVIDER_FRESH, REFETCH_PAUSE, SECRET_MAX};

/// Why a provider is of no use now; for the log and for the person who waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProviderError {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("it answered {status} to {what}{said}")]
    Status { what: &'static str, status: u16, said: String },
    #[error("its {what} can't be read: {why}")]
    Unreadable { what: &'static str, why: String },
    #[error("it calls itself {0:?}, which is not the connector's issuer_url")]
    Issuer(String),
    #[error("its {0} is not an https:// address")]
    Endpoint(&'static str),
    #[error("it has no key that a token can be verified with (RS256, ES256 or EdDSA)")]
    NoKeys,
    #[error("the client's secret can't be read: {0}")]
    Secret(String),
    #[error("it gave no ID token")]
    NoToken,
}

/// A provider's metadata (`OpenID` Connect Discovery 1.0, section 3), as far as it is used.
#[derive(Debug, Clone, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A provider as it was when it was last asked.
#[derive(Debug, Clone)]
pub(super) struct Provider {
    pub(super) authorization: Url,
    /// Whether its answers must name it (RFC 9207).
    pub(super) names_itself: bool,
    pub(super) keys: Vec<ProviderKey>,
    token: Url,
    /// Whether the secret goes into the form, because it takes no other way.
    secret_in_form: bool,
    asked: UnixTime,
}

/// What is known of one connector's provider: one thread asks, and the others wait for its answer.
type Known = Arc<Mutex<Option<Result<Provider, (ProviderError, UnixTime)>>>>;

/// Every provider that was asked.
#[derive(Debug, Default)]
pub(super) struct Providers(Mutex<HashMap<String, Known>>);

impl Providers {
    /// The connector's provider, asked of late. Where `missing` says that a key is not there, it is asked again at
    /// once, but not again and again.
    pub(super) fn get(
        &self,
        connector: &OidcResource,
        now: UnixTime,
        missing: impl Fn(&Provider) -> bool,
    ) -> Result<Provider, ProviderError> {
        let place = format!("{}\n{}", connector.issuer_url, connector.ca_cert.as_deref().unwrap_or_default());
        let known = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(place).or_default())
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(Ok(provider))
                if now.since(provider.asked) < REFETCH_PAUSE
                    || (now.since(provider.asked) < PROVIDER_FRESH && !missing(provider)) =>
            {
                return Ok(provider.clone());
            }
            Some(Err((error, asked))) if now.since(*asked) < PROVIDER_DOWN => return Err(error.clone()),
            _ => {}
        }
        let asked = ask(connector, now);
        *known = Some(asked.clone().map_err(|error| (error, now)));
        asked
    }
}

fn ask(connector: &OidcResource, now: UnixTime) -> Result<Provider, ProviderError> {
    let base = connector.issuer_url.trim_end_matches('/');
    let url = https("issuer_url", &format!("{base}/.well-known/openid-configuration"))?;
    let metadata: Metadata = get(connector, "metadata", &url)?;
    if metadata.issuer != connector.issuer_url {
        return Err(ProviderError::Issuer(metadata.issuer));
    }
    let set: Value = get(connector, "key set", &https("jwks_uri", &metadata.jwks_uri)?)?;
    let listed = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let keys: Vec<_> = listed.iter().take(KEYS_MAX).filter_map(|jwk| ProviderKey::from_jwk(jwk, now).ok()).collect();
    if keys.is_empty() {
        return Err(ProviderError::NoKeys);
    }
    // Without a list it is client_secret_basic (`OpenID` Connect Discovery 1.0, section 3).
    let methods = metadata.token_endpoint_auth_methods_supported;
    let basic = methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
    Ok(Provider {
        authorization: https("authorization_endpoint", &metadata.authorization_endpoint)?,
        names_itself: metadata.authorization_response_iss_parameter_supported,
        keys,
        token: https("token_endpoint", &metadata.token_endpoint)?,
        secret_in_form: !basic,
        asked: now,
    })
}

impl Provider {
    /// Makes the code into an ID token, with the verifier of the challenge that went with the request (RFC 7636).
    pub(super) fn redeem(&self, connector: &OidcResource, code: &str, verifier: &str) -> Result<String, ProviderError> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: Option<String>,
        }
        let secret = secret(&connector.client_secret_file)?;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &connector.redirect_url)
            .append_pair("code_verifier", verifier);
        let mut authorization = None;
        if self.secret_in_form {
            form.append_pair("client_id", &connector.client_id).append_pair("client_secret", &secret);
        } else {
            // Both are form-encoded first (RFC 6749, section 2.3.1).
            let part = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let both = Zeroizing::new(format!("{}:{}", part(&connector.client_id), part(&secret)));
            authorization = Some(format!("Basic {}", STANDARD.encode(both.as_bytes())));
        }
        let ca_cert = connector.ca_cert.as_deref();
        let call = Call { url: &self.token, ca_cert, form: Some(form.finish()), authorization };
        let tokens: Tokens = json("token request", &call)?;
        tokens.id_token.ok_or(ProviderError::NoToken)
    }
}

fn get<T: DeserializeOwned>(connector: &OidcResource, what: &'static str, url: &Url) -> Result<T, ProviderError> {
    json(what, &Call { url, ca_cert: connector.ca_cert.as_deref(), form: None, authorization: None })
}

fn json<T: DeserializeOwned>(what: &'static str, call: &Call<'_>) -> Result<T, ProviderError> {
    let (status, body) = fetch(call)?;
    if !status.is_success() {
        // The word that the standard has for it, and nothing else of the answer.
        let error = serde_json::from_slice::<Value>(&body).ok();
        let error = error.as_ref().and_then(|error| error.get("error")).and_then(Value::as_str);
        let plain = |word: &&str| word.len() <= 64 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let said = error.filter(plain).map(|word| format!(", {word}")).unwrap_or_default();
        return Err(ProviderError::Status { what, status: status.as_u16(), said });
    }
    serde_json::from_slice(&body).map_err(|error| ProviderError::Unreadable { what, why: error.to_string() })
}

fn https(what: &'static str, text: &str) -> Result<Url, ProviderError> {
    Url::parse(text).ok().filter(|url| url.scheme() == "https").ok_or(ProviderError::Endpoint(what))
}

fn secret(path: &str) -> Result<Zeroizing<String>, ProviderError> {
    let unreadable = |why: String| ProviderError::Secret(format!("{path}: {why}"));
    let size = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > SECRET_MAX {
        return Err(unreadable("it is too large".to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}
