//! "This wasn't me": the owner of a login or of an SSH key locks it, in one click and without a tap.

use std::collections::HashSet;

use tapgate_identity::{Credential, Identity};
use tapgate_model::{Digest, UnixTime};
use tapgate_store::Write;

use crate::public_key::LoginKeys;
use crate::{Authority, AuthorityError, Fault, key};

impl Authority {
    /// Locks the key that asked: a login with both of its keys until it would have ended, an SSH key for good. Whoever
    /// has a copy of the disk has all keys of the login.
    pub(crate) fn lock_key(&self, identity: &Identity) -> Result<(), Fault> {
        let (user, own) = (identity.user(), identity.key());
        if identity.credential() == Credential::SshKey {
            self.drop_ssh_key(user, own)?;
        } else {
            let pair = self.store.get(&key::login_pair(own), self.now().as_secs())?;
            let pair = pair.and_then(|entry| entry.value.as_slice().try_into().map(Digest::from_bytes).ok());
            let expires = Some(identity.login_expires().as_secs());
            let lock = |key: Digest| Write::Put { key: key::locked_key(&key), value: Vec::new(), expires };
            let writes: Vec<Write> = [Some(*own), pair].into_iter().flatten().map(lock).collect();
            self.store.write(&writes)?;
        }
        self.warn(format!("{user} did not start what the key sha256:{own} asked for, and has locked it"));
        self.refresh();
        Ok(())
    }

    /// Notes which two keys are one login.
    pub(crate) fn note_login_pair(&self, keys: &LoginKeys, expires: UnixTime) -> Result<(), Fault> {
        let (Some(ssh), tls) = (keys.ssh_digest(), keys.digest()) else { return Ok(()) };
        let note = |of: &Digest, other: Digest| Write::Put {
            key: key::login_pair(of),
            value: other.as_bytes().to_vec(),
            expires: Some(expires.as_secs()),
        };
        self.store.write(&[note(&ssh, tls), note(&tls, ssh)])?;
        Ok(())
    }

    /// The login keys that are locked.
    pub(crate) fn locked_keys(&self) -> Result<HashSet<Digest>, AuthorityError> {
        let listed = self.store.list(key::LOCKED_KEYS, self.now().as_secs())?;
        let parse = |key: &str| key.strip_prefix(key::LOCKED_KEYS).and_then(|text| text.parse().ok());
        Ok(listed.iter().filter_map(|(key, _)| parse(key)).collect())
    }
}
