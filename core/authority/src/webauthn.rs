//! The library's WebAuthn ceremonies, with a challenge that names what the tap is for.
//!
//! The library draws 32 random bytes as its challenge. They become the random part of ours, which
//! hashes the statement too; ours then goes into the options and into the library's own state, so
//! that the library verifies the bound challenge and refuses the unbound one.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tapgate_model::UserName;
use tapgate_proof::{CredentialKey, RelyingParty, challenge};
use webauthn_rs::prelude::{
    AuthenticationResult, COSEAlgorithm, COSEKey, COSEKeyType, CreationChallengeResponse, CredentialID,
    DiscoverableAuthentication, ECDSACurve, PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse,
    SecurityKey, SecurityKeyAuthentication, SecurityKeyRegistration, Url, Uuid, Webauthn, WebauthnBuilder,
    WebauthnError,
};
use webauthn_rs_proto::{AllowCredentials, ResidentKeyRequirement, UserVerificationPolicy};

use crate::limits::CEREMONY_TTL;
use crate::token::{self, Secret};
use crate::{AuthorityError, Fault};

/// The library, set up for one relying party.
pub(crate) struct Ceremonies(Webauthn);

/// A tap that was asked for.
pub(crate) struct BegunTap {
    pub(crate) random: [u8; 32],
    pub(crate) options: RequestChallengeResponse,
    pub(crate) state: Value,
}

impl Ceremonies {
    pub(crate) fn new(relying_party: &RelyingParty, cluster: &str) -> Result<Self, AuthorityError> {
        let parse = |origin: &String| {
            Url::parse(origin).map_err(|e| AuthorityError::RelyingParty(format!("origin {origin:?} is no URL: {e}")))
        };
        let origins = relying_party.origins.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let (first, others) = origins
            .split_first()
            .ok_or_else(|| AuthorityError::RelyingParty("it has no origin (name at least one)".to_owned()))?;
        let refused = |e: WebauthnError| {
            AuthorityError::RelyingParty(format!("rp_id {:?} does not fit the origin {first}: {e}", relying_party.id))
        };
        let builder = WebauthnBuilder::new(&relying_party.id, first).map_err(refused)?;
        let builder = builder.rp_name(cluster).timeout(CEREMONY_TTL).allow_subdomains(false).allow_any_port(false);
        let builder = others.iter().fold(builder, WebauthnBuilder::append_allowed_origin);
        builder.build().map_err(refused).map(Self)
    }

    /// Asks one of these keys to sign the statement.
    pub(crate) fn begin_tap(&self, keys: &[SecurityKey], statement: &[u8], verified: bool) -> Result<BegunTap, Fault> {
        let (mut options, state) = self.0.start_securitykey_authentication(keys).map_err(Fault::internal)?;
        let random = <[u8; 32]>::try_from(options.public_key.challenge.as_slice())
            .map_err(|_| Fault::internal("the library's challenge is not 32 bytes long"))?;
        let mut state = serde_json::to_value(state)?;
        let ast = state.get_mut("ast").ok_or_else(|| Fault::internal("the library's state has no `ast`"))?;
        let bound = challenge(&random, statement);
        replace(ast, "challenge", json!(token::to_text(&bound)))?;
        options.public_key.challenge = bound.to_vec();
        if verified {
            replace(ast, "policy", serde_json::to_value(UserVerificationPolicy::Required)?)?;
            options.public_key.user_verification = UserVerificationPolicy::Required;
        }
        // How a key is connected is the client's to find out, and would tell a decoy from a key.
        options.public_key.allow_credentials.iter_mut().for_each(|key| key.transports = None);
        Ok(BegunTap { random, options, state })
    }

    /// Asks for a tap that nobody can make, for a user who is not there: the same keys each time,
    /// and one or two of them, as a person has.
    pub(crate) fn begin_decoy(&self, user: &str, secret: &Secret, statement: &[u8]) -> Result<BegunTap, Fault> {
        let mut begun = self.begin_tap(&[], statement, false)?;
        let seed = secret.derive("decoy", user);
        let count = if seed.first().is_some_and(|byte| *byte < 64) { 2 } else { 1 };
        let long = seed.last().is_some_and(|byte| *byte < 128);
        begun.options.public_key.allow_credentials = (0..count)
            .map(|n| {
                let mut id = secret.derive(&format!("decoy id {n}"), user).to_vec();
                if long {
                    id.extend(secret.derive(&format!("decoy tail {n}"), user));
                }
                AllowCredentials { type_: "public-key".to_owned(), id, transports: None }
            })
            .collect();
        Ok(begun)
    }

