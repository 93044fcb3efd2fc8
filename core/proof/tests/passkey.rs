//! A second authenticator, of another house: what it registers and signs convinces both judges, and what they must
//! refuse neither takes.

mod support;

use std::error::Error;

use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::rust_crypto::RustCryptoBackend;
use passkey::types::Passkey as Stored;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use passkey::types::webauthn::{CredentialCreationOptions, CredentialRequestOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tapgate_proof::{ProofError, verify};
use url::Url;
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential, Uuid, WebauthnError};

use support::{
    ORIGIN, Outcome, base64url, credential_key, expected, proof, relying_party, statement, webauthn, with_challenge,
};

/// Whoever holds the authenticator: here, and known to it or not.
struct Person {
    verified: bool,
}

#[async_trait::async_trait]
impl UserValidationMethod for Person {
    type PasskeyItem = Stored;

    async fn check_user<'a>(
        &self,
        _: UiHint<'a, Stored>,
        presence: bool,
        verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence, verification: verification && self.verified })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(self.verified)
    }
}

fn authenticator(counts: bool) -> Authenticator<Option<Stored>, Person, RustCryptoBackend> {
    let mut device = Authenticator::new(Aaguid::new_empty(), None, Person { verified: true }, RustCryptoBackend);
    device.set_make_credentials_with_signature_counter(counts);
    device
}

/// From one library's types to the other's, by way of the JSON that both speak. This one writes bytes as numbers.
fn through<T: DeserializeOwned>(value: &impl Serialize) -> Outcome<T> {
    Ok(serde_json::from_value(with_text(serde_json::to_value(value)?))?)
}

/// The same with every list of bytes as base64url, which is what browsers write.
fn with_text(value: Value) -> Value {
    let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(|item| byte(item).is_some()) => {
            Value::from(base64url(&items.iter().filter_map(byte).collect::<Vec<_>>()))
        }
        Value::Array(items) => items.into_iter().map(with_text).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, with_text(value))).collect(),
        other => other,
    }
}

fn said<T>(result: Result<T, impl std::fmt::Debug>) -> Outcome<T> {
    result.map_err(|error| Box::<dyn Error>::from(format!("{error:?}")))
}

#[tokio::test]
async fn it_registers_and_taps_and_both_judges_agree() -> Outcome {
    for counts in [false, true] {
        let (webauthn, mut device, origin) = (webauthn()?, Client::new(authenticator(counts)), Url::parse(ORIGIN)?);
        let (options, state) = webauthn.start_passkey_registration(Uuid::from_u128(1), "jerry", "Jerry", None)?;
        let options: CredentialCreationOptions = through(&options)?;
        let answer = said(device.register(&origin, options, DefaultClientData).await)?;
        let answer: RegisterPublicKeyCredential = through(&answer)?;
        let passkey = webauthn.finish_passkey_registration(&answer, &state)?;
        let key = credential_key(passkey.get_public_key())?;
        let statement = statement()?;
        for bound in [true, false] {
            let (mut options, state) = webauthn.start_passkey_authentication(std::slice::from_ref(&passkey))?;
            let random: [u8; 32] = options.public_key.challenge.as_slice().try_into()?;
            let challenge = statement.challenge(&random);
            if bound {
                options.public_key.challenge = challenge.to_vec();
            }
            let options: CredentialRequestOptions = through(&options)?;
            let tap = said(device.authenticate(&origin, options, DefaultClientData).await)?;
            let tap: PublicKeyCredential = through(&tap)?;
            let theirs = webauthn.finish_passkey_authentication(&tap, &with_challenge(&state, &challenge)?);
            let ours = verify(&proof(random, &statement, &tap), &expected(&key, &statement, &relying_party()));
            if bound {
                let (theirs, ours) = (theirs?, ours?);
                assert_eq!(theirs.user_verified(), ours.user_verified());
                assert_eq!(theirs.counter(), ours.sign_count());
                assert_eq!(ours.credential_id(), passkey.cred_id().as_slice());
            } else {
                assert!(matches!(theirs, Err(WebauthnError::MismatchedChallenge)), "{theirs:?}");
                assert_eq!(ours.err(), Some(ProofError::Challenge));
            }
        }
    }
    Ok(())
}

/// What a careful client does not even ask its authenticator.
#[tokio::test]
async fn it_answers_no_other_site_and_no_address() -> Outcome {
    let (webauthn, mut device) = (webauthn()?, Client::new(authenticator(false)));
    for origin in
        ["https://evil.example.net", "https://tap.example.com.evil.test", "http://tap.example.com", "https://127.0.0.1"]
    {
        let (options, _) = webauthn.start_passkey_registration(Uuid::from_u128(1), "jerry", "Jerry", None)?;
        let options: CredentialCreationOptions = through(&options)?;
        assert!(device.register(&Url::parse(origin)?, options, DefaultClientData).await.is_err(), "{origin}");
    }
    Ok(())
}
