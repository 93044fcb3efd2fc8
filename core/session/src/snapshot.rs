//! What is true now: policy, targets and registrations, swapped whole and never changed in place.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tapgate_identity::{Credential, Identity};
use tapgate_model::{Digest, Kind, Labels, TargetName, TargetRef, TargetUid, UserName};
use tapgate_policy::Policy;
use tapgate_proof::{Chained, SshKeys, SsoRegistration, VerifiedTap};

use crate::ProviderKeys;
use crate::sso::SsoBook;

use crate::about::{self, About};

/// What the gate decides by. [`crate::Gate::install`] swaps it whole.
pub struct Snapshot {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registrations: Chained,
    pub(crate) ssh_keys: SshKeys,
    locked_keys: HashSet<Digest>,
    pub(crate) sso: SsoBook,
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
        Self {
            policy,
            registrations,
            ssh_keys: SshKeys::default(),
            locked_keys: HashSet::new(),
            sso: SsoBook::default(),
            targets,
            epoch: 0,
        }
    }

    /// The same, in which these accounts may tap at their identity providers.
    #[must_use]
    pub fn with_sso(self, accounts: Vec<SsoRegistration>, keys: Arc<ProviderKeys>) -> Self {
        Self { sso: SsoBook::new(&self.policy, accounts, keys), ..self }
    }

    /// The same, in which these SSH keys log in, and these keys of logins count for nothing any more.
    #[must_use]
    pub fn with_ssh_keys(self, ssh_keys: SshKeys, locked_keys: HashSet<Digest>) -> Self {
        Self { ssh_keys, locked_keys, ..self }
    }

    /// The SSH keys that log in.
    pub const fn ssh_keys(&self) -> &SshKeys {
        &self.ssh_keys
    }

    /// Whether what somebody has shown still counts: an SSH key by its registration, a login unless it is locked.
    pub fn counts(&self, identity: &Identity) -> bool {
        let known = || self.ssh_keys.find(identity.fingerprint()).is_some_and(|known| known.user == *identity.user());
        let kept = identity.credential() != Credential::SshKey || known();
        kept && !self.locked_keys.contains(identity.key())
    }

    /// Whether a tap of this user counts: by a key, or by an account, that is registered since before it.
    pub(crate) fn is_registered(&self, user: &UserName, tap: &VerifiedTap) -> bool {
        let since = if tap.is_touch() {
            self.ssh_keys.credential(user, tap.credential_id()).map(|known| known.created)
        } else if tap.is_sso() {
            let account = self.sso.of(user).filter(|known| known.account.as_bytes() == tap.credential_id());
            account.map(|known| known.registration.created)
        } else {
            self.registrations.credential(user, tap.credential_id()).map(|known| known.created)
        };
        since.is_some_and(|since| since <= tap.statement().parts().created)
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
