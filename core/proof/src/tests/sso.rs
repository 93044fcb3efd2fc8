//! Proofs by an identity provider: what holds, and every change that must not.

use serde_json::{Value, json};

use super::{GATE, NOW, RANDOM, at, judge, parts, user};
use crate::limits::PROVIDER_KEY_GRACE;
use crate::testing::{SoftKey, SoftProvider};
use crate::{
    ExpectedSso, Proof, ProofError, ProviderKey, Purpose, SsoRegistration, Statement, StatementParts, VerifiedTap,
    verify_sso,
};

const ISSUER: &str = "https://id.example.com";

struct World {
    provider: SoftProvider,
    statement: Statement,
    keys: Vec<ProviderKey>,
    classes: Vec<String>,
    registration: SsoRegistration,
}

impl World {
    fn new(key: SoftKey) -> Self {
        let provider = SoftProvider::new(ISSUER, key);
        let (issuer, subject) = (ISSUER.to_owned(), "00u1".to_owned());
        Self {
            keys: vec![provider.key(NOW)],
            provider,
            statement: Statement::new(parts()).unwrap(),
            classes: vec!["phr".to_owned(), "phrh".to_owned()],
            registration: SsoRegistration { user: user("jerry"), issuer, subject, created: NOW },
        }
    }

    fn claims(&self) -> Value {
        self.provider.claims("tapgate", "00u1", &self.statement, &RANDOM, at(20))
    }

    fn proof(&self, claims: &Value) -> Result<Proof, ProofError> {
        Proof::from_id_token(RANDOM, self.statement.to_der(), &self.provider.token(claims))
    }

    fn expected(&self) -> ExpectedSso<'_> {
        ExpectedSso {
            issuer: ISSUER,
            audience: "tapgate",
            classes: &self.classes,
            account: Some(self.registration.account()),
            keys: &self.keys,
            gate: &GATE,
            purpose: Purpose::Session,
            user: &self.registration.user,
            at: at(30),
        }
    }

    /// Verifies a token of which one claim was changed; null takes it away.
    fn with(&self, claim: &str, value: Value) -> Result<VerifiedTap, ProofError> {
        let mut claims = self.claims();
        let members = claims.as_object_mut().unwrap();
        if value.is_null() {
            drop(members.remove(claim));
        } else {
            drop(members.insert(claim.to_owned(), value));
        }
        verify_sso(&self.proof(&claims)?, &self.expected())
    }
}

#[test]
fn a_token_of_every_kind_of_key_proves_the_session() {
    for key in [SoftKey::generate(), SoftKey::generate_eddsa(), SoftKey::generate_rs256()] {
        let world = World::new(key);
        let proof = world.proof(&world.claims()).unwrap();
        let again = Proof::from_der(&proof.to_der().unwrap()).unwrap();
        assert_eq!((again.id(), &again), (proof.id(), &proof));
        let tap = verify_sso(&again, &world.expected()).unwrap();
        assert!(tap.is_sso() && !tap.user_verified());
        assert_eq!(tap.statement(), &world.statement);
        assert_eq!(tap.credential_id(), world.registration.account().as_bytes());
        assert!(proof.to_der().unwrap().len() < 1_500, "{}", proof.to_der().unwrap().len());
    }
}

#[test]
fn the_twin_of_an_ecdsa_signature_is_the_same_proof() {
    // Tokens are signed with either s; whichever it is, the proof has the smaller one.
    let world = World::new(SoftKey::generate());
    for _ in 0..16 {
        let proof = world.proof(&world.claims()).unwrap();
        assert_eq!(crate::signature::one_form(&proof.signature), proof.signature);
    }
}

#[test]
fn another_claim_is_no_proof() {
    let world = World::new(SoftKey::generate());
    let is = |claim: &str, value: Value| world.with(claim, value).map(drop).unwrap_err();
    let early = at(0).as_secs() - 6;
    assert_eq!(is("iss", json!("https://evil.test")), ProofError::Issuer("https://evil.test".to_owned()));
    assert_eq!(is("sub", json!("00u2")), ProofError::Account);
    assert_eq!(is("nonce", json!("AAAA")), ProofError::Challenge);
    assert_eq!(is("nonce", Value::Null), ProofError::Challenge);
    for audience in [json!("other"), json!([]), json!(["tapgate", "other"]), json!(["other"])] {
        assert_eq!(is("aud", audience), ProofError::Audience);
    }
    assert_eq!(is("azp", json!("other")), ProofError::Audience);
    assert_eq!(is("acr", json!("pwd")), ProofError::Class(Some("pwd".to_owned())));
    assert_eq!(is("acr", Value::Null), ProofError::Class(None));
    assert_eq!(is("auth_time", json!(early)), ProofError::NotFresh);
    assert_eq!(is("auth_time", Value::Null), ProofError::NotFresh);
    assert_eq!(is("auth_time", json!(at(120).as_secs())), ProofError::NotFresh);
    assert_eq!(is("iat", json!(at(0).as_secs() - 60)), ProofError::TokenTime);
    assert_eq!(is("exp", json!(at(20).as_secs())), ProofError::TokenTime);
    assert!(matches!(is("exp", json!("soon")), ProofError::Token(_)));
    assert!(matches!(is("sub", json!("")), ProofError::Token(_)));
    // What is not asked about may be there, and times may have fractions.
    world.with("auth_time", json!(at(20).as_secs() - 24)).unwrap();
    world.with("auth_time", serde_json::from_str(&format!("{}.75", at(20).as_secs())).unwrap()).unwrap();
    world.with("aud", json!(["tapgate"])).unwrap();
    world.with("acr", json!("phrh")).unwrap();
    world.with("groups", json!(["dev"])).unwrap();
}

