//! Enrolment: an invite becomes a password and a first key, in place of all older ones.

use std::net::IpAddr;
use std::sync::PoisonError;

use tapgate_api::{EnrolBegin, EnrolChallenge, EnrolFinish, Enrolled, InviteShown, InviteToken};
use tapgate_audit::Event;
use tapgate_model::UserName;
use tapgate_proof::{CredentialKey, Link, Registration};
use tapgate_store::Write;
use webauthn_rs::prelude::SecurityKey;

use crate::ceremony::{Pending, PendingEnrolment, new_id};
use crate::invite::StoredInvite;
use crate::limits::{CEREMONY_TTL, CREDENTIAL_ID_MAX, DEVICE_NAME_MAX, PASSWORD_MIN};
use crate::{Authority, Fault, key, token, webauthn};

impl Authority {
    /// Starts an enrolment: the invite is looked at, and spent only at the end.
    pub fn enrol_begin(&self, begin: &EnrolBegin, peer: IpAddr) -> Result<EnrolChallenge, Fault> {
        self.rates.anybody(peer)?;
        let (invite, stored) = self.open_invite(&begin.token)?;
        let user = stored.invite.user;
        if self.state.load().policy.roles_of(&user).is_none() {
            return Err(Fault::conflict(format!("the user {user} is gone"), "ask your administrator for a new invite"));
        }
        let device_name = device_name(&begin.device_name)?;
        let password_hash = self.passwords.hash(&begin.password)?;
        let (webauthn, state) =
            self.webauthn.begin_registration(&user, self.user_handle(&user), Vec::new(), begin.passwordless)?;
        let (id, name) = (new_id(), user.to_string());
        let expires = self.now().plus(CEREMONY_TTL).min(stored.invite.expires);
        let options = serde_json::to_value(&webauthn)?;
        let pending = PendingEnrolment { user, expires, invite, password_hash, device_name, state, options };
        self.suspend(&id, &Pending::Enrolment(Box::new(pending)))?;
        Ok(EnrolChallenge { id, user: name, webauthn })
    }

    /// What an invite is for, so that it can be looked at before a password is chosen.
    pub fn invite_shown(&self, invite: &InviteToken, peer: IpAddr) -> Result<InviteShown, Fault> {
        self.rates.anybody(peer)?;
        let (_, stored) = self.open_invite(&invite.token)?;
        Ok(InviteShown {
            user: stored.invite.user.to_string(),
            cluster: self.cluster.clone(),
            invited_by: stored.vouched.as_ref().map(|vouched| vouched.admin.to_string()),
            expires: stored.invite.expires.as_secs(),
            password_min: PASSWORD_MIN,
        })
    }

    /// Finishes an enrolment.
    pub fn enrol_finish(&self, answer: &EnrolFinish, peer: IpAddr) -> Result<Enrolled, Fault> {
        self.rates.anybody(peer)?;
        let over = || Fault::expired("nobody waits for this key: it came too late, or was given before", "start again");
        let Some(Pending::Enrolment(pending)) = self.resume(&answer.id)? else { return Err(over()) };
        let key = self.webauthn.finish_registration(pending.state.clone(), &answer.webauthn).map_err(|error| {
            tracing::info!(user = %pending.user, %error, "A key was refused");
            Fault::invalid("the key was refused", "try again, or try another key")
        })?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = self.peek_invite(&pending)?;
        let registration = self.registration(&pending, &key, stored)?;
        // Spent last, so that a refused key does not cost the invite, and first of all writes, so
        // that of two keys only one is registered.
        let now = self.now().as_secs();
        self.store.take(&key::invite(&pending.invite), now)?.ok_or_else(over)?;
        let pin = (registration.link == Link::Pinned).then(|| format!("sha256:{}", registration.pin()));
        self.store.write(&self.enrolment(&pending, &key, &registration)?)?;
        self.refresh();
        self.record_enrolled(&registration);
        Ok(Enrolled { user: registration.user.to_string(), pin })
    }

