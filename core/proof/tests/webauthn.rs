//! The same taps before two judges: what webauthn-rs accepts and refuses, `verify` accepts and refuses too.

mod support;

use tapgate_proof::{Proof, ProofError, verify};
use webauthn_authenticator_rs::softpasskey::SoftPasskey;
use webauthn_authenticator_rs::softtoken::SoftToken;
use webauthn_authenticator_rs::{AuthenticatorBackend, WebauthnAuthenticator};
use webauthn_rs::prelude::{COSEKeyType, ECDSACurve, Passkey, PublicKeyCredential, Uuid, Webauthn, WebauthnError};

use support::{ORIGIN, Outcome, credential_key, expected, proof, relying_party, statement, webauthn, with_challenge};

#[test]
fn a_soft_passkey_convinces_both() -> Outcome {
    both_accept_the_bound_and_refuse_the_unbound(SoftPasskey::new(true))
}

#[test]
fn a_soft_token_convinces_both() -> Outcome {
    let (token, _) = SoftToken::new(true).map_err(|e| format!("{e:?}"))?;
    both_accept_the_bound_and_refuse_the_unbound(token)
}

fn both_accept_the_bound_and_refuse_the_unbound(mut authenticator: impl AuthenticatorBackend) -> Outcome {
    let webauthn = webauthn()?;
    let passkey = register(&webauthn, &mut authenticator)?;
    let key = credential_key(passkey.get_public_key())?;
    let statement = statement()?;
    for bound in [true, false] {
        let (mut options, state) = webauthn.start_passkey_authentication(std::slice::from_ref(&passkey))?;
        let random: [u8; 32] = options.public_key.challenge.as_slice().try_into()?;
        let challenge = statement.challenge(&random);
        if bound {
            options.public_key.challenge = challenge.to_vec();
        }
        let state = with_challenge(&state, &challenge)?;
        let tap = authenticator.do_authentication(ORIGIN.parse()?, options).map_err(|e| format!("{e:?}"))?;
        let theirs = webauthn.finish_passkey_authentication(&tap, &state);
        let proof = proof(random, &statement, &tap);
        let ours = verify(&proof, &expected(&key, &statement, &relying_party()));
        if bound {
            let (theirs, ours) = (theirs?, ours?);
            assert_eq!(theirs.user_verified(), ours.user_verified());
            assert_eq!(theirs.counter(), ours.sign_count());
            assert_eq!(ours.credential_id(), passkey.cred_id().as_slice());
            assert_eq!(Proof::from_der(&proof.to_der()?)?.id(), proof.id());
        } else {
            assert!(matches!(theirs, Err(WebauthnError::MismatchedChallenge)), "{theirs:?}");
            assert_eq!(ours.err(), Some(ProofError::Challenge));
        }
    }
    Ok(())
}

#[test]
fn both_refuse_what_was_changed_after_the_tap() -> Outcome {
    let (webauthn, mut authenticator, statement) = (webauthn()?, SoftPasskey::new(true), statement()?);
    let passkey = register(&webauthn, &mut authenticator)?;
    let key = credential_key(passkey.get_public_key())?;
    let (mut options, state) = webauthn.start_passkey_authentication(&[passkey])?;
    let random: [u8; 32] = options.public_key.challenge.as_slice().try_into()?;
    options.public_key.challenge = statement.challenge(&random).to_vec();
    let state = with_challenge(&state, &statement.challenge(&random))?;
    let tap = authenticator.do_authentication(ORIGIN.parse()?, options).map_err(|e| format!("{e:?}"))?;
    let judge = |tap: &PublicKeyCredential| {
        let theirs = webauthn.finish_passkey_authentication(tap, &state).is_ok();
        let ours = verify(&proof(random, &statement, tap), &expected(&key, &statement, &relying_party())).is_ok();
        (theirs, ours)
    };
    assert_eq!(judge(&tap), (true, true));
    let changes: [fn(&mut PublicKeyCredential); 7] = [
        |tap| tap.response.authenticator_data[0] ^= 1,
        |tap| tap.response.authenticator_data[32] ^= 1,
        |tap| tap.response.authenticator_data[36] ^= 1,
        |tap| tap.response.authenticator_data.truncate(36),
        |tap| tap.response.signature[20] ^= 1,
        |tap| swap(&mut tap.response.client_data_json, "webauthn.get", "webauthn.create"),
        |tap| swap(&mut tap.response.client_data_json, "tap.example.com", "app.example.com"),
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut bent = tap.clone();
        change(&mut bent);
        assert_eq!(judge(&bent), (false, false), "change {n}");
    }
    Ok(())
}

#[test]
fn keys_of_other_curves_are_refused() -> Outcome {
    let (webauthn, mut authenticator) = (webauthn()?, SoftPasskey::new(true));
    let mut cose = register(&webauthn, &mut authenticator)?.get_public_key().clone();
    if let COSEKeyType::EC_EC2(ec) = &mut cose.key {
        ec.curve = ECDSACurve::SECP384R1;
    }
    assert!(credential_key(&cose).is_err());
    Ok(())
}

fn swap(json: &mut Vec<u8>, from: &str, to: &str) {
    *json = String::from_utf8_lossy(json).replace(from, to).into_bytes();
}

fn register(webauthn: &Webauthn, authenticator: &mut impl AuthenticatorBackend) -> Outcome<Passkey> {
    let (options, state) = webauthn.start_passkey_registration(Uuid::from_u128(1), "jerry", "Jerry", None)?;
    let answer = authenticator.do_registration(ORIGIN.parse()?, options).map_err(|e| format!("{e:?}"))?;
    Ok(webauthn.finish_passkey_registration(&answer, &state)?)
}
