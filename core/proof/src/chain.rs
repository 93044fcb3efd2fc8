//! Which registrations count: those that lead, tap by tap, to one that the configuration pins.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tapgate_model::{Digest, UnixTime, UserName};

use crate::limits::{CLOCK_SKEW, CREDENTIAL_ID_MAX, INVITE_SPAN_MAX, REGISTRATIONS_MAX};
use crate::{Expected, KnownParty, Link, Proof, ProofError, Purpose, Registration, RelyingParty, verify};

/// Registrations whose chain was verified; [`verify_chain`] alone makes one that is not empty.
#[derive(Debug, Clone, Default)]
pub struct Chained(HashMap<UserName, Vec<Arc<Registration>>>);

/// Why a registration does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It says it is pinned, and the configuration does not pin it.
    #[error("the configuration does not pin this registration (add its pin, or invite the user)")]
    NotPinned,
    /// The invite is for somebody else.
    #[error("the invite is for {0}")]
    OtherUser(UserName),
    /// The invite's times contradict each other, or leave it too long.
    #[error("an invite must expire after its creation, at most {} s later", INVITE_SPAN_MAX.as_secs())]
    InviteSpan,
    /// The registration was made outside of the invite's time.
    #[error("the invite could not be used at {0} (ask for a new one)")]
    InviteExpired(UnixTime),
    /// Another registration used the invite.
    #[error("the invite backs another registration already (ask for a new one)")]
    InviteUsed,
    /// No registration that counts made the tap that links this one.
    #[error("no registration that counts has made the tap that links this one")]
    NoVoucher,
    /// The tap that links it does not hold.
    #[error("the tap that links the registration does not hold: {0}")]
    Proof(#[from] ProofError),
    /// The tap that links it was for something else.
    #[error("the tap that links the registration was for another action")]
    OtherAction,
    /// The user has a credential of this id already.
    #[error("the user has a credential of this id already")]
    Duplicate,
    /// The credential id is too long.
    #[error("the credential id must have 1 to {CREDENTIAL_ID_MAX} bytes")]
    CredentialId,
    /// There are too many registrations to verify.
    #[error("there are more than {REGISTRATIONS_MAX} registrations")]
    TooMany,
}

impl Chained {
    /// The user's registration of this credential.
    pub fn credential(&self, user: &UserName, credential_id: &[u8]) -> Option<&Arc<Registration>> {
        self.of(user).iter().find(|registration| registration.credential_id == credential_id)
    }

    /// The user's registrations, oldest link first.
    pub fn of(&self, user: &UserName) -> &[Arc<Registration>] {
        self.0.get(user).map_or(&[], Vec::as_slice)
    }

    /// Every registration, by user.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Registration>> {
        self.0.values().flatten()
    }
}

/// Splits registrations into those that count and those that do not, each of these with the reason.
///
/// A registration counts when its digest is among the pins, or when the tap that links it was made by one that
/// counts. It is looked at only after its voucher was found to count, so that a cycle never does, and each costs
/// one signature at most. Where an invite backs several registrations, the first that is reached has it: links
/// are followed in the order of time.
///
/// Whether the admin who invited may do so is a matter of policy, and not asked here.
pub fn verify_chain(
    mut registrations: Vec<Registration>,
    pins: &[Digest],
    rp: &RelyingParty,
    gate: &Digest,
) -> (Chained, Vec<(Registration, ChainError)>) {
    registrations.sort_by_cached_key(|registration| (registration.created, registration.digest()));
    let surplus = registrations.split_off(registrations.len().min(REGISTRATIONS_MAX));
    let mut chain = Chain {
        rp: rp.clone().into(),
        gate,
        chained: Chained::default(),
        fresh: VecDeque::new(),
        waiting: HashMap::new(),
        used_invites: HashSet::new(),
        refused: surplus.into_iter().map(|registration| (registration, ChainError::TooMany)).collect(),
    };
    let pins: HashSet<&Digest> = pins.iter().collect();
    for registration in registrations {
        chain.place(registration, &pins);
    }
    chain.follow();
    (chain.chained, chain.refused)
}

/// Who vouches for a registration: a credential of a user.
type Voucher = (UserName, Vec<u8>);