    /// What authenticators know the user by: the same each time, and no name.
    pub(crate) fn user_handle(&self, user: &UserName) -> [u8; 16] {
        let mut handle = [0; 16];
        let seed = token::sha256(&[b"tapgate/user-handle/v1", self.gate.as_bytes(), user.as_str().as_bytes()]);
        handle.iter_mut().zip(seed.as_bytes()).for_each(|(to, from)| *to = *from);
        handle
    }

    fn peek_invite(&self, pending: &PendingEnrolment) -> Result<StoredInvite, Fault> {
        let void = || Fault::expired("the invite was used or is over", "ask for a new one");
        let entry = self.store.get(&key::invite(&pending.invite), self.now().as_secs())?.ok_or_else(void)?;
        let stored: StoredInvite = serde_json::from_slice(&entry.value)?;
        if stored.invite.user == pending.user { Ok(stored) } else { Err(void()) }
    }

    /// The registration, if it is one that counts: a key of a kind that proofs know, nobody
    /// else's, and vouched for (or waiting for its pin).
    fn registration(
        &self,
        pending: &PendingEnrolment,
        key: &SecurityKey,
        stored: StoredInvite,
    ) -> Result<Registration, Fault> {
        let (credential_id, public) = usable(key)?;
        let known = self.registrations(key::REGISTRATIONS).map_err(Fault::internal)?;
        if known.iter().any(|other| other.credential_id == credential_id && other.user != pending.user) {
            return Err(unfit("the key is registered already"));
        }
        let registration = Registration {
            user: pending.user.clone(),
            credential_id,
            key: public,
            name: pending.device_name.clone(),
            created: self.now(),
            link: stored.link(),
        };
        let counts = registration.link == Link::Pinned || self.would_chain(&registration).map_err(Fault::internal)?;
        if !counts {
            return Err(Fault::conflict(
                "the invite counts for nothing any more",
                "ask your administrator for a new one",
            ));
        }
        Ok(registration)
    }

    /// All writes of an enrolment, to be made at once.
    fn enrolment(
        &self,
        pending: &PendingEnrolment,
        key: &SecurityKey,
        registration: &Registration,
    ) -> Result<Vec<Write>, Fault> {
        let (user, id) = (&registration.user, &registration.credential_id);
        let put = |key, value| Write::Put { key, value, expires: None };
        let mut writes = self.retire(user)?;
        // Where the same key is enrolled again, it is not retired after all.
        writes.push(Write::Delete { key: key::registration(user, id).replacen(key::REGISTRATIONS, key::RETIRED, 1) });
        writes.push(put(key::password(user), pending.password_hash.clone().into_bytes()));
        writes.push(put(key::registration(user, id), serde_json::to_vec(registration)?));
        writes.push(put(key::credential_state(user, id), serde_json::to_vec(key)?));
        Ok(writes)
    }

    pub(crate) fn record_enrolled(&self, registration: &Registration) {
        let (link, proof) = match &registration.link {
            Link::Pinned => ("pinned", None),
            Link::Invite { proof, .. } => ("invite", Some(proof)),
            Link::Device { proof } => ("device", Some(proof)),
        };
        let proof = proof.map(tapgate_session::tap_record);
        let (user, name) = (registration.user.clone(), registration.name.clone());
        self.sink.record(Event::enrolled(user, &registration.credential_id, name, link, proof));
    }
}

/// A key's id and public key, if proofs can be verified with it.
pub(crate) fn usable(key: &SecurityKey) -> Result<(Vec<u8>, CredentialKey), Fault> {
    let credential_id = key.cred_id().clone();
    if credential_id.len() > CREDENTIAL_ID_MAX {
        return Err(unfit("the key's credential id is too long"));
    }
    let public = webauthn::credential_key(key).ok_or_else(|| unfit("this kind of key is not supported"))?;
    Ok((credential_id, public))
}

pub(crate) fn unfit(what: &str) -> Fault {
    Fault::invalid(what, "try another key")
}

/// What the user calls the key, if it can stand in a list.
pub(crate) fn device_name(text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let legible = !text.is_empty() && text.chars().count() <= DEVICE_NAME_MAX && !text.chars().any(char::is_control);
    if legible {
        return Ok(text.to_owned());
    }
    Err(Fault::invalid("the key's name is not usable", "use 1 to 64 letters, such as `yubi`"))
}