#[test]
fn an_audience_of_several_says_for_whom_it_was_made() {
    let world = World::new(SoftKey::generate());
    let mut claims = world.claims();
    claims["aud"] = json!(["tapgate", "other"]);
    claims["azp"] = json!("tapgate");
    verify_sso(&world.proof(&claims).unwrap(), &world.expected()).unwrap();
}

#[test]
fn another_key_or_header_is_no_proof() {
    let world = World::new(SoftKey::generate());
    let stranger = SoftProvider::new(ISSUER, SoftKey::generate());
    let token = stranger.token(&world.claims());
    let proof = Proof::from_id_token(RANDOM, world.statement.to_der(), &token).unwrap();
    assert_eq!(verify_sso(&proof, &world.expected()).unwrap_err(), ProofError::ProviderSignature);
    let none = ExpectedSso { keys: &[], ..world.expected() };
    let honest = world.proof(&world.claims()).unwrap();
    assert_eq!(verify_sso(&honest, &none).unwrap_err(), ProofError::ProviderSignature);
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "HS256", "kid": "one"}),
        json!({"alg": "ES256", "kid": "one", "crit": ["exp"]}),
        json!({"alg": "ES256", "kid": "one", "typ": "at+jwt"}),
    ] {
        let token = world.provider.sign(&header, &world.claims());
        assert!(Proof::from_id_token(RANDOM, world.statement.to_der(), &token).is_err(), "{header}");
    }
    let renamed = world.provider.sign(&json!({"alg": "ES256", "kid": "two"}), &world.claims());
    let renamed = Proof::from_id_token(RANDOM, world.statement.to_der(), &renamed).unwrap();
    assert_eq!(verify_sso(&renamed, &world.expected()).unwrap_err(), ProofError::ProviderSignature);
    let nameless = world.provider.sign(&json!({"alg": "ES256"}), &world.claims());
    let nameless = Proof::from_id_token(RANDOM, world.statement.to_der(), &nameless).unwrap();
    verify_sso(&nameless, &world.expected()).unwrap();
}

#[test]
fn a_key_that_the_provider_gave_up_signs_nothing_new() {
    let world = World::new(SoftKey::generate());
    let proof = world.proof(&world.claims()).unwrap();
    let long_ago = NOW.minus(PROVIDER_KEY_GRACE * 2);
    let keys = [ProviderKey { last_seen: long_ago, ..world.keys[0].clone() }];
    let expected = ExpectedSso { keys: &keys, ..world.expected() };
    assert_eq!(verify_sso(&proof, &expected).unwrap_err(), ProofError::ProviderSignature);
}

#[test]
fn the_statement_is_judged_like_any_other() {
    let world = World::new(SoftKey::generate());
    let proof = world.proof(&world.claims()).unwrap();
    let refused = |change: &dyn Fn(&mut ExpectedSso<'_>)| {
        let mut expected = world.expected();
        change(&mut expected);
        verify_sso(&proof, &expected).map(drop).unwrap_err()
    };
    assert_eq!(refused(&|e| e.purpose = Purpose::Login), {
        ProofError::Purpose { expected: Purpose::Login, found: Purpose::Session }
    });
    assert_eq!(refused(&|e| e.at = at(301)), ProofError::Expired(at(300)));
    let other = Statement::new(StatementParts { user: user("ann"), ..parts() }).unwrap();
    let swapped = Proof { statement: other.to_der(), ..proof.clone() };
    assert_eq!(verify_sso(&swapped, &world.expected()).unwrap_err(), ProofError::Challenge);
}

#[test]
fn a_providers_proof_is_no_keys_and_the_other_way_round() {
    let world = World::new(SoftKey::generate());
    let sso = world.proof(&world.claims()).unwrap();
    let key = SoftKey::generate();
    assert_eq!(judge(&key, &sso, |_| ()).unwrap_err(), ProofError::AuthenticatorData);
    let tapped = key.tap(&world.statement, RANDOM, &super::rp());
    assert_eq!(verify_sso(&tapped, &world.expected()).unwrap_err(), ProofError::Signer);
}

#[test]
fn a_flipped_bit_anywhere_is_no_proof() {
    let world = World::new(SoftKey::generate_eddsa());
    let der = world.proof(&world.claims()).unwrap().to_der().unwrap();
    for index in 0..der.len() {
        let mut bad = der.clone();
        bad[index] ^= 1;
        if let Ok(proof) = Proof::from_der(&bad) {
            assert!(verify_sso(&proof, &world.expected()).is_err(), "byte {index}");
        }
    }
}

#[test]
fn keys_are_read_from_a_providers_set() {
    let read = |jwk: Value| ProviderKey::from_jwk(&jwk, NOW);
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let good = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "a", "use": "sig", "alg": "EdDSA"});
    assert_eq!(read(good.clone()).unwrap().id.as_deref(), Some("a"));
    for (member, value) in [
        ("use", json!("enc")),
        ("crv", json!("X25519")),
        ("kty", json!("oct")),
        ("alg", json!("ES256")),
        ("x", json!("!")),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        assert!(read(bad).is_err(), "{member}");
    }
    let short = json!({"kty": "RSA", "n": crate::bytes::encode(&[0x81; 128]), "e": "AQAB"});
    assert!(read(short).is_err(), "1024 bits are too few");
}
