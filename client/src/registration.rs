//! A new key's own words: who it is, read from its answer, so that no gate can put another in its place.

use serde_cbor_2::Value;
use tapgate_api::AttestedTerms;
use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::{Attested, CredentialKey, Link, Registration, Traits};
use webauthn_rs_proto::RegisterPublicKeyCredential;

use crate::error::{Act as _, Failure, Result};
use crate::keys::from_base64;

/// The digest that a tap must vouch for, of the key that has just answered for this user.
pub fn digest(user: &UserName, answer: &RegisterPublicKeyCredential, traits: &Traits) -> Result<Digest> {
    let (credential_id, key) = credential(&answer.response.attestation_object)?;
    if credential_id != answer.raw_id {
        return Err(unreadable("it names two credentials"));
    }
    let (name, created, link, traits) = (String::new(), UnixTime::from_secs(0), Link::Pinned, traits.clone());
    // Name, time and link are no part of the digest.
    Ok(Registration { user: user.clone(), credential_id, key, name, created, link, traits }.digest())
}

/// What the gate says of the key's maker, if it is of the model that the key itself says.
pub fn attested(answer: &RegisterPublicKeyCredential, terms: &AttestedTerms) -> Result<Attested> {
    let own = authenticator_data(&answer.response.attestation_object)?;
    let own = own.get(37..53).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let said = <[u8; 16]>::try_from(from_base64(&terms.aaguid)?).ok();
    // Keys older than the models' numbers have none, and the gate says so.
    let aaguid = said.filter(|said| own == Some(*said) || *said == [0; 16]);
    let aaguid = aaguid.ok_or_else(|| unreadable("the gate calls it another model"))?;
    let ca_sha256 = terms.ca_sha256.parse().act(|| "the gate names no authority".to_owned())?;
    Ok(Attested { aaguid, ca_sha256 })
}

/// The authenticator's data within an attestation object.
fn authenticator_data(attestation: &[u8]) -> Result<Vec<u8>> {
    let object: Value =
        serde_cbor_2::from_slice(attestation).act(|| "the new key's answer cannot be read".to_owned())?;
    let Value::Map(mut object) = object else { return Err(unreadable("it is no map")) };
    match object.remove(&Value::Text("authData".to_owned())) {
        Some(Value::Bytes(data)) => Ok(data),
        _ => Err(unreadable("it has no data")),
    }
}

/// The credential's id and public key, out of an attestation object (`WebAuthn` level 2, section 6.5).
fn credential(attestation: &[u8]) -> Result<(Vec<u8>, CredentialKey)> {
    let data = authenticator_data(attestation)?;
    // 32 bytes of the relying party, flags, a count of 4, the model's 16, and the length of the id.
    let short = || unreadable("its data is too short");
    let length = data.get(53..55).and_then(|two| <[u8; 2]>::try_from(two).ok()).ok_or_else(short)?;
    let end = 55 + usize::from(u16::from_be_bytes(length));
    let (id, rest) = (data.get(55..end).ok_or_else(short)?, data.get(end..).ok_or_else(short)?);
    // Extensions may follow the key.
    let key = serde_cbor_2::Deserializer::from_slice(rest).into_iter::<Value>().next();
    let Some(Ok(Value::Map(key))) = key else { return Err(unreadable("its public key cannot be read")) };
    let label = |label: i128| key.get(&Value::Integer(label));
    let bytes = |n: i128| match label(n) {
        Some(Value::Bytes(bytes)) => Ok(bytes.as_slice()),
        _ => Err(unreadable("its public key is not whole")),
    };
    // COSE (RFC 9053): the algorithm stands under 3, curve and coordinates, or modulus and exponent, below 0.
    let key = match (label(3), label(-1)) {
        (Some(Value::Integer(-7)), Some(Value::Integer(1))) => CredentialKey::es256(bytes(-2)?, bytes(-3)?),
        (Some(Value::Integer(-8)), Some(Value::Integer(6))) => CredentialKey::eddsa(bytes(-2)?),
        (Some(Value::Integer(-257)), _) => CredentialKey::rs256(bytes(-1)?, bytes(-2)?),
        _ => return Err(unreadable("this kind of key is not supported")),
    };
    Ok((id.to_vec(), key.act(|| "the new key's public key is none".to_owned())?))
}

fn unreadable(what: &str) -> Failure {
    Failure::new(format!("the new key's answer cannot be used: {what}")).advise("try another key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(attestation: &[u8], id: &[u8]) -> RegisterPublicKeyCredential {
        let text = crate::keys::to_base64;
        let value = serde_json::json!({
            "id": text(id), "rawId": text(id), "type": "public-key", "extensions": {},
            "response": {"attestationObject": text(attestation), "clientDataJSON": ""}
        });
        serde_json::from_value(value).unwrap()
    }

    fn attestation(id: &[u8], key: &Value) -> Vec<u8> {
        let mut data = vec![0; 53];
        data.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        data.extend(id);
        data.extend(serde_cbor_2::to_vec(key).unwrap());
        // An extension.
        data.push(0xa0);
        let object = [(Value::Text("authData".to_owned()), Value::Bytes(data))];
        serde_cbor_2::to_vec(&Value::Map(object.into())).unwrap()
    }

    fn ed25519(x: &[u8]) -> Value {
        let number = Value::Integer;
        let key = [(number(1), number(1)), (number(3), number(-8)), (number(-1), number(6))];
        Value::Map(key.into_iter().chain([(number(-2), Value::Bytes(x.to_vec()))]).collect())
    }

    #[test]
    fn the_digest_is_the_registrations_own() {
        let user: UserName = "jerry".parse().unwrap();
        let x = [7; 32];
        let digest_of = |id: &[u8]| {
            let (credential_id, key) = (id.to_vec(), CredentialKey::eddsa(&x).unwrap());
            let (name, created, link) = ("any".to_owned(), UnixTime::from_secs(9), Link::Pinned);
            let traits = Traits::default();
            Registration { user: user.clone(), credential_id, key, name, created, link, traits }.digest()
        };
        let answer = answer(&attestation(b"id", &ed25519(&x)), b"id");
        assert_eq!(digest(&user, &answer, &Traits::default()).unwrap(), digest_of(b"id"));
        assert_ne!(digest(&"ann".parse().unwrap(), &answer, &Traits::default()).unwrap(), digest_of(b"id"));
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let user: UserName = "jerry".parse().unwrap();
        let whole = attestation(b"id", &ed25519(&[7; 32]));
        assert!(digest(&user, &answer(&whole, b"other"), &Traits::default()).is_err(), "another id");
        assert!(digest(&user, &answer(&attestation(b"id", &Value::Null), b"id"), &Traits::default()).is_err());
        for length in 0..whole.len() - 1 {
            assert!(digest(&user, &answer(&whole[..length], b"id"), &Traits::default()).is_err(), "{length}");
        }
    }
}