    /// Verifies the answer to a tap that was asked for.
    pub(crate) fn finish_tap(
        &self,
        state: Value,
        answer: &PublicKeyCredential,
    ) -> Result<AuthenticationResult, TapError> {
        let state: SecurityKeyAuthentication = serde_json::from_value(state).map_err(TapError::State)?;
        self.0.finish_securitykey_authentication(answer, &state).map_err(|error| match error {
            WebauthnError::CredentialPossibleCompromise => TapError::Cloned,
            error => TapError::Refused(error),
        })
    }

    /// Asks for any key that knows whose it is, to sign the message.
    pub(crate) fn begin_passkey(&self, message: &[u8]) -> Result<(RequestChallengeResponse, Value), Fault> {
        let (mut options, state) = self.0.start_discoverable_authentication().map_err(Fault::internal)?;
        let random = <[u8; 32]>::try_from(options.public_key.challenge.as_slice())
            .map_err(|_| Fault::internal("the library's challenge is not 32 bytes long"))?;
        let mut state = serde_json::to_value(state)?;
        let ast = state.get_mut("ast").ok_or_else(|| Fault::internal("the library's state has no `ast`"))?;
        let bound = challenge(&random, message);
        replace(ast, "challenge", json!(token::to_text(&bound)))?;
        options.public_key.challenge = bound.to_vec();
        // Whether it is asked for beside a field or by a button is the page's to say.
        options.mediation = None;
        Ok((options, state))
    }

    /// Whose key it says to be: the handle that it was registered with.
    pub(crate) fn handle_of(&self, answer: &PublicKeyCredential) -> Option<[u8; 16]> {
        self.0.identify_discoverable_authentication(answer).ok().map(|(handle, _)| handle.into_bytes())
    }

    /// Verifies the answer of a key that knew whose it is.
    pub(crate) fn finish_passkey(
        &self,
        state: Value,
        answer: &PublicKeyCredential,
        key: &SecurityKey,
    ) -> Result<AuthenticationResult, TapError> {
        let state: DiscoverableAuthentication = serde_json::from_value(state).map_err(TapError::State)?;
        self.0.finish_discoverable_authentication_v2(answer, state, key).map_err(|error| match error {
            WebauthnError::CredentialPossibleCompromise => TapError::Cloned,
            error => TapError::Refused(error),
        })
    }

    /// Asks for a new key, which is none of those that the user has registered; where it shall do without a
    /// password, one that keeps whose it is and verifies its user.
    pub(crate) fn begin_registration(
        &self,
        user: &UserName,
        handle: [u8; 16],
        registered: Vec<CredentialID>,
        passwordless: bool,
    ) -> Result<(CreationChallengeResponse, Value), Fault> {
        let exclude = (!registered.is_empty()).then_some(registered);
        let (mut options, state) = self
            .0
            .start_securitykey_registration(Uuid::from_bytes(handle), user.as_str(), user.as_str(), exclude, None, None)
            .map_err(Fault::internal)?;
        // Only what a proof can be verified with: the library offers ES384 too.
        options.public_key.pub_key_cred_params.retain(|offer| ALGORITHMS.iter().any(|a| i64_of(*a) == offer.alg));
        // Which authenticators the browser offers is the person's to choose.
        options.public_key.hints = None;
        let mut state = serde_json::to_value(state)?;
        let rs = state.get_mut("rs").ok_or_else(|| Fault::internal("the library's state has no `rs`"))?;
        replace(rs, "credential_algorithms", serde_json::to_value(ALGORITHMS)?)?;
        if passwordless {
            replace(rs, "policy", serde_json::to_value(UserVerificationPolicy::Required)?)?;
            replace(rs, "require_resident_key", json!(true))?;
            let chosen = options.public_key.authenticator_selection.get_or_insert_default();
            chosen.resident_key = Some(ResidentKeyRequirement::Required);
            chosen.require_resident_key = true;
            chosen.user_verification = UserVerificationPolicy::Required;
        }
        Ok((options, state))
    }

    /// Verifies the answer of a new key.
    pub(crate) fn finish_registration(
        &self,
        state: Value,
        answer: &RegisterPublicKeyCredential,
    ) -> Result<SecurityKey, TapError> {
        let state: SecurityKeyRegistration = serde_json::from_value(state).map_err(TapError::State)?;
        self.0.finish_securitykey_registration(answer, &state).map_err(TapError::Refused)
    }
}

/// The algorithms that both the library and a proof verify. `EdDSA` is none of the library's.
const ALGORITHMS: [COSEAlgorithm; 2] = [COSEAlgorithm::ES256, COSEAlgorithm::RS256];

