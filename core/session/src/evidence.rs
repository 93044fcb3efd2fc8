//! Evidence: a verified tap that may be asked for grants until its deadline.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::Equivalent;
use moka::sync::SegmentedCache;
use tapgate_model::{Digest, Kind, Login, TargetName, UserName};
use tapgate_proof::{Expected, ExpectedSso, ExpectedTouch, Holder, Proof, ProofError, VerifiedTap};

use crate::grant::Basis;
use crate::limits::{EVIDENCE_MAX, EVIDENCE_PARTS, TURNS, WINDOW_MAX};
use crate::{Ask, Door, ProtocolName};

/// All that an ask must have in common with the ask that the tap was verified for: with owned names
/// where evidence is kept, with borrowed ones where it is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Common<U, T, L> {
    door: Door,
    protocol: ProtocolName,
    kind: Kind,
    holder: Holder,
    credential: Digest,
    address: IpAddr,
    user: U,
    target: T,
    login: L,
}

/// What evidence is kept under. The target stands by its name: evidence is good under one snapshot only, in
/// which a name leads to one target.
pub(crate) type Key = Common<UserName, TargetName, Login>;

/// What it is looked for by, without a copy of any name.
pub(crate) type Probe<'a> = Common<&'a UserName, &'a TargetName, &'a Login>;

impl<'a> Probe<'a> {
    pub(crate) fn of(ask: &Ask<'a>) -> Self {
        Self {
            door: ask.connection.door,
            protocol: ask.connection.protocol,
            kind: ask.kind,
            holder: ask.holder(),
            credential: *ask.identity.fingerprint(),
            address: ask.connection.peer.ip(),
            user: ask.identity.user(),
            target: ask.target,
            login: ask.login,
        }
    }

    pub(crate) fn to_key(&self) -> Key {
        Key {
            door: self.door,
            protocol: self.protocol,
            kind: self.kind,
            holder: self.holder.clone(),
            credential: self.credential,
            address: self.address,
            user: self.user.clone(),
            target: self.target.clone(),
            login: self.login.clone(),
        }
    }
}

/// A probe and its key hash alike, since a reference hashes as what it points to.
impl Equivalent<Key> for Probe<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let Key { door, protocol, kind, holder, credential, address, user, target, login } = key;
        (self.door, self.protocol, self.kind, self.address) == (*door, *protocol, *kind, *address)
            && self.credential == *credential
            && self.holder == *holder
            && (self.user, self.target, self.login) == (user, target, login)
    }
}

/// A tap that was verified, and the proof that it was verified from, for the log.
#[derive(Debug)]
pub struct Tap {
    verified: VerifiedTap,
    proof: Arc<Proof>,
}

impl Tap {
    /// Verifies the proof: one signature.
    pub fn verify(proof: &Arc<Proof>, expected: &Expected<'_>) -> Result<Self, ProofError> {
        let verified = tapgate_proof::verify(proof, expected)?;
        Ok(Self { verified, proof: Arc::clone(proof) })
    }

    /// Verifies a proof that an identity provider signed: one signature.
    pub fn verify_sso(proof: &Arc<Proof>, expected: &ExpectedSso<'_>) -> Result<Self, ProofError> {
        let verified = tapgate_proof::verify_sso(proof, expected)?;
        Ok(Self { verified, proof: Arc::clone(proof) })
    }

    /// Verifies a proof that an SSH key's touch made: one signature.
    pub fn verify_touch(proof: &Arc<Proof>, expected: &ExpectedTouch<'_>) -> Result<Self, ProofError> {
        let verified = tapgate_proof::verify_touch(proof, expected)?;
        Ok(Self { verified, proof: Arc::clone(proof) })
    }

    /// What was verified.
    pub const fn verified(&self) -> &VerifiedTap {
        &self.verified
    }

    /// What it was verified from.
    pub const fn proof(&self) -> &Arc<Proof> {
        &self.proof
    }
}

/// The evidence that is at hand: verified taps, each as the basis of the grants that it is good for. Whether it
/// still is, is compared on every use ([`Basis::opens`]); the cache's own expiry only collects what is over.
///
/// In parts: each notes its hits in a queue, which all threads would otherwise write to.
pub(crate) struct Cached {
    kept: SegmentedCache<Key, Arc<Basis>>,
    turns: [Mutex<()>; TURNS],
}

impl Cached {
    pub(crate) fn new() -> Self {
        let parts = SegmentedCache::builder(EVIDENCE_PARTS).max_capacity(EVIDENCE_MAX);
        let kept = parts.time_to_live(WINDOW_MAX + Duration::from_secs(1)).build();
        Self { kept, turns: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The turn of one certificate: of those who come at once with it, one verifies its tap, and the others find that.
    /// They wait for no longer than verifying it themselves would take.
    pub(crate) fn turn(&self, credential: &Digest) -> Option<MutexGuard<'_, ()>> {
        let turn = self.turns.get(usize::from(credential.as_bytes()[0]) % TURNS)?;
        Some(turn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn get(&self, probe: &Probe<'_>) -> Option<Arc<Basis>> {
        self.kept.get(probe)
    }

    pub(crate) fn put(&self, probe: &Probe<'_>, basis: Arc<Basis>) {
        self.kept.insert(probe.to_key(), basis);
    }

    pub(crate) fn drop(&self, probe: &Probe<'_>) {
        self.kept.invalidate(probe);
    }
}
