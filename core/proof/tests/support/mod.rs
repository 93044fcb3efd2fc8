//! What the tests of both authenticators share: one relying party, one statement, one way to bind a challenge.

use std::error::Error;

use serde_json::Value;
use tapgate_model::{Digest, Kind, Login, TargetRef, TargetUid, UnixTime};
use tapgate_proof::{
    CredentialKey, Expected, Holder, KeyError, KnownParty, Proof, Purpose, RelyingParty, Statement, StatementParts,
    StatementTarget, Uses,
};
use url::Url;
use webauthn_rs::prelude::{
    COSEKey, COSEKeyType, ECDSACurve, EDDSACurve, PasskeyAuthentication, PublicKeyCredential, Webauthn, WebauthnBuilder,
};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) const ORIGIN: &str = "https://tap.example.com";
pub(crate) const GATE: Digest = Digest::from_bytes([7; 32]);
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_180_333);

/// The conversion that a crate with both libraries needs.
pub(crate) fn credential_key(cose: &COSEKey) -> Result<CredentialKey, KeyError> {
    match &cose.key {
        COSEKeyType::EC_EC2(key) if matches!(key.curve, ECDSACurve::SECP256R1) => CredentialKey::es256(&key.x, &key.y),
        COSEKeyType::EC_OKP(key) if matches!(key.curve, EDDSACurve::ED25519) => CredentialKey::eddsa(&key.x),
        COSEKeyType::RSA(key) => CredentialKey::rs256(&key.n, &key.e),
        _ => Err(KeyError::Text),
    }
}

pub(crate) fn proof(random: [u8; 32], statement: &Statement, tap: &PublicKeyCredential) -> Proof {
    Proof {
        random,
        statement: statement.to_der(),
        credential_id: tap.raw_id.clone(),
        authenticator_data: tap.response.authenticator_data.clone(),
        client_data_json: tap.response.client_data_json.clone(),
        signature: tap.response.signature.clone(),
    }
}

/// webauthn-rs picks its challenge itself; only its stored state can be given another.
pub(crate) fn with_challenge(state: &PasskeyAuthentication, challenge: &[u8; 32]) -> Outcome<PasskeyAuthentication> {
    let mut json = serde_json::to_value(state)?;
    let text = challenge.iter().map(|byte| Value::from(*byte)).collect::<Vec<_>>();
    let slot = json.pointer_mut("/ast/challenge").ok_or("the state has no challenge")?;
    *slot = if slot.is_string() { Value::from(base64url(challenge)) } else { Value::from(text) };
    Ok(serde_json::from_value(json)?)
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn webauthn() -> Outcome<Webauthn> {
    Ok(WebauthnBuilder::new("tap.example.com", &Url::parse(ORIGIN)?)?.build()?)
}

pub(crate) fn relying_party() -> KnownParty {
    // Some authenticators write a URL where browsers write an origin; webauthn-rs takes both, we compare exactly.
    let origins = vec![ORIGIN.to_owned(), format!("{ORIGIN}/")];
    KnownParty::from(RelyingParty { id: "tap.example.com".to_owned(), origins })
}

pub(crate) fn statement() -> Outcome<Statement> {
    let target = TargetRef { kind: Kind::Node, name: "prod3".parse()?, uid: TargetUid::from_bytes([3; 16]) };
    let (login, holder) = (Login::Unix("root".parse()?), Holder::SessionKey(Digest::from_bytes([9; 32])));
    Ok(Statement::new(StatementParts {
        gate: GATE,
        purpose: Purpose::Session,
        user: "jerry".parse()?,
        uses: Uses::Window,
        source_ip: None,
        action: None,
        targets: vec![StatementTarget { target, login, holder }],
        created: NOW,
        expires: UnixTime::from_secs(NOW.as_secs() + 300),
    })?)
}

pub(crate) fn expected<'a>(
    key: &'a CredentialKey,
    statement: &'a Statement,
    relying_party: &'a KnownParty,
) -> Expected<'a> {
    let user = &statement.parts().user;
    Expected { key, relying_party, gate: &GATE, purpose: Purpose::Session, user, user_verification: true, at: NOW }
}
