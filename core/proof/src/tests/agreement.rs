//! Two judges of one tap: what webauthn-rs refuses `verify` refuses, for every kind of key and every way to be wrong.

use serde_json::{Value, json};
use url::Url;
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softpasskey::SoftPasskey;
use webauthn_rs::prelude::{Passkey, PublicKeyCredential, Uuid, Webauthn, WebauthnBuilder};

use super::{RANDOM, judge, parts, rp};
use crate::testing::{Gesture, SoftKey};
use crate::{Algorithm, Proof, ProofError, Statement, bytes};

/// The library, for the same relying party.
fn library() -> Webauthn {
    let origins: Vec<Url> = rp().origins.iter().map(|origin| origin.parse().unwrap()).collect();
    WebauthnBuilder::new(&rp().id, &origins[0]).unwrap().append_allowed_origin(&origins[1]).build().unwrap()
}

/// A key of ours as the library keeps one: a registration of its own, with our key in the place of the registered one.
fn kept(webauthn: &Webauthn, key: &SoftKey) -> Option<Passkey> {
    let (options, state) = webauthn.start_passkey_registration(Uuid::from_u128(1), "jerry", "Jerry", None).unwrap();
    let answer = SoftPasskey::new(true).do_registration("https://tap.example.com".parse().unwrap(), options).unwrap();
    let mut passkey = serde_json::to_value(webauthn.finish_passkey_registration(&answer, &state).unwrap()).unwrap();
    let cred = passkey.pointer_mut("/cred").unwrap();
    cred["cred_id"] = json!(bytes::encode(key.credential_id()));
    let raw = key.key().as_bytes();
    cred["cred"] = match key.key().algorithm() {
        Algorithm::Es256 => {
            let (x, y) = (bytes::encode(&raw[1..33]), bytes::encode(&raw[33..]));
            json!({ "type_": "ES256", "key": { "EC_EC2": { "curve": "SECP256R1", "x": x, "y": y } } })
        }
        Algorithm::Rs256 => {
            // The modulus of 2048 bits and the exponent 65537, within DER.
            let n = &raw[raw.len() - 5 - 256..raw.len() - 5];
            json!({ "type_": "RS256", "key": { "RSA": { "n": bytes::encode(n), "e": [1, 0, 1] } } })
        }
        // The library registers no such key.
        Algorithm::EdDsa => return None,
    };
    Some(serde_json::from_value(passkey).unwrap())
}

/// What the library says of a tap over this challenge, with a PIN required.
fn theirs(webauthn: &Webauthn, passkey: &Passkey, challenge: &[u8; 32], proof: &Proof) -> bool {
    let (_, state) = webauthn.start_passkey_authentication(std::slice::from_ref(passkey)).unwrap();
    let mut state = serde_json::to_value(state).unwrap();
    *state.pointer_mut("/ast/challenge").unwrap() = Value::from(bytes::encode(challenge));
    let answer = PublicKeyCredential {
        id: bytes::encode(&proof.credential_id),
        raw_id: proof.credential_id.clone(),
        response: serde_json::from_value(json!({
            "authenticatorData": bytes::encode(&proof.authenticator_data),
            "clientDataJSON": bytes::encode(&proof.client_data_json),
            "signature": bytes::encode(&proof.signature),
        }))
        .unwrap(),
        extensions: webauthn_rs_proto::AuthenticationExtensionsClientOutputs::default(),
        type_: "public-key".to_owned(),
    };
    webauthn.finish_passkey_authentication(&answer, &serde_json::from_value(state).unwrap()).is_ok()
}

/// One way to be wrong, what we say of it, and whether the library looks at it at all.
struct Wrong {
    gesture: fn(&mut Gesture),
    error: ProofError,
    library_too: bool,
}

fn origin(text: &str) -> ProofError {
    ProofError::Origin(text.to_owned())
}

fn table() -> Vec<Wrong> {
    let wrong = |gesture, error| Wrong { gesture, error, library_too: true };
    vec![
        wrong(|tap| tap.origin = "https://evil.test".to_owned(), origin("https://evil.test")),
        wrong(
            |tap| tap.origin = "https://tap.example.com.evil.test".to_owned(),
            origin("https://tap.example.com.evil.test"),
        ),
        wrong(|tap| tap.origin = "http://tap.example.com".to_owned(), origin("http://tap.example.com")),
        wrong(|tap| tap.origin = "https://127.0.0.1".to_owned(), origin("https://127.0.0.1")),
        wrong(|tap| tap.origin = "https://tap.example.com:9".to_owned(), origin("https://tap.example.com:9")),
        // webauthn-rs reads this of registrations alone.
        Wrong { gesture: |tap| tap.cross_origin = true, error: ProofError::CrossOrigin, library_too: false },
        wrong(|tap| tap.rp_id = "example.com".to_owned(), ProofError::RelyingParty),
        wrong(|tap| tap.flags = 0b100, ProofError::UserPresence),
        wrong(|tap| tap.flags = 0b001, ProofError::UserVerification),
        wrong(|tap| tap.kind = "webauthn.create".to_owned(), ProofError::Type),
        wrong(|tap| tap.kind = "payment.get".to_owned(), ProofError::Type),
    ]
}

#[test]
fn both_accept_the_honest_and_refuse_the_wrong() {
    let webauthn = library();
    let statement = Statement::new(parts()).unwrap();
    let challenge = statement.challenge(&RANDOM);
    for key in [SoftKey::generate(), SoftKey::generate_eddsa(), SoftKey::generate_rs256()] {
        let kept = kept(&webauthn, &key);
        let algorithm = key.key().algorithm();
        let both = |proof: &Proof| {
            let theirs = kept.as_ref().map(|passkey| theirs(&webauthn, passkey, &challenge, proof));
            (judge(&key, proof, |_| ()), theirs)
        };
        let honest = key.tap(&statement, RANDOM, &rp());
        let (ours, library) = both(&honest);
        assert!(ours.is_ok() && library != Some(false), "{algorithm:?}");
        for (number, Wrong { gesture, error, library_too }) in table().into_iter().enumerate() {
            let mut tap = Gesture::at(&rp());
            gesture(&mut tap);
            let (ours, library) = both(&key.tap_as(&statement, RANDOM, &tap));
            assert_eq!(ours.err(), Some(error), "{algorithm:?}, row {number}");
            assert_eq!(library, kept.as_ref().map(|_| !library_too), "{algorithm:?}, row {number}");
        }
        // Another challenge, another key's signature, and another message under the right one.
        let unbound = key.tap(&statement, [6; 32], &rp());
        let (ours, library) = both(&Proof { random: RANDOM, ..unbound });
        assert_eq!((ours.err(), library), (Some(ProofError::Challenge), kept.as_ref().map(|_| false)));
        let foreign = SoftKey::generate().tap(&statement, RANDOM, &rp());
        let (ours, library) = both(&Proof { credential_id: honest.credential_id.clone(), ..foreign });
        assert_eq!((ours.err(), library), (Some(ProofError::Signature), kept.as_ref().map(|_| false)));
        let mut counted = honest.clone();
        counted.authenticator_data[36] ^= 1;
        let (ours, library) = both(&counted);
        assert_eq!((ours.err(), library), (Some(ProofError::Signature), kept.as_ref().map(|_| false)));
    }
}
