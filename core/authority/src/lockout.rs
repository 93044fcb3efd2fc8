//! Lockout: how often a user name is tried without success, from one address, from all, and by one address.
//!
//! A try counts when it begins and is taken back when the login succeeds. To count failures instead would tell
//! whoever watches the count which password was right before any tap. Counts are in the store: a restart forgives
//! nobody. What strangers do never shuts out a user at an address from which that user has logged in lately.

use std::net::IpAddr;

use crate::limits::{KNOWN_ADDRESS_TTL, LOCKOUT_ADDRESS, LOCKOUT_USER, LOCKOUT_USER_ADDRESS, Tries};
use crate::rate::network;
use crate::{Authority, Fault, key, token};

/// How often a lost compare-and-swap is tried again: as many logins of one user do not come at once.
const SWAPS: usize = 32;

impl Authority {
    /// Lets a login begin that says to be this user's, or not: the limits of the moment first, which cost nothing,
    /// then those that outlive it; of each the narrow ones first, so that what they refuse does not count elsewhere.
    pub(crate) fn admit(&self, user: &str, peer: IpAddr) -> Result<(), Fault> {
        self.rates.claims(user, peer)?;
        let known = self.is_known(user, peer)?;
        if !known {
            self.rates.anywhere(user)?;
        }
        self.count_login(user, peer, known)
    }

    /// Counts a try against the limits that outlive a restart.
    pub(crate) fn count_login(&self, user: &str, peer: IpAddr, known: bool) -> Result<(), Fault> {
        let from = network(peer);
        let what = |place: &str| format!("logins {place} are paused after too many tries without success");
        let limits = [
            (key::tries_of(user, &from), LOCKOUT_USER_ADDRESS, what(&format!("of one user name from {from}"))),
            (key::tries_from(&from), LOCKOUT_ADDRESS, what(&format!("from {from}"))),
            (key::tries_anywhere(user), LOCKOUT_USER, what("of one user name from new addresses")),
        ];
        let counted = if known { 2 } else { 3 };
        for (key, limit, what) in limits.into_iter().take(counted) {
            match self.count_try(&key, limit)? {
                Counted::Free => {}
                Counted::Last => self.warn(what),
                Counted::Full => return Err(paused()),
            }
        }
        Ok(())
    }

    /// Takes the tries back that a login needed, and remembers from where its user came.
    pub(crate) fn admitted(&self, user: &str, peer: IpAddr) -> Result<(), Fault> {
        let from = network(peer);
        self.store.delete(&key::tries_of(user, &from))?;
        self.return_try(&key::tries_from(&from), LOCKOUT_ADDRESS)?;
        if !self.is_known(user, peer)? {
            self.return_try(&key::tries_anywhere(user), LOCKOUT_USER)?;
        }
        let expires = Some(self.now().plus(KNOWN_ADDRESS_TTL).as_secs());
        self.store.put(&key::known_address(user, &from), &[], expires)?;
        Ok(())
    }

    /// Whether the user has logged in from there lately.
    pub(crate) fn is_known(&self, user: &str, peer: IpAddr) -> Result<bool, Fault> {
        Ok(self.store.get(&key::known_address(user, &network(peer)), self.now().as_secs())?.is_some())
    }

    /// Notes a try, where there is room for one.
    pub(crate) fn count_try(&self, key: &str, limit: Tries) -> Result<Counted, Fault> {
        let now = self.now().as_secs();
        self.change_tries(key, limit, |times| {
            if times.len() >= limit.most {
                return Counted::Full;
            }
            times.push(now);
            if times.len() == limit.most { Counted::Last } else { Counted::Free }
        })
    }

    /// Takes back the latest try.
    pub(crate) fn return_try(&self, key: &str, limit: Tries) -> Result<(), Fault> {
        let pop = |times: &mut Vec<u64>| if times.pop().is_some() { Counted::Free } else { Counted::Full };
        self.change_tries(key, limit, pop).map(drop)
    }

    /// Changes the times of the last tries, all of them within the span; answers what `change` says.
    fn change_tries(
        &self,
        key: &str,
        limit: Tries,
        change: impl Fn(&mut Vec<u64>) -> Counted,
    ) -> Result<Counted, Fault> {
        let now = self.now();
        for _ in 0..SWAPS {
            let entry = self.store.get(key, now.as_secs())?;
            let version = entry.as_ref().map(|entry| entry.version);
            let mut times: Vec<u64> =
                entry.map(|entry| serde_json::from_slice(&entry.value)).transpose()?.unwrap_or_default();
            times.retain(|time| time.saturating_add(limit.span.as_secs()) > now.as_secs());
            let counted = change(&mut times);
            if counted == Counted::Full {
                return Ok(counted);
            }
            let (value, expires) = (serde_json::to_vec(&times)?, Some(now.plus(limit.span).as_secs()));
            if self.store.cas(key, version, &value, expires, now.as_secs())?.is_some() {
                return Ok(counted);
            }
        }
        Err(Fault::too_many())
    }
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// There is room for more.
    Free,
    /// It was the last one.
    Last,
    /// There was no room for it.
    Full,
}

/// One answer whether or not there is such a user, and whichever limit it was.
fn paused() -> Fault {
    let mut fault = Fault::too_many();
    fault.error.hint = Some(
        "wait a quarter of an hour, log in from where you have lately, or with tap login --auth=passwordless"
            .to_owned(),
    );
    fault
}

/// The key of a name that anybody may have made up: its hash, whatever its length.
pub(crate) fn hashed(user: &str) -> String {
    token::sha256(&[user.as_bytes()]).to_string()
}
