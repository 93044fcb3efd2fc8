//! The proof: a statement with the assertion that signs it.

use der::asn1::OctetStringRef;
use der::{Decode, Encode, Sequence};
use tapgate_model::{Digest, UnixTime, UserName};

use crate::challenge::sha256;
use crate::limits::{
    AUTHENTICATOR_DATA_MAX, CLIENT_DATA_MAX, CREDENTIAL_ID_MAX, ID_TOKEN_MAX, PROOF_MAX, SIGNATURE_MAX, STATEMENT_MAX,
};
use crate::wire::Octets;
use crate::{Purpose, Statement, StatementError, TokenError, bytes, signature};

/// A statement with the assertion that signs it. Holding one says nothing yet: [`crate::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What makes the challenge unguessable.
    #[serde(with = "bytes")]
    pub random: [u8; 32],
    /// The statement's encoding, exactly as it was signed.
    #[serde(with = "bytes")]
    pub statement: Vec<u8>,
    /// The credential that signed; the account's digest where an identity provider did, the key's where an SSH key did.
    #[serde(with = "bytes")]
    pub credential_id: Vec<u8>,
    /// The authenticator's data, exactly as it was signed; empty where an identity provider has signed.
    #[serde(with = "bytes")]
    pub authenticator_data: Vec<u8>,
    /// The client's data, or the ID token's header and payload, exactly as it was signed.
    #[serde(with = "bytes")]
    pub client_data_json: Vec<u8>,
    /// The signature over both.
    #[serde(with = "bytes")]
    pub signature: Vec<u8>,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A part, or the whole, is longer than it may be.
    #[error("{what} takes {length} bytes, more than {max}")]
    TooLong {
        /// Which part, in words.
        what: &'static str,
        /// Its length, in bytes.
        length: usize,
        /// Its limit, in bytes.
        max: usize,
    },
    /// The bytes are not DER of the schema.
    #[error("the proof is not in its schema: {0}")]
    Encoding(#[from] der::Error),
    /// The bytes say something in another way than the one way to say it.
    #[error("the proof is not in its one encoding")]
    NotCanonical,
    /// The schema is of another version.
    #[error("the proof's version is {0}, not 1 (update the older side)")]
    Version(u8),
    /// The statement is none.
    #[error("the proof's statement does not hold: {0}")]
    Statement(#[from] StatementError),
    /// The client's data cannot be read, or says something twice.
    #[error("the tap's client data cannot be read: {0}")]
    ClientData(String),
    /// The client's data is not of an authentication.
    #[error("the tap is not of type webauthn.get")]
    Type,
    /// The assertion signs another statement, or none.
    #[error("the tap does not sign this statement")]
    Challenge,
    /// Another site asked for the tap.
    #[error("the tap was asked for by {0:?}, which is not one of the gate's origins (check rp_id and origins)")]
    Origin(String),
    /// The tap was asked for inside another site's page.
    #[error("the tap was asked for inside another site's page")]
    CrossOrigin,
    /// The authenticator's data cannot be read.
    #[error("the tap's authenticator data cannot be read")]
    AuthenticatorData,
    /// The authenticator signed for another relying party.
    #[error("the tap is for another relying party (check rp_id)")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("nobody touched the authenticator")]
    UserPresence,
    /// The authenticator did not ask for a PIN or fingerprint, where one is due.
    #[error("the authenticator has not verified its user (use one with a PIN or fingerprint)")]
    UserVerification,
    /// The statement is for another gate.
    #[error("the tap is for another gate")]
    Gate,
    /// The statement is for another purpose.
    #[error("the tap is for {found}, not for {expected}")]
    Purpose {
        /// The purpose that is due.
        expected: Purpose,
        /// The purpose in the statement.
        found: Purpose,
    },
    /// The statement is another user's.
    #[error("the tap is by {found}, not by {expected}")]
    User {
        /// The user who is due.
        expected: UserName,
        /// The user in the statement.
        found: UserName,
    },
    /// The statement lies in the future.
    #[error("the tap's statement was made at {0}, which has not come yet (check the clocks)")]
    TooEarly(UnixTime),
    /// The statement has expired.
    #[error("the tap expired at {0} (tap again)")]
    Expired(UnixTime),
    /// The signature is not the credential's.
    #[error("the signature is not by the registered credential")]
    Signature,
    /// An SSH key's touch is of something else.
    #[error("the SSH key's signature {0}")]
    Touch(&'static str),
    /// A key has signed where a provider should have, or the other way round.
    #[error("the tap was not made by an identity provider")]
    Signer,
    /// The ID token cannot be read.
    #[error("the ID token is of no use: {0}")]
    Token(#[from] TokenError),
    /// Another provider made the token.
    #[error("the ID token is by {0:?}, which is not the connector's issuer (compare issuer_url)")]
    Issuer(String),
    /// The token is for another client.
    #[error("the ID token is for another client (compare client_id)")]
    Audience,
    /// The provider did not do what was demanded of it.
    #[error(
        "the provider did not authenticate by a class that was demanded, but by {:?} (it must honour acr)",
        .0.as_deref().unwrap_or("none")
    )]
    Class(Option<String>),
    /// Somebody else signed in at the provider.
    #[error("another account signed in at the identity provider")]
    Account,
    /// The token's own times contradict the statement's, or each other.
    #[error("the ID token was made at another time than the tap was asked for (compare the clocks)")]
    TokenTime,
    /// Nobody signed in for this.
    #[error("the sign-in at the identity provider is older than the request, or has no auth_time")]
    NotFresh,
    /// The signature is by no key that the provider had at that time.
    #[error("the ID token is signed by no key that the provider has")]
    ProviderSignature,
}

/// ```text
/// Proof ::= SEQUENCE {
///     version            INTEGER (1),
///     random             OCTET STRING (SIZE (32)),
///     statement          OCTET STRING,     -- DER Statement
///     credentialId       OCTET STRING,
///     authenticatorData  OCTET STRING,
///     clientDataJson     OCTET STRING,
///     signature          OCTET STRING }    -- ECDSA: DER, with the smaller s
/// ```
#[derive(Sequence)]
struct WireProof<'a> {
    version: u8,
    random: Octets<32>,
    statement: &'a OctetStringRef,
    credential_id: &'a OctetStringRef,
    authenticator_data: &'a OctetStringRef,
    client_data_json: &'a OctetStringRef,
    signature: &'a OctetStringRef,
}