struct Chain<'a> {
    rp: KnownParty,
    gate: &'a Digest,
    /// What counts.
    chained: Chained,
    /// What counts, and was not yet asked whom it vouches for.
    fresh: VecDeque<Arc<Registration>>,
    /// What waits for its voucher to count.
    waiting: HashMap<Voucher, Vec<Registration>>,
    used_invites: HashSet<Digest>,
    refused: Vec<(Registration, ChainError)>,
}

impl Chain<'_> {
    /// Settles what the registration alone settles; where its link leads elsewhere, it waits.
    fn place(&mut self, registration: Registration, pins: &HashSet<&Digest>) {
        if registration.credential_id.is_empty() || registration.credential_id.len() > CREDENTIAL_ID_MAX {
            return self.refused.push((registration, ChainError::CredentialId));
        }
        if pins.contains(&registration.pin()) {
            return self.accept(registration);
        }
        match voucher(&registration) {
            Ok(voucher) => self.waiting.entry(voucher).or_default().push(registration),
            Err(error) => self.refused.push((registration, error)),
        }
    }

    /// Asks each registration that counts whom it vouches for, until none is left to ask.
    fn follow(&mut self) {
        while let Some(voucher) = self.fresh.pop_front() {
            let waiting = self.waiting.remove(&(voucher.user.clone(), voucher.credential_id.clone()));
            for registration in waiting.unwrap_or_default() {
                match self.vouch(&voucher, &registration) {
                    Ok(()) => self.accept(registration),
                    Err(error) => self.refused.push((registration, error)),
                }
            }
        }
        let left = self.waiting.drain().flat_map(|(_, registrations)| registrations);
        self.refused.extend(left.map(|registration| (registration, ChainError::NoVoucher)));
    }

    fn accept(&mut self, registration: Registration) {
        let own = self.chained.0.entry(registration.user.clone()).or_default();
        if own.iter().any(|other| other.credential_id == registration.credential_id) {
            return self.refused.push((registration, ChainError::Duplicate));
        }
        let registration = Arc::new(registration);
        own.push(Arc::clone(&registration));
        self.fresh.push_back(registration);
    }

    /// The tap in the registration's link was made with the voucher, for exactly this.
    fn vouch(&mut self, voucher: &Registration, registration: &Registration) -> Result<(), ChainError> {
        match &registration.link {
            Link::Pinned => Err(ChainError::NotPinned),
            Link::Device { proof } => {
                self.check(voucher, proof, Purpose::AddDevice, &registration.digest(), registration.created)
            }
            Link::Invite { invite, proof, .. } => {
                let digest = invite.digest();
                if self.used_invites.contains(&digest) {
                    return Err(ChainError::InviteUsed);
                }
                self.check(voucher, proof, Purpose::Admin, &digest, invite.created)?;
                self.used_invites.insert(digest);
                Ok(())
            }
        }
    }

    fn check(
        &self,
        voucher: &Registration,
        proof: &Proof,
        purpose: Purpose,
        action: &Digest,
        at: UnixTime,
    ) -> Result<(), ChainError> {
        let (key, user) = (&voucher.key, &voucher.user);
        let (relying_party, gate) = (&self.rp, self.gate);
        let expected = Expected { key, relying_party, gate, purpose, user, user_verification: false, at };
        let tap = verify(proof, &expected)?;
        if tap.statement().parts().action.as_ref() == Some(action) { Ok(()) } else { Err(ChainError::OtherAction) }
    }
}

/// Who must have vouched for a registration that is not pinned.
fn voucher(registration: &Registration) -> Result<Voucher, ChainError> {
    match &registration.link {
        Link::Pinned => Err(ChainError::NotPinned),
        Link::Device { proof } => Ok((registration.user.clone(), proof.credential_id.clone())),
        Link::Invite { invite, proof, admin } => {
            if invite.user != registration.user {
                return Err(ChainError::OtherUser(invite.user.clone()));
            }
            if invite.expires <= invite.created || invite.expires.since(invite.created) > INVITE_SPAN_MAX {
                return Err(ChainError::InviteSpan);
            }
            if !(invite.created.minus(CLOCK_SKEW)..=invite.expires).contains(&registration.created) {
                return Err(ChainError::InviteExpired(registration.created));
            }
            Ok((admin.clone(), proof.credential_id.clone()))
        }
    }
}