/// Each origin as browsers write it and as URL libraries do, with a slash at the end: clients at a
/// terminal use those, and a proof is compared by its letters.
pub(crate) fn both_spellings(relying_party: RelyingParty) -> RelyingParty {
    let both = |origin: String| {
        let bare = origin.trim_end_matches('/').to_owned();
        [format!("{bare}/"), bare]
    };
    let mut origins: Vec<String> = relying_party.origins.into_iter().flat_map(both).collect();
    origins.sort();
    origins.dedup();
    RelyingParty { origins, ..relying_party }
}

/// Why a tap was refused; for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TapError {
    #[error("the ceremony's state can't be read: {0}")]
    State(serde_json::Error),
    #[error("the key's counter went backwards: there may be a copy of it")]
    Cloned,
    #[error("{0}")]
    Refused(WebauthnError),
}

/// The key's number in the COSE registry.
fn i64_of(algorithm: COSEAlgorithm) -> i64 {
    match algorithm {
        COSEAlgorithm::RS256 => -257,
        _ => -7,
    }
}

/// Puts a value in the place of one that must be there, so that another release of the library
/// with another layout fails here and does not run unbound.
fn replace(state: &mut Value, field: &str, value: Value) -> Result<(), Fault> {
    let slot = state.get_mut(field).ok_or_else(|| Fault::internal(format!("the library's state has no `{field}`")))?;
    *slot = value;
    Ok(())
}

/// The public key of a security key, in the form in which a proof is verified.
pub(crate) fn credential_key(key: &SecurityKey) -> Option<CredentialKey> {
    let cose: COSEKey = part(key, "/cred/cred")?;
    match cose.key {
        COSEKeyType::EC_EC2(point) if point.curve == ECDSACurve::SECP256R1 => {
            CredentialKey::es256(&point.x, &point.y).ok()
        }
        COSEKeyType::RSA(rsa) => CredentialKey::rs256(&rsa.n, &rsa.e).ok(),
        _ => None,
    }
}

/// The count of taps that is stored with a key.
pub(crate) fn counter(key: &SecurityKey) -> Option<u32> {
    part(key, "/cred/counter")
}

/// The library keeps these private but writes them down.
fn part<T: DeserializeOwned>(key: &impl Serialize, pointer: &str) -> Option<T> {
    let value = serde_json::to_value(key).ok()?;
    serde_json::from_value(value.pointer(pointer)?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceremonies() -> Ceremonies {
        let party = RelyingParty { id: "localhost".to_owned(), origins: vec!["https://localhost:3080".to_owned()] };
        Ceremonies::new(&party, "lab").unwrap()
    }

    #[test]
    fn the_challenge_is_bound_to_the_statement() {
        let begun = ceremonies().begin_tap(&[], b"statement", true).unwrap();
        let bound = challenge(&begun.random, b"statement");
        assert_eq!(begun.options.public_key.challenge, bound);
        assert_eq!(begun.state.pointer("/ast/challenge").unwrap(), &json!(token::to_text(&bound)));
        assert_eq!(begun.state.pointer("/ast/policy").unwrap(), "required");
    }

    #[test]
    fn a_decoy_is_the_same_each_time_and_looks_like_a_tap() {
        let (ceremonies, secret) = (ceremonies(), Secret::new(b"secret"));
        let ask = |user| ceremonies.begin_decoy(user, &secret, b"statement").unwrap().options.public_key;
        let (first, second, other) = (ask("nobody"), ask("nobody"), ask("noone"));
        let ids = |options: &webauthn_rs_proto::PublicKeyCredentialRequestOptions| {
            options.allow_credentials.iter().map(|key| key.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&first), ids(&second));
        assert_ne!(ids(&first), ids(&other));
        assert_ne!(first.challenge, second.challenge);
    }

    #[test]
    fn only_what_a_proof_can_verify_is_offered() {
        let (options, state) =
            ceremonies().begin_registration(&"olga".parse().unwrap(), [7; 16], Vec::new(), false).unwrap();
        let offered = options.public_key.pub_key_cred_params.iter().map(|offer| offer.alg).collect::<Vec<_>>();
        assert_eq!(offered, [-7, -257]);
        assert_eq!(state.pointer("/rs/credential_algorithms").unwrap().as_array().unwrap().len(), 2);
    }

    #[test]
    fn an_origin_of_another_domain_is_refused() {
        let party = |id: &str, origin: &str| RelyingParty { id: id.to_owned(), origins: vec![origin.to_owned()] };
        assert!(Ceremonies::new(&party("localhost", "https://evil.test"), "lab").is_err());
        assert!(Ceremonies::new(&party("127.0.0.1", "https://127.0.0.1"), "lab").is_err());
        assert!(Ceremonies::new(&RelyingParty { id: "x".to_owned(), origins: vec![] }, "lab").is_err());
    }
}
