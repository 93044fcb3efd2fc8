//! Registrations: read from the store, and kept only where their chain of taps leads to a pin.
//!
//! A registration that was replaced is not forgotten but retired. It opens nothing any more, but
//! what its owner vouched for while it was good stays vouched for: the users whom an administrator
//! invited do not lose their keys when the administrator gets a new one.

use std::collections::HashSet;

use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::{ChainError, Chained, Registration, SshKeys, verify_chain};
use tapgate_store::Write;

use crate::{Authority, AuthorityError, Fault, key};

impl Authority {
    /// The registrations whose chain holds, and the SSH keys for which one of them has tapped. The others are reported, each once.
    pub(crate) fn chained(&self) -> Result<(Chained, SshKeys), AuthorityError> {
        let Verdict { active, whole, dropped } = self.chain(self.registrations(key::REGISTRATIONS)?)?;
        for (registration, why) in dropped {
            let (user, name, pin) = (&registration.user, &registration.name, registration.pin());
            self.warn_once(format!("the key \"{name}\" of {user} (sha256:{pin}) counts for nothing: {why}"));
        }
        let ssh_keys = self.counting_ssh_keys(&whole)?;
        Ok((active, ssh_keys))
    }

    /// Whether this new registration would count, beside those that are there.
    pub(crate) fn would_chain(&self, new: &Registration) -> Result<bool, AuthorityError> {
        let mut registrations = self.registrations(key::REGISTRATIONS)?;
        registrations.push(new.clone());
        let Verdict { active, .. } = self.chain(registrations)?;
        Ok(active.credential(&new.user, &new.credential_id).is_some())
    }

    /// Two passes: the first follows the chains through the retired registrations too, the second
    /// keeps of those that hold the active ones alone.
    fn chain(&self, active: Vec<Registration>) -> Result<Verdict, AuthorityError> {
        let pins = self.pins.load();
        let retired = self.registrations(key::RETIRED)?;
        if retired.is_empty() {
            let (active, dropped) = verify_chain(active, &pins, &self.relying_party, &self.gate);
            return Ok(Verdict { whole: active.clone(), active, dropped });
        }
        let gone: HashSet<_> = retired.iter().map(Registration::digest).collect();
        let all = active.iter().cloned().chain(retired).collect();
        let (whole, dropped) = verify_chain(all, &pins, &self.relying_party, &self.gate);
        let counts = |digest: &Digest| !gone.contains(digest);
        let held: HashSet<_> = whole.iter().map(|registration| registration.digest()).filter(counts).collect();
        let dropped = dropped.into_iter().filter(|(registration, _)| counts(&registration.digest())).collect();
        let active = active.into_iter().filter(|registration| held.contains(&registration.digest())).collect();
        let (active, _) = verify_chain(active, &held.into_iter().collect::<Vec<_>>(), &self.relying_party, &self.gate);
        Ok(Verdict { active, whole, dropped })
    }

    /// All registrations under a prefix. One that can't be read is reported and left out.
    pub(crate) fn registrations(&self, prefix: &str) -> Result<Vec<Registration>, AuthorityError> {
        let mut registrations = Vec::new();
        for (key, entry) in self.store.list(prefix, self.now().as_secs())? {
            match serde_json::from_slice::<Registration>(&entry.value) {
                Ok(registration) if key == prefix_key(prefix, &registration) => registrations.push(registration),
                Ok(_) => self.warn_once(format!("the registration at {key} is another one's; it counts for nothing")),
                Err(error) => self.warn_once(format!("the registration at {key} can't be read: {error}")),
            }
        }
        Ok(registrations)
    }

    /// The writes that take a user's keys, codes, password and web sessions away.
    pub(crate) fn retire(&self, user: &UserName) -> Result<Vec<Write>, Fault> {
        let now = self.now().as_secs();
        let mut writes = vec![Write::Delete { key: key::password(user) }, Write::Delete { key: key::otp(user) }];
        writes.extend(self.end_web_sessions(user)?);
        writes.extend(self.retire_ssh_keys(user)?);
        for (key, entry) in self.store.list(&key::registrations(user), now)? {
            writes.extend(retiring(key, entry.value, self.now()));
        }
        for prefix in [key::credential_states(user), key::flags_of(user)] {
            for (key, _) in self.store.list(&prefix, now)? {
                writes.push(Write::Delete { key });
            }
        }
        Ok(writes)
    }
}

/// The writes that take one registration away, and keep what it vouched for and until when it counted.
pub(crate) fn retiring(key: String, value: Vec<u8>, now: UnixTime) -> [Write; 3] {
    let retired = key.replacen(key::REGISTRATIONS, key::RETIRED, 1);
    let since = serde_json::from_slice::<Registration>(&value).map_or(0, |registration| registration.created.as_secs());
    let life = format!("{}/{since}", key.replacen(key::REGISTRATIONS, key::LIVES, 1));
    [
        Write::Put { key: retired, value, expires: None },
        Write::Put { key: life, value: now.as_secs().to_string().into_bytes(), expires: None },
        Write::Delete { key },
    ]
}

/// What following the chains has found.
struct Verdict {
    /// What counts.
    active: Chained,
    /// What counts or has counted: what may have vouched.
    whole: Chained,
    dropped: Vec<(Registration, ChainError)>,
}

fn prefix_key(prefix: &str, registration: &Registration) -> String {
    let key = key::registration(&registration.user, &registration.credential_id);
    key.replacen(key::REGISTRATIONS, prefix, 1)
}
