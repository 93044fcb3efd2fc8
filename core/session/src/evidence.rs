//! Evidence: a verified tap that may be asked for grants until its deadline.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tapgate_model::{Digest, Login, TargetUid, UnixTime, UserName};
use tapgate_policy::Terms;
use tapgate_proof::{Holder, Proof, VerifiedTap};

use crate::limits::{EVIDENCE_MAX, WINDOW_MAX};
use crate::snapshot::Record;
use crate::{Ask, Door, ProtocolName};

/// All that an ask must have in common with the ask that the tap was verified for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    door: Door,
    holder: Holder,
    user: UserName,
    credential: Digest,
    target: TargetUid,
    login: Login,
    protocol: ProtocolName,
    address: IpAddr,
}

impl Key {
    pub(crate) fn of(ask: &Ask<'_>, record: &Record) -> Self {
        Self {
            door: ask.connection.door,
            holder: ask.holder(),
            user: ask.identity.user().clone(),
            credential: *ask.identity.fingerprint(),
            target: record.target.uid,
            login: ask.login.clone(),
            protocol: ask.connection.protocol,
            address: ask.connection.peer.ip(),
        }
    }
}

/// A tap that was verified, and the proof that it was verified from, for the log.
#[derive(Debug)]
pub struct Tap {
    verified: VerifiedTap,
    proof: Arc<Proof>,
}

impl Tap {
    /// Both together; `None` when the tap was verified from another proof.
    pub fn new(verified: VerifiedTap, proof: Arc<Proof>) -> Option<Self> {
        (*verified.proof_id() == proof.id()).then_some(Self { verified, proof })
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

/// A verified tap and what it was found good for.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) tap: Arc<Tap>,
    /// The last moment at which it may open a session. Compared on every use: the cache's own
    /// expiry only collects what is over.
    pub(crate) deadline: UnixTime,
    /// The snapshot under which `terms` were decided.
    pub(crate) epoch: u64,
    pub(crate) terms: Terms,
}

/// The evidence that is at hand.
pub(crate) struct Cached(Cache<Key, Arc<Evidence>>);

impl Cached {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(EVIDENCE_MAX).time_to_live(WINDOW_MAX + Duration::from_secs(1)).build())
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Evidence>> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, key: Key, evidence: Arc<Evidence>) {
        self.0.insert(key, evidence);
    }

    pub(crate) fn drop(&self, key: &Key) {
        self.0.invalidate(key);
    }
}
