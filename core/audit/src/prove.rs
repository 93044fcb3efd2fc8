//! Proves recorded taps with public keys alone: that this person tapped, with this device, for this session.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::{
    Expected, ExpectedSso, ExpectedTouch, KnownParty, Proof, ProofError, ProviderKey, Purpose, SsoRegistration,
    Statement, StatementParts, Uses, VerifiedTap, verify, verify_chain, verify_ssh_keys, verify_sso, verify_touch,
};

use crate::limits::RECORD_LAG_MAX;
use crate::{AuditConnector, AuditKey, AuditKeys, AuditSshKey, Life, SessionFacts, TapRecord, Text};

/// How long one tap may open sessions; the gate's own window is never longer.
const WINDOW_MAX: Duration = Duration::from_mins(5);

/// What a proven tap was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A device of the user's.
    WebAuthn,
    /// The identity provider.
    Sso,
    /// An `sk-` SSH key, at login.
    SshSk,
}

impl Method {
    /// The word for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebAuthn => "webauthn",
            Self::Sso => "sso",
            Self::SshSk => "ssh-sk",
        }
    }
}

/// Why a recorded tap proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// A tap was due and there is none.
    #[error("a tap was due, and none is recorded")]
    Missing,
    /// What is recorded is no proof.
    #[error("the recorded proof cannot be read: {0}")]
    Unreadable(String),
    /// The record says something else than its proof.
    #[error("the recorded {0} is not the proof's")]
    Differs(&'static str),
    /// Nobody exported such a key.
    #[error("none of {0}'s exported keys made the tap (are the keys newer than the log?)")]
    UnknownKey(UserName),
    /// The key's registration counts for nothing.
    #[error("the key that made the tap leads to no pinned administrator: {0}")]
    Unchained(String),
    /// The key did not count at that time.
    #[error("the key that made the tap counted for nothing then: it was {0}")]
    NotAlive(String),
    /// The tap itself does not hold.
    #[error("{0}")]
    Proof(#[from] ProofError),
    /// It was made for something else.
    #[error("the tap was made for another {0}")]
    Other(&'static str),
    /// It was used too late.
    #[error("the tap was made at {0}, and its window was over")]
    Late(UnixTime),
    /// It was good once.
    #[error("the tap was good for one session, and opened another one before")]
    Spent,
}

/// A device as the auditor knows it.
struct Device {
    known: AuditKey,
    /// Why it does not count, where it does not.
    refused: Option<String>,
}

/// An SSH key as the auditor knows it.
struct SshDevice {
    known: AuditSshKey,
    refused: Option<String>,
}

/// Knows the keys, and remembers which taps are spent.
pub struct Prover {
    relying_party: KnownParty,
    gate: Digest,
    gate_name: String,
    devices: HashMap<(UserName, Vec<u8>), Device>,
    ssh_keys: HashMap<(UserName, Digest), SshDevice>,
    /// Every account: whose it is, at which provider, and its digest.
    accounts: Vec<(UserName, String, Digest)>,
    connectors: Vec<AuditConnector>,
    provider_keys: HashMap<String, Vec<ProviderKey>>,
    spent: HashSet<Digest>,
}

impl Prover {
    /// Verifies which keys count: those that lead, tap by tap, to a pinned administrator.
    pub fn new(keys: &AuditKeys) -> Self {
        let registrations = keys.devices.iter().map(|device| device.registration.clone()).collect();
        let (chained, refused) = verify_chain(registrations, &keys.pins, &keys.relying_party, &keys.gate);
        let refused: HashMap<_, _> =
            refused.into_iter().map(|(registration, why)| (registration.digest(), why.to_string())).collect();
        let device = |known: &AuditKey| {
            let place = (known.registration.user.clone(), known.registration.credential_id.clone());
            (place, Device { known: known.clone(), refused: refused.get(&known.registration.digest()).cloned() })
        };
        let registrations = keys.ssh_keys.iter().map(|known| known.registration.clone()).collect();
        let (_, refused) = verify_ssh_keys(registrations, &chained, &keys.relying_party, &keys.gate);
        let refused: HashMap<_, _> =
            refused.into_iter().map(|(registration, why)| (registration.digest(), why.to_string())).collect();
        let ssh_device = |known: &AuditSshKey| {
            let place = (known.registration.user.clone(), known.registration.key.id());
            (place, SshDevice { known: known.clone(), refused: refused.get(&known.registration.digest()).cloned() })
        };
        let account = |known: &SsoRegistration| (known.user.clone(), known.issuer.clone(), known.account());
        let mut provider_keys: HashMap<_, Vec<_>> = HashMap::new();
        for known in &keys.provider_keys {
            provider_keys.entry(known.issuer.clone()).or_default().push(known.key.clone());
        }
        Self {
            relying_party: keys.relying_party.clone().into(),
            gate: keys.gate,
            gate_name: keys.cluster_name.clone(),
            devices: keys.devices.iter().map(device).collect(),
            ssh_keys: keys.ssh_keys.iter().map(ssh_device).collect(),
            accounts: keys.accounts.iter().map(account).collect(),
            connectors: keys.connectors.clone(),
            provider_keys,
            spent: HashSet::new(),
        }
    }

    /// Proves the tap of a session that began at this time. `None` where no tap was due and none was given.
    pub fn session(&mut self, facts: &SessionFacts, at: UnixTime) -> Result<Option<Method>, Unproven> {
        let Some(tap) = &facts.tap else {
            return if facts.mfa_required == Some(true) { Err(Unproven::Missing) } else { Ok(None) };
        };
        let (proof, verified) = self.verified(tap, &facts.user, Some(Purpose::Session), at)?;
        let parts = verified.statement().parts();
        check_session(parts, facts, at)?;
        if parts.uses == Uses::Once && !self.spent.insert(proof.id()) {
            return Err(Unproven::Spent);
        }
        Ok(Some(method(&proof)))
    }

    /// Proves the tap of anything else that a user did: for `action`, where the record names one.
    pub fn deed(
        &self,
        tap: &TapRecord,
        user: &UserName,
        action: Option<&Digest>,
        at: UnixTime,
    ) -> Result<Method, Unproven> {
        let (proof, verified) = self.verified(tap, user, None, at)?;
        let signed = verified.statement().parts().action.as_ref();
        if action.is_some() && signed != action {
            return Err(Unproven::Other("action"));
        }
        Ok(method(&proof))
    }

    fn verified(
        &self,
        tap: &TapRecord,
        user: &UserName,
        purpose: Option<Purpose>,
        at: UnixTime,
    ) -> Result<(Proof, VerifiedTap), Unproven> {
        let unreadable = |why: &dyn std::fmt::Display| Unproven::Unreadable(why.to_string());
        let der = tap.proof_der().ok_or_else(|| unreadable(&"it is not base64url"))?;
        let proof = Proof::from_der(&der).map_err(|error| unreadable(&error))?;
        for (what, same) in [
            ("proof_id", proof.id() == tap.proof_id),
            ("statement", tap.statement_der().as_deref() == Some(&*proof.statement)),
            ("credential_id", tap.credential_id_bytes().as_deref() == Some(&*proof.credential_id)),
            ("method", tap.method.as_str() == method(&proof).as_str()),
        ] {
            if !same {
                return Err(Unproven::Differs(what));
            }
        }
        let statement = proof.statement().map_err(ProofError::from)?;
        let seen = Seen::of(&statement, purpose, user, at);
        let verified = match method(&proof) {
            Method::Sso => self.by_provider(&proof, &seen),
            Method::SshSk => self.by_touch(&proof, &seen, at),
            Method::WebAuthn => self.by_device(&proof, &seen, at),
        };
        Ok((proof, verified?))
    }

    fn by_device(&self, proof: &Proof, seen: &Seen<'_>, at: UnixTime) -> Result<VerifiedTap, Unproven> {
        let place = (seen.owner.clone(), proof.credential_id.clone());
        let device = self.devices.get(&place).ok_or_else(|| Unproven::UnknownKey(seen.owner.clone()))?;
        if let Some(why) = &device.refused {
            return Err(Unproven::Unchained(why.clone()));
        }
        check_alive(&device.known.lives, device.known.registration.created, at)?;
        let expected = Expected {
            key: &device.known.registration.key,
            relying_party: &self.relying_party,
            gate: &self.gate,
            purpose: seen.purpose,
            user: seen.signer,
            user_verification: false,
            at: seen.at,
        };
        Ok(verify(proof, &expected)?)
    }

    fn by_touch(&self, proof: &Proof, seen: &Seen<'_>, at: UnixTime) -> Result<VerifiedTap, Unproven> {
        let unknown = || Unproven::UnknownKey(seen.owner.clone());
        let id = proof.credential_id.as_slice().try_into().map(Digest::from_bytes).map_err(|_| unknown())?;
        let device = self.ssh_keys.get(&(seen.owner.clone(), id)).ok_or_else(unknown)?;
        if let Some(why) = &device.refused {
            return Err(Unproven::Unchained(why.clone()));
        }
        let AuditSshKey { registration, lives } = &device.known;
        check_alive(lives, registration.created, at)?;
        let expected = ExpectedTouch {
            key: &registration.key,
            gate_name: &self.gate_name,
            gate: &self.gate,
            user: seen.owner,
            user_verification: false,
            at: seen.at,
        };
        Ok(verify_touch(proof, &expected)?)
    }

    /// Connectors may have been changed since: one of those that are known must fit. Who signs in is told by the account
    /// alone; everything else must be by the user's own.
    fn by_provider(&self, proof: &Proof, seen: &Seen<'_>) -> Result<VerifiedTap, Unproven> {
        let mut outcome = Err(Unproven::UnknownKey(seen.owner.clone()));
        let own = |user: &UserName| user == seen.owner || seen.purpose == Purpose::Login;
        let named = |account: &Digest| proof.credential_id == account.as_bytes();
        for (_, issuer, account) in self.accounts.iter().filter(|(user, _, digest)| own(user) && named(digest)) {
            let keys = self.provider_keys.get(issuer).map(Vec::as_slice).unwrap_or_default();
            for connector in self.connectors.iter().filter(|connector| connector.issuer == *issuer) {
                let expected = ExpectedSso {
                    issuer,
                    audience: &connector.audience,
                    classes: if seen.purpose == Purpose::Login { &connector.login_classes } else { &connector.classes },
                    account: Some(*account),
                    keys,
                    gate: &self.gate,
                    purpose: seen.purpose,
                    user: seen.signer,
                    at: seen.at,
                };
                outcome = verify_sso(proof, &expected).map_err(Unproven::from);
                if outcome.is_ok() {
                    return outcome;
                }
            }
        }
        outcome
    }
}

/// What a recorded tap must be of.
struct Seen<'a> {
    purpose: Purpose,
    /// Whose key must have made it.
    owner: &'a UserName,
    /// Whom its statement names. A login without a user name names nobody: the key says whose it is.
    signer: &'a UserName,
    /// The moment at which it counted. It is recorded a little later, which may be too late for its statement.
    at: UnixTime,
}

impl<'a> Seen<'a> {
    fn of(statement: &'a Statement, purpose: Option<Purpose>, user: &'a UserName, at: UnixTime) -> Self {
        let parts = statement.parts();
        let purpose = purpose.unwrap_or(parts.purpose);
        let signer = if parts.purpose == Purpose::Login { &parts.user } else { user };
        let lag = at.since(parts.expires) <= RECORD_LAG_MAX;
        Self { purpose, owner: user, signer, at: if lag { at.min(parts.expires) } else { at } }
    }
}

fn method(proof: &Proof) -> Method {
    match proof {
        proof if proof.is_sso() => Method::Sso,
        proof if proof.is_touch() => Method::SshSk,
        _ => Method::WebAuthn,
    }
}

fn check_alive(lives: &[Life], registered: UnixTime, at: UnixTime) -> Result<(), Unproven> {
    // A session may be recorded just after the key that opened it was removed.
    let alive = |life: &Life| {
        life.from <= at.plus(RECORD_LAG_MAX) && life.until.is_none_or(|until| at <= until.plus(RECORD_LAG_MAX))
    };
    if lives.iter().any(alive) {
        return Ok(());
    }
    let ended = lives.iter().filter_map(|life| life.until).filter(|until| *until < at).max();
    Err(Unproven::NotAlive(match ended {
        Some(until) => format!("removed at {until}"),
        None => format!("registered later, at {registered}"),
    }))
}

/// The statement is about this session, and was used in time.
fn check_session(parts: &StatementParts, facts: &SessionFacts, at: UnixTime) -> Result<(), Unproven> {
    let same = |entry: &&tapgate_proof::StatementTarget| {
        Some(entry.target.uid) == facts.uid
            && entry.target.kind == facts.kind
            && Text::from(entry.login.to_string()) == facts.login
    };
    let named = parts.targets.iter().find(same).ok_or(Unproven::Other("target or login"))?;
    if named.target.name != facts.target {
        return Err(Unproven::Other("target's name"));
    }
    if named.holder.web_session().is_some_and(|session| *session != facts.credential) {
        return Err(Unproven::Other("web session"));
    }
    if parts.source_ip.is_some_and(|ip| ip.to_canonical() != facts.peer.ip().to_canonical()) {
        return Err(Unproven::Other("address"));
    }
    if at > parts.created.plus(WINDOW_MAX).plus(RECORD_LAG_MAX) {
        return Err(Unproven::Late(parts.created));
    }
    Ok(())
}
