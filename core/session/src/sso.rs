//! Whose taps identity providers may make: the accounts that count, and the providers' keys.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tapgate_model::{Digest, UserName};
use tapgate_policy::{Policy, SecondFactor};
use tapgate_proof::{ProviderKey, SsoRegistration};

/// The keys of every provider, those of the past among them. Whoever holds it sees what was put in last: a provider
/// that changes its keys changes nothing of the policy, and so no snapshot is made for it.
#[derive(Debug, Default)]
pub struct ProviderKeys(ArcSwap<HashMap<String, Arc<[ProviderKey]>>>);

impl ProviderKeys {
    /// The keys of this provider.
    pub fn of(&self, issuer: &str) -> Arc<[ProviderKey]> {
        self.0.load().get(issuer).cloned().unwrap_or_default()
    }

    /// Makes these the keys of this provider.
    pub fn put(&self, issuer: &str, keys: &[ProviderKey]) {
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(issuer.to_owned(), keys.into());
            known
        });
    }
}

/// A user's account at a provider whose step-up counts as a tap.
#[derive(Debug)]
pub(crate) struct SsoAccount {
    pub(crate) registration: SsoRegistration,
    pub(crate) account: Digest,
    pub(crate) audience: String,
    /// The classes of authentication that count, at least one.
    pub(crate) classes: Vec<String>,
}

/// The accounts whose providers may make taps.
#[derive(Debug, Default)]
pub(crate) struct SsoBook {
    accounts: HashMap<UserName, SsoAccount>,
    pub(crate) keys: Arc<ProviderKeys>,
}

impl SsoBook {
    /// Those of these registrations whose connector says by which class it steps up, where the cluster takes that for
    /// a second factor.
    pub(crate) fn new(policy: &Policy, registrations: Vec<SsoRegistration>, keys: Arc<ProviderKeys>) -> Self {
        if !policy.preference().second_factors.contains(&SecondFactor::Sso) {
            return Self { accounts: HashMap::new(), keys };
        }
        let account = |registration: SsoRegistration| {
            let connector = policy.connectors().find(|connector| connector.issuer_url == registration.issuer)?;
            let (audience, classes) = (connector.client_id.clone(), connector.step_up_classes());
            let (user, account) = (registration.user.clone(), registration.account());
            (!classes.is_empty()).then_some((user, SsoAccount { registration, account, audience, classes }))
        };
        Self { accounts: registrations.into_iter().filter_map(account).collect(), keys }
    }

    pub(crate) fn of(&self, user: &UserName) -> Option<&SsoAccount> {
        self.accounts.get(user)
    }
}
