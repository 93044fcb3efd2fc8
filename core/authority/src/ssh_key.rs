//! A user's SSH keys: each is vouched for by a tap over it, and logs in at the SSH door from then on.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tapgate_api::{SshKeyCertificate, SshKeyCertify, SshKeyEntry, SshKeyList};
use tapgate_audit::{AuditSshKey, Change, Life};
use tapgate_identity::{Identity, SshLoginSubject};
use tapgate_model::{UnixTime, UserName};
use tapgate_proof::{Chained, SshKey, SshKeys, SshRegistration, verify_ssh_keys};
use tapgate_store::Write;

use crate::enrol::device_name;
use crate::limits::SSH_KEYS_MAX;
use crate::login::unissued;
use crate::tap::Given;
use crate::{Authority, AuthorityError, Fault, key};

/// A key as the store has it. One that was removed stays, for those who audit what it did, and can't come back.
#[derive(Serialize, Deserialize)]
struct Stored {
    registration: SshRegistration,
    removed: Option<UnixTime>,
}

/// A key that is to be registered.
pub(crate) struct NewSshKey {
    pub(crate) name: String,
    pub(crate) key: SshKey,
}

impl Authority {
    /// The caller's own SSH keys.
    pub fn ssh_key_list(&self, identity: &Identity, peer: IpAddr) -> Result<SshKeyList, Fault> {
        self.must_be_owner(identity, peer)?;
        let entry = |known: &std::sync::Arc<SshRegistration>| SshKeyEntry {
            name: known.name.clone(),
            algorithm: known.key.kind().to_owned(),
            fingerprint: known.key.fingerprint(),
            added: known.created.as_secs(),
            touched: known.key.is_sk(),
        };
        let state = self.state.load();
        Ok(SshKeyList { keys: state.ssh_keys.of(identity.user()).into_iter().map(entry).collect() })
    }

    /// A login certificate over one of the user's security keys, as long as the login itself: for servers and clients that
    /// want certificates. Its touch counts as the key's own.
    pub fn ssh_key_certificate(
        &self,
        identity: &Identity,
        wanted: &SshKeyCertify,
        peer: IpAddr,
    ) -> Result<SshKeyCertificate, Fault> {
        self.must_be_owner(identity, peer)?;
        let user = identity.user();
        let known = self.ssh_key_named(user, &wanted.name)?;
        if !known.key.is_sk() {
            let what = format!("the SSH key \"{}\" is a file", known.name);
            return Err(Fault::invalid(what, "`tap login` has a certificate for this machine already"));
        }
        let public_key = ssh_key::PublicKey::from_openssh(&known.key.to_string()).map_err(Fault::internal)?;
        let (source_ip, expires) = (identity.source_ip(), identity.login_expires());
        let subject = SshLoginSubject { user, public_key: &public_key, source_ip, expires };
        let certificate = self.cas().login_ssh.issue_login(&subject, &self.gate, self.now()).map_err(unissued)?;
        let certificate = certificate.to_openssh().map_err(Fault::internal)?;
        Ok(SshKeyCertificate { certificate, expires: expires.as_secs() })
    }

    /// The key, if the user may register it under this name.
    pub(crate) fn new_ssh_key(&self, user: &UserName, name: &str, line: &str) -> Result<NewSshKey, Fault> {
        let key: SshKey =
            line.parse().map_err(|e: tapgate_proof::SshKeyError| Fault::invalid(e.to_string(), "see `tap ssh-key`"))?;
        let name = device_name(name)?;
        let state = self.state.load();
        let own = state.ssh_keys.of(user);
        if own.len() >= SSH_KEYS_MAX {
            let what = format!("you have {SSH_KEYS_MAX} SSH keys already");
            return Err(Fault::conflict(what, "remove one with `tap ssh-key rm`"));
        }
        if own.iter().any(|known| known.name == name) {
            return Err(Fault::conflict(format!("you have an SSH key \"{name}\" already"), "choose another name"));
        }
        // Whoever logs in with a key is told from the key alone, so that it is one person's; and one that was removed
        // stays removed.
        if self.stored_ssh_keys().map_err(Fault::internal)?.iter().any(|(_, known)| known.registration.key == key) {
            return Err(Fault::conflict("the SSH key is registered already, or was removed", "make another one"));
        }
        Ok(NewSshKey { name, key })
    }

