//! Taps by an identity provider: an ID token whose nonce is the challenge signs the statement.
//!
//! Such a proof has the same encoding as any other. No authenticator took part, so its authenticator data
//! is empty; in place of the client's data stands what the provider signed, the token's header and
//! payload; and the credential is the account, by issuer and subject.

mod key;
mod token;

use der::Encode;
use der::Sequence;
use der::asn1::Utf8StringRef;
use tapgate_model::{Digest, UnixTime, UserName};

pub use key::{JwkError, ProviderKey};
pub use token::{Claims, IdToken, TokenError};

use crate::challenge::sha256;
use crate::limits::{AUTH_TIME_SKEW, PROVIDER_SKEW};
use crate::verify::check_statement;
use crate::{Flags, Proof, ProofError, Purpose, VerifiedTap, bytes, signature};

/// Which account of which provider a user is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsoRegistration {
    /// Whose account it is.
    pub user: UserName,
    /// The provider, by the address that it calls itself.
    pub issuer: String,
    /// The account, as the provider numbers it; it never becomes another person's.
    pub subject: String,
    /// When it was first seen.
    pub created: UnixTime,
}

impl SsoRegistration {
    /// What names the account in a proof, `SHA-256("tapgate/sso/v1" ‖ DER)`:
    ///
    /// ```text
    /// Account ::= SEQUENCE { issuer UTF8String, subject UTF8String }
    /// ```
    pub fn account(&self) -> Digest {
        account(&self.issuer, &self.subject)
    }
}

#[derive(Sequence)]
struct Account<'a> {
    issuer: Utf8StringRef<'a>,
    subject: Utf8StringRef<'a>,
}

fn account(issuer: &str, subject: &str) -> Digest {
    let der = Utf8StringRef::new(issuer)
        .and_then(|issuer| Account { issuer, subject: Utf8StringRef::new(subject)? }.to_der());
    // A text too long for DER is refused with the token that it stands in.
    sha256(&[b"tapgate/sso/v1", &der.unwrap_or_default()])
}

/// What a proof by an identity provider must be of.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedSso<'a> {
    /// The provider, compared exactly.
    pub issuer: &'a str,
    /// What the provider calls this gate.
    pub audience: &'a str,
    /// The classes of authentication of which the token must name one; where there are none, any will do.
    pub classes: &'a [String],
    /// The account; `None` at a login, which finds out who it is.
    pub account: Option<Digest>,
    /// The provider's keys, those of the past among them.
    pub keys: &'a [ProviderKey],
    /// The fingerprint of the cluster's key.
    pub gate: &'a Digest,
    /// What the tap must be for.
    pub purpose: Purpose,
    /// Who must have tapped.
    pub user: &'a UserName,
    /// The moment at which the statement must be valid.
    pub at: UnixTime,
}

impl Proof {
    /// The proof that the provider made for the statement, before anybody has verified it.
    pub fn from_id_token(random: [u8; 32], statement: Vec<u8>, token: &str) -> Result<Self, ProofError> {
        let (signed, raw) = token.rsplit_once('.').ok_or(TokenError::Form)?;
        let raw = bytes::decode(raw).ok_or(TokenError::Form)?;
        let token = IdToken::parse(signed.as_bytes())?;
        let claims = token.claims();
        let proof = Self {
            random,
            statement,
            credential_id: account(&claims.issuer, &claims.subject).as_bytes().to_vec(),
            authenticator_data: Vec::new(),
            client_data_json: signed.as_bytes().to_vec(),
            // Tokens write both numbers of an ECDSA signature at full length, a proof writes them as DER.
            signature: match token.algorithm() {
                crate::Algorithm::Es256 => signature::from_fixed(&raw).ok_or(ProofError::Signature)?,
                crate::Algorithm::EdDsa | crate::Algorithm::Rs256 => raw,
            },
        };
        proof.check_sizes()?;
        Ok(proof)
    }

    /// Whether an identity provider signed it, and no key of the user's own.
    pub const fn is_sso(&self) -> bool {
        self.authenticator_data.is_empty()
    }

    /// The ID token in it, read and not yet verified; an error where a key has signed.
    pub fn id_token(&self) -> Result<IdToken, ProofError> {
        if self.is_sso() { Ok(IdToken::parse(&self.client_data_json)?) } else { Err(ProofError::Signer) }
    }
}

/// Verifies a proof that an identity provider signed, with nothing but what is given: by the gate when a session
/// opens, and by an auditor years later. How old the token itself may be when the gate receives it is for the
/// gate to say; what counts here is the statement's time.
pub fn verify_sso(proof: &Proof, expected: &ExpectedSso<'_>) -> Result<VerifiedTap, ProofError> {
    proof.check_sizes()?;
    let token = proof.id_token()?;
    let claims = token.claims();
    check_claims(claims, expected)?;
    let found = account(&claims.issuer, &claims.subject);
    if expected.account.is_some_and(|pinned| pinned != found) || proof.credential_id != found.as_bytes() {
        return Err(ProofError::Account);
    }
    let challenge = crate::challenge(&proof.random, &proof.statement);
    if claims.nonce.as_deref() != Some(&*bytes::encode(&challenge)) {
        return Err(ProofError::Challenge);
    }
    let statement = proof.statement()?;
    check_statement(statement.parts(), expected.gate, expected.purpose, expected.user, expected.at)?;
    check_times(claims, statement.parts().created, statement.parts().expires)?;
    let good = |key: &&ProviderKey| key.may_sign(&token) && key.key.verifies(&proof.client_data_json, &proof.signature);
    if expected.keys.iter().find(good).is_none() {
        return Err(ProofError::ProviderSignature);
    }
    let (credential_id, flags) = (proof.credential_id.clone(), Flags::present());
    Ok(VerifiedTap { statement, credential_id, flags, sign_count: 0, sso: true, touch: false })
}

fn check_claims(claims: &Claims, expected: &ExpectedSso<'_>) -> Result<(), ProofError> {
    if claims.issuer != expected.issuer {
        return Err(ProofError::Issuer(claims.issuer.clone()));
    }
    let others = claims.audience.iter().any(|audience| audience != expected.audience);
    let named = claims.audience.iter().any(|audience| audience == expected.audience);
    let party = claims.authorized_party.as_deref();
    // Where a token is for others too, it must say that it was made for us (OpenID Connect Core 3.1.3.7).
    if !named || (others && party.is_none()) || party.is_some_and(|party| party != expected.audience) {
        return Err(ProofError::Audience);
    }
    let demanded = !expected.classes.is_empty();
    if demanded && !claims.class.as_ref().is_some_and(|class| expected.classes.contains(class)) {
        return Err(ProofError::Class(claims.class.clone()));
    }
    Ok(())
}

/// Somebody signed in after the statement was made, and the token was made before it ended.
fn check_times(claims: &Claims, created: UnixTime, expires: UnixTime) -> Result<(), ProofError> {
    let issued = claims.issued;
    let in_time = issued >= created.minus(PROVIDER_SKEW) && issued <= expires.plus(PROVIDER_SKEW);
    if !in_time || claims.expires <= issued {
        return Err(ProofError::TokenTime);
    }
    let signed_in = claims.authenticated.ok_or(ProofError::NotFresh)?;
    if signed_in < created.minus(AUTH_TIME_SKEW) || signed_in > issued.plus(PROVIDER_SKEW) {
        return Err(ProofError::NotFresh);
    }
    Ok(())
}
