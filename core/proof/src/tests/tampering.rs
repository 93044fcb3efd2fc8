//! One honest tap, and every way of bending it.

use tapgate_model::{Digest, UnixTime};

use super::{NOW, RANDOM, at, judge, parts, rp, user};
use crate::testing::{Gesture, SoftKey};
use crate::{Proof, ProofError, Purpose, RelyingParty, Statement, limits};

fn honest(key: &SoftKey) -> Proof {
    key.tap(&Statement::new(parts()).unwrap(), RANDOM, &rp())
}

fn refused(key: &SoftKey, proof: &Proof) -> ProofError {
    judge(key, proof, |_| ()).expect_err("this proof must be refused")
}

#[test]
fn an_honest_tap_verifies_with_every_algorithm() {
    for key in [SoftKey::generate(), SoftKey::generate_eddsa(), SoftKey::generate_rs256()] {
        let proof = honest(&key);
        let tap = judge(&key, &proof, |_| ()).unwrap();
        assert_eq!(tap.statement().parts(), &parts());
        assert_eq!(tap.credential_id(), key.credential_id());
        assert!(tap.user_verified() && tap.flags().user_present() && !tap.flags().backed_up());
        assert_eq!((tap.sign_count(), tap.flags().bits()), (0, 0b101));
        let read = Proof::from_der(&proof.to_der().unwrap()).unwrap();
        assert_eq!(read, proof);
        assert!(judge(&key, &read, |_| ()).is_ok());
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let key = SoftKey::generate();
    let proof = honest(&key);
    let fields: [fn(&mut Proof) -> &mut [u8]; 5] = [
        |proof| &mut proof.statement,
        |proof| &mut proof.random,
        |proof| &mut proof.authenticator_data,
        |proof| &mut proof.client_data_json,
        |proof| &mut proof.signature,
    ];
    for (n, field) in fields.iter().enumerate() {
        for byte in 0..field(&mut proof.clone()).len() {
            for bit in 0..8 {
                let mut bent = proof.clone();
                field(&mut bent)[byte] ^= 1 << bit;
                let error = refused(&key, &bent);
                assert!(n > 1 || error == ProofError::Challenge, "field {n}, byte {byte}: {error}");
            }
        }
    }
}

#[test]
fn every_truncated_or_lengthened_part_is_refused() {
    let key = SoftKey::generate();
    let proof = honest(&key);
    let fields: [fn(&mut Proof) -> &mut Vec<u8>; 4] = [
        |proof| &mut proof.statement,
        |proof| &mut proof.authenticator_data,
        |proof| &mut proof.client_data_json,
        |proof| &mut proof.signature,
    ];
    for field in fields {
        for length in 0..field(&mut proof.clone()).len() {
            let mut bent = proof.clone();
            field(&mut bent).truncate(length);
            refused(&key, &bent);
        }
        for tail in [&b"\0"[..], b" ", b"{}"] {
            let mut bent = proof.clone();
            field(&mut bent).extend_from_slice(tail);
            refused(&key, &bent);
        }
    }
}

#[test]
fn oversized_parts_are_refused_before_anything_else() {
    type Field = fn(&mut Proof) -> &mut Vec<u8>;
    let key = SoftKey::generate();
    let cases: [(Field, usize, &str); 5] = [
        (|proof| &mut proof.statement, limits::STATEMENT_MAX, "the statement"),
        (|proof| &mut proof.credential_id, limits::CREDENTIAL_ID_MAX, "the credential id"),
        (|proof| &mut proof.authenticator_data, limits::AUTHENTICATOR_DATA_MAX, "the authenticator data"),
        (|proof| &mut proof.client_data_json, limits::CLIENT_DATA_MAX, "the client data"),
        (|proof| &mut proof.signature, limits::SIGNATURE_MAX, "the signature"),
    ];
    for (field, max, what) in cases {
        let mut bent = honest(&key);
        field(&mut bent).resize(max + 1, 0);
        let error = ProofError::TooLong { what, length: max + 1, max };
        assert_eq!(refused(&key, &bent), error);
        assert_eq!(bent.to_der(), Err(error));
    }
}

#[test]
fn a_tap_for_something_else_is_refused() {
    let key = SoftKey::generate();
    let proof = honest(&key);
    let (gate, ann) = (Digest::from_bytes([6; 32]), user("ann"));
    let refused = |change: fn(&mut crate::Expected<'_>)| judge(&key, &proof, change).expect_err("refused");
    assert_eq!(judge(&key, &proof, |e| e.gate = &gate).err(), Some(ProofError::Gate));
    assert_eq!(
        judge(&key, &proof, |e| e.user = &ann).err(),
        Some(ProofError::User { expected: user("ann"), found: user("jerry") })
    );
    for expected in [Purpose::Login, Purpose::Admin, Purpose::AddDevice, Purpose::Statement] {
        let error = judge(&key, &proof, |e| e.purpose = expected).err();
        assert_eq!(error, Some(ProofError::Purpose { expected, found: Purpose::Session }));
    }
    assert_eq!(refused(|e| e.at = UnixTime::from_secs(NOW.as_secs() - 31)), ProofError::TooEarly(NOW));
    assert_eq!(refused(|e| e.at = UnixTime::from_secs(0)), ProofError::TooEarly(NOW));
    assert_eq!(refused(|e| e.at = at(301)), ProofError::Expired(at(300)));
    for moment in [UnixTime::from_secs(NOW.as_secs() - 30), NOW, at(300)] {
        assert!(judge(&key, &proof, |e| e.at = moment).is_ok(), "{moment}");
    }
}

#[test]
fn another_key_or_algorithm_is_refused() {
    let keys = [SoftKey::generate(), SoftKey::generate(), SoftKey::generate_eddsa(), SoftKey::generate_rs256()];
    for signer in &keys {
        let proof = honest(signer);
        for other in keys.iter().filter(|other| other.key() != signer.key()) {
            assert_eq!(refused(other, &proof), ProofError::Signature);
        }
    }
}

#[test]
fn another_page_or_gesture_is_refused() {
    type Change = fn(&mut Gesture);
    let key = SoftKey::generate();
    let statement = Statement::new(parts()).unwrap();
    let bent = |change: &dyn Fn(&mut Gesture)| {
        let mut gesture = Gesture::at(&rp());
        change(&mut gesture);
        key.tap_as(&statement, RANDOM, &gesture)
    };
    for origin in [
        "https://app.example.com",
        "https://tap.example.com.evil.test",
        "https://tap.example.com/",
        "https://TAP.example.com",
        "https://tap.example.com:443",
        "http://tap.example.com",
        "null",
        "",
    ] {
        let proof = bent(&|gesture| origin.clone_into(&mut gesture.origin));
        assert_eq!(refused(&key, &proof), ProofError::Origin(origin.to_owned()));
    }
    let second = bent(&|gesture| rp().origins[1].clone_into(&mut gesture.origin));
    assert!(judge(&key, &second, |_| ()).is_ok());
    let cases: [(Change, ProofError); 8] = [
        (|g| g.cross_origin = true, ProofError::CrossOrigin),
        (|g| "webauthn.create".clone_into(&mut g.kind), ProofError::Type),
        (|g| "example.com".clone_into(&mut g.rp_id), ProofError::RelyingParty),
        (|g| g.flags = 0b100, ProofError::UserPresence),
        (|g| g.flags = 0b000, ProofError::UserPresence),
        (|g| g.flags = 0b001, ProofError::UserVerification),
        (|g| g.flags = 0b0100_0101, ProofError::AuthenticatorData),
        (|g| g.flags = 0b1000_0101, ProofError::AuthenticatorData),
    ];
    for (n, (change, error)) in cases.into_iter().enumerate() {
        assert_eq!(refused(&key, &bent(&change)), error, "case {n}");
    }
    let untouched = bent(&|gesture| gesture.flags = 0b001);
    assert!(judge(&key, &untouched, |e| e.user_verification = false).is_ok_and(|tap| !tap.user_verified()));
    let counted = bent(&|gesture| (gesture.sign_count, gesture.flags) = (77, 0b1_1101));
    let tap = judge(&key, &counted, |_| ()).unwrap();
    assert!(tap.sign_count() == 77 && tap.flags().backup_eligible() && tap.flags().backed_up());
}

#[test]
fn extensions_of_an_authenticator_are_signed_and_let_pass() {
    let key = SoftKey::generate();
    let statement = Statement::new(parts()).unwrap();
    let gesture = Gesture { flags: 0b1000_0101, ..Gesture::at(&rp()) };
    let data = [gesture.authenticator_data(), b"\xa1\x63abc\xf5".to_vec()].concat();
    let json = gesture.client_data(&statement.challenge(&RANDOM)).into_bytes();
    let proof = key.assert(statement.to_der(), RANDOM, data, json);
    assert!(judge(&key, &proof, |_| ()).is_ok());
}

/// Each of these is signed as it stands: what refuses it is the reading alone.
#[test]
fn client_data_is_read_strictly() {
    let key = SoftKey::generate();
    let statement = Statement::new(parts()).unwrap();
    let gesture = Gesture::at(&rp());
    let honest = gesture.client_data(&statement.challenge(&RANDOM));
    let other = gesture.client_data(&statement.challenge(&[6; 32]));
    let text = crate::bytes::encode(&statement.challenge(&RANDOM));
    let judge = |json: &str| {
        let data = gesture.authenticator_data();
        let proof = key.assert(statement.to_der(), RANDOM, data, json.as_bytes().to_vec());
        judge(&key, &proof, |_| ()).err()
    };
    let with = |member: &str| honest.replace('}', &format!(",{member}}}"));
    assert_eq!(judge(&honest), None);
    assert_eq!(judge(&honest.replace(r#","crossOrigin":false"#, "")), None);
    assert_eq!(judge(&with(r#""other_keys_can_be_added_here":"do not compare this with a template""#)), None);
    assert_eq!(judge(&with(r#""later":{"type":"webauthn.create","a":[1,null]}"#)), None);
    assert_eq!(judge(&other), Some(ProofError::Challenge));
    assert_eq!(judge(&honest.replace(&text, &format!("{text}="))), Some(ProofError::Challenge));
    assert_eq!(judge(&honest.replace(&text, "")), Some(ProofError::Challenge));
    assert_eq!(judge(&with(r#""topOrigin":"https://evil.test""#)), Some(ProofError::CrossOrigin));
    let array = format!(r#"["webauthn.get","{text}","https://tap.example.com",false]"#);
    for unreadable in [
        with(r#""type":"webauthn.get""#),
        with(&format!(r#""challenge":"{text}""#)),
        with(r#""origin":"https://tap.example.com""#),
        with(r#""crossOrigin":false"#),
        with(r#""\u0074ype":"webauthn.get""#),
        honest.replace("false", "null"),
        honest.replace("false", "\"false\""),
        honest.replace("false", "0"),
        honest.replace(r#""type":"webauthn.get","#, ""),
        honest.replace(r#""https://tap.example.com""#, "null"),
        honest.replace('}', ",}"),
        format!("{honest}{honest}"),
        format!(" {honest}"),
        format!("\u{feff}{honest}"),
        format!("[{honest}]"),
        array,
        "{}".to_owned(),
        String::new(),
        "{".repeat(4000),
    ] {
        assert!(matches!(judge(&unreadable), Some(ProofError::ClientData(_))), "{unreadable}");
    }
}

#[test]
fn a_relying_party_without_origins_accepts_nothing() {
    let key = SoftKey::generate();
    let nowhere = RelyingParty { origins: Vec::new(), ..rp() }.into();
    let error = judge(&key, &honest(&key), |e| e.relying_party = &nowhere).err();
    assert_eq!(error, Some(ProofError::Origin("https://tap.example.com".to_owned())));
}

/// Whoever sees an ECDSA signature can write its twin. Both verify, and both are the same spent proof.
#[test]
fn the_twin_of_a_signature_is_no_second_proof() {
    let key = SoftKey::generate();
    let proof = honest(&key);
    let twin = Proof { signature: super::encoding::twin(&proof.signature), ..proof.clone() };
    assert_ne!(twin, proof);
    assert!(judge(&key, &twin, |_| ()).is_ok());
    assert_eq!(twin.id(), proof.id());
    assert_eq!(twin.to_der(), proof.to_der());
}