    /// Registers the key with the tap that vouches for it.
    pub(crate) fn add_ssh_key(&self, user: &UserName, given: &Given, new: NewSshKey) -> Result<String, Fault> {
        self.must_vouch(given)?;
        let registration = SshRegistration {
            user: user.clone(),
            key: new.key,
            name: new.name,
            created: self.now(),
            proof: given.proof.clone(),
        };
        let vouchers = &self.state.load().registrations;
        let (counting, _) = verify_ssh_keys(vec![registration.clone()], vouchers, &self.relying_party, &self.gate);
        if counting.find(&registration.key.id()).is_none() {
            return Err(Fault::conflict("the tap does not vouch for this key", "start again"));
        }
        let title = title(&registration);
        self.put_ssh_key(&Stored { registration, removed: None })?;
        self.record_device(given, "ssh", &title, Change::Created);
        Ok(format!("SSH key {title} has been added"))
    }

    /// The user's SSH key of this name.
    pub(crate) fn ssh_key_named(&self, user: &UserName, name: &str) -> Result<SshRegistration, Fault> {
        let state = self.state.load();
        let known = state.ssh_keys.of(user).into_iter().find(|known| known.name == name).cloned();
        let unknown = || Fault::not_found(format!("you have no SSH key \"{name}\" (see `tap ssh-key ls`)"));
        known.map(|known| (*known).clone()).ok_or_else(unknown)
    }

    pub(crate) fn remove_ssh_key(&self, given: &Given, registration: SshRegistration) -> Result<String, Fault> {
        let title = title(&registration);
        self.put_ssh_key(&Stored { registration, removed: Some(self.now()) })?;
        self.record_device(given, "ssh", &title, Change::Deleted);
        Ok(format!("SSH key {title} has been removed"))
    }

    /// Removes a key without a tap: its owner has seen somebody else use it.
    pub(crate) fn drop_ssh_key(&self, user: &UserName, id: &tapgate_model::Digest) -> Result<(), Fault> {
        let state = self.state.load();
        let Some(known) = state.ssh_keys.find(id).filter(|known| known.user == *user) else { return Ok(()) };
        self.put_ssh_key(&Stored { registration: (**known).clone(), removed: Some(self.now()) })
    }

    fn put_ssh_key(&self, stored: &Stored) -> Result<(), Fault> {
        let key = key::ssh_key(&stored.registration.user, &stored.registration.key.id());
        self.store.put(&key, &serde_json::to_vec(stored)?, None)?;
        Ok(())
    }

    /// The writes that take all SSH keys of a user away.
    pub(crate) fn retire_ssh_keys(&self, user: &UserName) -> Result<Vec<Write>, Fault> {
        let mut writes = Vec::new();
        for (key, stored) in self.stored_ssh_keys().map_err(Fault::internal)? {
            if key.starts_with(&key::ssh_keys(user)) && stored.removed.is_none() {
                let value = serde_json::to_vec(&Stored { removed: Some(self.now()), ..stored })?;
                writes.push(Write::Put { key, value, expires: None });
            }
        }
        Ok(writes)
    }

    /// The SSH keys that count. The others are reported, each once.
    pub(crate) fn counting_ssh_keys(&self, vouchers: &Chained) -> Result<SshKeys, AuthorityError> {
        let active = self.stored_ssh_keys()?.into_iter().filter(|(_, stored)| stored.removed.is_none());
        let active = active.map(|(_, stored)| stored.registration).collect();
        let (counting, dropped) = verify_ssh_keys(active, vouchers, &self.relying_party, &self.gate);
        for (registration, why) in dropped {
            let (user, name) = (&registration.user, &registration.name);
            self.warn_once(format!("the SSH key \"{name}\" of {user} counts for nothing: {why}"));
        }
        Ok(counting)
    }

    /// Every SSH key that counts or has counted, for an auditor.
    pub(crate) fn audit_ssh_keys(&self) -> Result<Vec<AuditSshKey>, AuthorityError> {
        let of = |(_, Stored { registration, removed }): (String, Stored)| {
            let lives = vec![Life { from: registration.created, until: removed }];
            AuditSshKey { registration, lives }
        };
        Ok(self.stored_ssh_keys()?.into_iter().map(of).collect())
    }

    fn stored_ssh_keys(&self) -> Result<Vec<(String, Stored)>, AuthorityError> {
        let mut found = Vec::new();
        for (key, entry) in self.store.list(key::SSH_KEYS, self.now().as_secs())? {
            match serde_json::from_slice::<Stored>(&entry.value) {
                Ok(stored) if key == key::ssh_key(&stored.registration.user, &stored.registration.key.id()) => {
                    found.push((key, stored));
                }
                Ok(_) => self.warn_once(format!("the SSH key at {key} is another one's; it counts for nothing")),
                Err(error) => self.warn_once(format!("the SSH key at {key} can't be read: {error}")),
            }
        }
        Ok(found)
    }
}

fn title(registration: &SshRegistration) -> String {
    format!("\"{}\" ({})", registration.name, registration.key.fingerprint())
}
