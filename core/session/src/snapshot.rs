//! What is true now: policy, targets and registrations, swapped whole and never changed in place.

use std::collections::HashMap;
use std::sync::Arc;

use tapgate_model::{Kind, Labels, TargetName, TargetRef, TargetUid};
use tapgate_policy::Policy;
use tapgate_proof::Chained;

use crate::about::{self, About};

/// What the gate decides by. [`crate::Gate::install`] swaps it whole.
pub struct Snapshot {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registrations: Chained,
    targets: HashMap<Kind, HashMap<TargetName, Arc<Record>>>,
    /// Counts installations; evidence remembers under which one it was weighed.
    pub(crate) epoch: u64,
}

/// A target, with the address that nobody outside this crate can read.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) target: TargetRef,
    pub(crate) labels: Labels,
    pub(crate) address: String,
    pub(crate) about: About,
}

impl Snapshot {
    /// A snapshot of this policy's targets and these registrations.
    pub fn new(policy: Arc<Policy>, registrations: Chained) -> Self {
        let mut targets: HashMap<Kind, HashMap<TargetName, Arc<Record>>> = HashMap::new();
        for (entry, address, about) in about::all(&policy) {
            let target = TargetRef { kind: entry.kind, name: entry.name.clone(), uid: *entry.uid };
            let record = Record { target, labels: entry.labels.clone(), address, about };
            targets.entry(entry.kind).or_default().insert(entry.name.clone(), Arc::new(record));
        }
        Self { policy, registrations, targets, epoch: 0 }
    }

    /// The policy.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The registrations whose chain was verified.
    pub const fn registrations(&self) -> &Chained {
        &self.registrations
    }

    pub(crate) fn find(&self, kind: Kind, name: &TargetName) -> Option<&Arc<Record>> {
        self.targets.get(&kind)?.get(name)
    }

    pub(crate) fn has(&self, kind: Kind, name: &TargetName, uid: &TargetUid) -> bool {
        self.find(kind, name).is_some_and(|record| record.target.uid == *uid)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.targets.values().flat_map(HashMap::values)
    }
}
