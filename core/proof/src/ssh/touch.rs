//! A touch: what an `sk-` key signed when its user logged in, and what that proves.

use tapgate_model::{Digest, Login, UnixTime, UserName};

use super::message::Message;
use super::wire::Wire;
use super::{SshKey, SshKeyError};
use crate::authenticator_data::AuthenticatorData;
use crate::challenge::sha256;
use crate::limits::CLIENT_DATA_MAX;
use crate::verify::{check_signature, check_statement};
use crate::{Holder, Proof, ProofError, Purpose, Statement, StatementParts, Uses, VerifiedTap, signature};

/// What an `sk-` key signed to log in by SSH. That it did is for [`verify_touch`] to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshTouch {
    key: SshKey,
    /// The application's digest, flags and counter.
    authenticator_data: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
    gate_name: String,
}

/// Why a signature at the SSH door is no touch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TouchError {
    /// The key can't be read.
    #[error(transparent)]
    Key(#[from] SshKeyError),
    /// No security key has made it.
    #[error("the key is none that can be touched")]
    NoSk,
    /// The signature, or what was signed, has another form.
    #[error("the key's signature can't be read")]
    Form,
}

/// What a touch must be of.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedTouch<'a> {
    /// The registered key.
    pub key: &'a SshKey,
    /// What the gate calls itself behind a target's name.
    pub gate_name: &'a str,
    /// The fingerprint of the cluster's key.
    pub gate: &'a Digest,
    /// Whose key it is.
    pub user: &'a UserName,
    /// Whether the key must have verified its user.
    pub user_verification: bool,
    /// The moment at which the statement must be valid.
    pub at: UnixTime,
}

impl SshTouch {
    /// What was signed in this connection, under this user name, by the key in this blob: with flags and counter
    /// behind the signature, as SSH has it.
    pub fn new(
        session_id: &[u8],
        user: &str,
        blob: &[u8],
        signature: &[u8],
        gate_name: &str,
    ) -> Result<Self, TouchError> {
        let key = SshKey::presented(blob)?;
        let application = key.application().ok_or(TouchError::NoSk)?;
        let message = Message { session_id, user, blob }.write().ok_or(TouchError::Form)?;
        if message.len() > CLIENT_DATA_MAX {
            return Err(TouchError::Form);
        }
        let (signature, state) = signature.split_last_chunk::<5>().ok_or(TouchError::Form)?;
        let authenticator_data = [sha256(&[application.as_bytes()]).as_bytes().as_slice(), state].concat();
        let signature = match key.key().algorithm() {
            crate::Algorithm::Es256 => ecdsa(signature).ok_or(TouchError::Form)?,
            crate::Algorithm::EdDsa | crate::Algorithm::Rs256 => signature.to_vec(),
        };
        Ok(Self { key, authenticator_data, message, signature, gate_name: gate_name.to_owned() })
    }

    /// The key that signed.
    pub const fn key(&self) -> &SshKey {
        &self.key
    }

    /// What the gate calls itself.
    pub fn gate_name(&self) -> &str {
        &self.gate_name
    }

    /// Whether somebody touched the key, as it says itself.
    pub fn user_present(&self) -> bool {
        AuthenticatorData::parse(&self.authenticator_data).is_ok_and(|data| data.flags.user_present())
    }

    /// The proof for a statement that says what was signed.
    pub fn proof(&self, statement: &Statement) -> Proof {
        Proof {
            random: [0; 32],
            statement: statement.to_der(),
            credential_id: self.key.id().as_bytes().to_vec(),
            authenticator_data: self.authenticator_data.clone(),
            client_data_json: self.message.clone(),
            signature: self.signature.clone(),
        }
    }
}

/// An ECDSA signature as SSH writes it, two numbers, in DER.
fn ecdsa(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut wire = Wire(bytes);
    let (r, s) = (wire.number()?, wire.number()?);
    wire.end()?;
    signature::from_numbers(r, s)
}

impl Proof {
    /// Whether an SSH key made it when it logged in: what was signed begins with the length of the connection's name,
    /// where a page's data is JSON.
    pub fn is_touch(&self) -> bool {
        !self.is_sso() && self.client_data_json.first() == Some(&0)
    }
}

/// Verifies a touch: that this user's key was touched to log in over the connection that the statement names, under the
/// login and to the node that it names. When the statement was made is the gate's word: SSH signs no time.
pub fn verify_touch(proof: &Proof, expected: &ExpectedTouch<'_>) -> Result<VerifiedTap, ProofError> {
    proof.check_sizes()?;
    let no = |why| Err(ProofError::Touch(why));
    let Some(application) = expected.key.application() else { return no("is of a key that can't be touched") };
    let authenticator = AuthenticatorData::parse(&proof.authenticator_data)?;
    if proof.authenticator_data.len() != 37 || proof.random != [0; 32] {
        return no("has another form");
    }
    if authenticator.relying_party_digest != sha256(&[application.as_bytes()]).as_bytes() {
        return no("is for another application");
    }
    if !authenticator.flags.user_present() {
        return Err(ProofError::UserPresence);
    }
    if expected.user_verification && !authenticator.flags.user_verified() {
        return Err(ProofError::UserVerification);
    }
    let Some(message) = Message::parse(&proof.client_data_json) else { return no("is over no login by SSH") };
    let same = SshKey::presented(message.blob).is_ok_and(|key| key == *expected.key);
    if !same || proof.credential_id != expected.key.id().as_bytes() {
        return no("is by another key");
    }
    let statement = proof.statement()?;
    check_statement(statement.parts(), expected.gate, Purpose::Session, expected.user, expected.at)?;
    check_said(statement.parts(), &message, expected.gate_name)?;
    check_signature(proof, expected.key.key())?;
    Ok(VerifiedTap {
        statement,
        credential_id: proof.credential_id.clone(),
        flags: authenticator.flags,
        sign_count: authenticator.sign_count,
        sso: false,
        touch: true,
    })
}

/// The statement says what was signed, and no more: one node, one login, once, over this connection.
fn check_said(parts: &StatementParts, message: &Message<'_>, gate_name: &str) -> Result<(), ProofError> {
    let [entry] = parts.targets.as_slice() else { return Err(ProofError::Touch("opens one session")) };
    let Login::Unix(login) = &entry.login else { return Err(ProofError::Touch("opens a node")) };
    if parts.uses != Uses::Once || entry.holder != Holder::SshSession(sha256(&[message.session_id])) {
        return Err(ProofError::Touch("was made over another connection"));
    }
    let named = format!("{login}@{}", entry.target.name);
    let behind = message.user.strip_prefix(&named).map(|rest| rest.strip_prefix('@'));
    match behind {
        Some(Some(gate)) if gate == gate_name => Ok(()),
        // The gate reads its own name at the end as no target.
        Some(None) if message.user == named && reads_so(&named, gate_name) => Ok(()),
        _ => Err(ProofError::Touch("names another login or node (use `ssh login@node@gate`)")),
    }
}

/// Whether a name without the gate's behind it is not read as one with it.
fn reads_so(name: &str, gate_name: &str) -> bool {
    name.rsplit_once('@').is_some_and(|(login, target)| target != gate_name || !login.contains('@'))
}