const VERSION: u8 = 1;

impl Proof {
    /// Its one encoding, of at most [`PROOF_MAX`] bytes.
    pub fn to_der(&self) -> Result<Vec<u8>, ProofError> {
        self.check_sizes()?;
        Ok(self.encode()?)
    }

    /// The proof with exactly this encoding; whatever would be written otherwise is refused.
    pub fn from_der(der: &[u8]) -> Result<Self, ProofError> {
        check_size("the proof", der, PROOF_MAX)?;
        let wire = WireProof::from_der(der)?;
        if wire.version != VERSION {
            return Err(ProofError::Version(wire.version));
        }
        let proof = Self {
            random: wire.random.0,
            statement: wire.statement.as_bytes().to_owned(),
            credential_id: wire.credential_id.as_bytes().to_owned(),
            authenticator_data: wire.authenticator_data.as_bytes().to_owned(),
            client_data_json: wire.client_data_json.as_bytes().to_owned(),
            signature: wire.signature.as_bytes().to_owned(),
        };
        if proof.to_der()? == der { Ok(proof) } else { Err(ProofError::NotCanonical) }
    }

    /// Its id: the SHA-256 of its encoding. The two forms that an ECDSA signature has give one id,
    /// and so does everything too large to be encoded, none of which verifies.
    pub fn id(&self) -> Digest {
        sha256(&[&self.encode().unwrap_or_default()])
    }

    /// The statement, not yet verified.
    pub fn statement(&self) -> Result<Statement, StatementError> {
        Statement::from_der(&self.statement)
    }

    /// Each part is within its limit; the limits add up to less than [`PROOF_MAX`].
    pub(crate) fn check_sizes(&self) -> Result<(), ProofError> {
        check_size("the statement", &self.statement, STATEMENT_MAX)?;
        check_size("the credential id", &self.credential_id, CREDENTIAL_ID_MAX)?;
        check_size("the authenticator data", &self.authenticator_data, AUTHENTICATOR_DATA_MAX)?;
        if self.is_sso() {
            check_size("the ID token", &self.client_data_json, ID_TOKEN_MAX)?;
        } else {
            check_size("the client data", &self.client_data_json, CLIENT_DATA_MAX)?;
        }
        check_size("the signature", &self.signature, SIGNATURE_MAX)
    }

    fn encode(&self) -> Result<Vec<u8>, der::Error> {
        let signature = signature::one_form(&self.signature);
        let wire = WireProof {
            version: VERSION,
            random: Octets(self.random),
            statement: OctetStringRef::new(&self.statement)?,
            credential_id: OctetStringRef::new(&self.credential_id)?,
            authenticator_data: OctetStringRef::new(&self.authenticator_data)?,
            client_data_json: OctetStringRef::new(&self.client_data_json)?,
            signature: OctetStringRef::new(&signature)?,
        };
        wire.to_der()
    }
}

fn check_size(what: &'static str, bytes: &[u8], max: usize) -> Result<(), ProofError> {
    let length = bytes.len();
    if length <= max { Ok(()) } else { Err(ProofError::TooLong { what, length, max }) }
}
