//! Verifying a tap: the cheap questions first, then one signature.

use tapgate_model::{Digest, UnixTime, UserName};

use crate::authenticator_data::AuthenticatorData;
use crate::challenge::sha256;
use crate::limits::{AUTHENTICATOR_DATA_MAX, CLOCK_SKEW};
use crate::{CredentialKey, Flags, KnownParty, Proof, ProofError, Purpose, Statement, StatementParts, client_data};

/// What a proof must be of.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The key of the registration that the proof's credential id names.
    pub key: &'a CredentialKey,
    /// Who asked for the tap.
    pub relying_party: &'a KnownParty,
    /// The fingerprint of the cluster's key.
    pub gate: &'a Digest,
    /// What the tap must be for.
    pub purpose: Purpose,
    /// Who must have tapped.
    pub user: &'a UserName,
    /// Whether the authenticator must have verified its user.
    pub user_verification: bool,
    /// The moment at which the statement must be valid.
    pub at: UnixTime,
}

/// A tap that was verified. [`verify`], [`crate::verify_sso`] and [`crate::verify_touch`] alone make one:
///
/// ```compile_fail,E0451
/// fn forge(statement: tapgate_proof::Statement) -> tapgate_proof::VerifiedTap {
///     tapgate_proof::VerifiedTap { statement, ..todo!() }
/// }
/// ```
#[derive(Debug)]
pub struct VerifiedTap {
    pub(crate) statement: Statement,
    pub(crate) credential_id: Vec<u8>,
    pub(crate) flags: Flags,
    pub(crate) sign_count: u32,
    pub(crate) sso: bool,
    pub(crate) touch: bool,
}

impl VerifiedTap {
    /// What was signed.
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Whether an identity provider signed it, and no key of the user's own.
    pub const fn is_sso(&self) -> bool {
        self.sso
    }

    /// Whether an SSH key's touch at login signed it.
    pub const fn is_touch(&self) -> bool {
        self.touch
    }

    /// The credential that signed it; the account's digest where an identity provider did.
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// Whether the authenticator verified its user, by a PIN or a fingerprint.
    pub const fn user_verified(&self) -> bool {
        self.flags.user_verified()
    }

    /// The authenticator's flags.
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// The authenticator's signature counter; comparing it with the last one is the authority's matter.
    pub const fn sign_count(&self) -> u32 {
        self.sign_count
    }
}

/// Verifies a proof. That the connection or key presented *is* the statement's holder, and that a proof for one
/// use is not spent, is for the caller to check.
pub fn verify(proof: &Proof, expected: &Expected<'_>) -> Result<VerifiedTap, ProofError> {
    proof.check_sizes()?;
    let authenticator = AuthenticatorData::parse(&proof.authenticator_data)?;
    if authenticator.relying_party_digest != expected.relying_party.id_sha256().as_bytes() {
        return Err(ProofError::RelyingParty);
    }
    if !authenticator.flags.user_present() {
        return Err(ProofError::UserPresence);
    }
    if expected.user_verification && !authenticator.flags.user_verified() {
        return Err(ProofError::UserVerification);
    }
    let challenge = crate::challenge(&proof.random, &proof.statement);
    client_data::check(&proof.client_data_json, &challenge, expected.relying_party)?;
    let statement = proof.statement()?;
    check_statement(statement.parts(), expected.gate, expected.purpose, expected.user, expected.at)?;
    check_signature(proof, expected.key)?;
    Ok(VerifiedTap {
        statement,
        credential_id: proof.credential_id.clone(),
        flags: authenticator.flags,
        sign_count: authenticator.sign_count,
        sso: false,
        touch: false,
    })
}

pub(crate) fn check_statement(
    parts: &StatementParts,
    gate: &Digest,
    purpose: Purpose,
    user: &UserName,
    at: UnixTime,
) -> Result<(), ProofError> {
    if parts.gate != *gate {
        return Err(ProofError::Gate);
    }
    if parts.purpose != purpose {
        return Err(ProofError::Purpose { expected: purpose, found: parts.purpose });
    }
    if parts.user != *user {
        return Err(ProofError::User { expected: user.clone(), found: parts.user.clone() });
    }
    if at < parts.created.minus(CLOCK_SKEW) {
        return Err(ProofError::TooEarly(parts.created));
    }
    if at > parts.expires {
        return Err(ProofError::Expired(parts.expires));
    }
    Ok(())
}

/// The authenticator signs its data followed by the digest of the client's.
pub(crate) fn check_signature(proof: &Proof, key: &CredentialKey) -> Result<(), ProofError> {
    let mut message = [0; AUTHENTICATOR_DATA_MAX + 32];
    let length = proof.authenticator_data.len();
    // INVARIANT: `check_sizes` came before, so that the data fits.
    let message = message.get_mut(..length + 32).ok_or(ProofError::AuthenticatorData)?;
    let (data, digest) = message.split_at_mut(length);
    data.copy_from_slice(&proof.authenticator_data);
    digest.copy_from_slice(sha256(&[&proof.client_data_json]).as_bytes());
    if key.verifies(message, &proof.signature) { Ok(()) } else { Err(ProofError::Signature) }
}
