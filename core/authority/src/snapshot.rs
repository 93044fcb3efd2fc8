//! What is true now: the policy of all resources, and the registrations that count.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use tapgate_model::Digest;
use tapgate_policy::Policy;
use tapgate_proof::{Chained, RelyingParty, SshKeys, verify_chain};
use tapgate_session::Snapshot;

use crate::{Authority, AuthorityError};

/// What was true when it was last read.
pub(crate) struct State {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registrations: Chained,
    pub(crate) ssh_keys: SshKeys,
    /// Login keys that their owners have locked.
    pub(crate) locked_keys: HashSet<Digest>,
}

impl State {
    /// Nobody and nothing.
    pub(crate) fn empty(relying_party: &RelyingParty, gate: &Digest) -> Result<Self, AuthorityError> {
        let policy = Policy::build(&[]).map_err(AuthorityError::Problems)?;
        let (registrations, _) = verify_chain(Vec::new(), &[], relying_party, gate);
        Ok(Self { policy: Arc::new(policy), registrations, ssh_keys: SshKeys::default(), locked_keys: HashSet::new() })
    }
}

impl Authority {
    /// Reads everything anew, for the gate to install. Where anything is wrong, all of it is
    /// listed, and what was true before stays. Where several threads call this, each must hold a lock
    /// of theirs from here to the installation, so that the newest snapshot is installed last.
    pub fn snapshot(&self) -> Result<Snapshot, AuthorityError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = Arc::new(self.documents()?.build().map_err(AuthorityError::Problems)?);
        let (registrations, ssh_keys) = self.chained()?;
        let locked_keys = self.locked_keys()?;
        let (policy, kept) = (Arc::clone(&policy), policy);
        self.state.store(Arc::new(State {
            policy: kept,
            registrations: registrations.clone(),
            ssh_keys: ssh_keys.clone(),
            locked_keys: locked_keys.clone(),
        }));
        let snapshot = Snapshot::new(policy, registrations).with_ssh_keys(ssh_keys, locked_keys);
        Ok(snapshot.with_sso(self.sso_accounts()?, self.sso_keys()?))
    }

    /// Makes a change of the store count for what follows here. The gate has a snapshot of its own.
    pub(crate) fn refresh(&self) {
        if let Err(error) = self.snapshot() {
            tracing::error!(%error, "The store has changed and can't be read as a whole");
        }
    }
}
