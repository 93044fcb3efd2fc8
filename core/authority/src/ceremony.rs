//! Pending ceremonies: kept in the store, counted, and taken out before anything is verified.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::Invite;
use tapgate_store::Write;

use crate::limits::CEREMONIES_MAX;
use crate::{Authority, Fault, key, token};

/// What waits for a client to finish it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "pending", rename_all = "snake_case")]
pub(crate) enum Pending {
    Tap(Box<PendingTap>),
    Enrolment(Box<PendingEnrolment>),
}

/// A tap that was asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingTap {
    pub(crate) user: UserName,
    pub(crate) expires: UnixTime,
    pub(crate) peer: IpAddr,
    /// The certificate with which it was begun; none at login.
    pub(crate) certificate: Option<Digest>,
    /// The 32 random bytes under the challenge.
    pub(crate) random: String,
    /// The statement's DER.
    pub(crate) statement: String,
    /// Whether the key must verify its user.
    pub(crate) verified: bool,
    /// The library's state; none for a decoy, which nobody can finish.
    pub(crate) state: Option<Value>,
    /// What went to the client for its authenticator, for a browser to read too.
    pub(crate) options: Value,
    pub(crate) work: Work,
}

/// What the tap is for.
#[derive(Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub(crate) enum Work {
    Login { tls_public_key: String, ssh_public_key: String },
    Session { public_key: String },
    Admin { body: String, invite: Option<Invite> },
}

impl Work {
    /// The word for the log and for counting.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Login { .. } => "login",
            Self::Session { .. } => "session",
            Self::Admin { .. } => "admin",
        }
    }
}

/// A first key that was asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingEnrolment {
    pub(crate) user: UserName,
    pub(crate) expires: UnixTime,
    pub(crate) invite: Digest,
    pub(crate) password_hash: String,
    pub(crate) device_name: String,
    pub(crate) state: Value,
    /// What went to the client for its authenticator, for a browser to read too.
    pub(crate) options: Value,
}

/// A ceremony's number: 256 bits, so that nobody guesses one.
pub(crate) fn new_id() -> String {
    token::to_text(&token::random::<32>())
}

impl Authority {
    /// Lets a ceremony wait. `scope` says among which others it is counted.
    pub(crate) fn suspend(&self, id: &str, scope: &str, pending: &Pending) -> Result<(), Fault> {
        let now = self.now().as_secs();
        let waiting = self.store.list(&key::waiting(scope, ""), now)?;
        if waiting.len() >= CEREMONIES_MAX {
            return Err(Fault::too_many());
        }
        let expires = pending.expires();
        let put = |key, value| Write::Put { key, value, expires: Some(expires.as_secs()) };
        let ceremony = put(key::ceremony(id), serde_json::to_vec(pending)?);
        self.store.write(&[ceremony, put(key::waiting(scope, id), Vec::new())])?;
        Ok(())
    }

    /// Takes a ceremony out of the store, so that of all who try to finish it one gets on.
    pub(crate) fn resume(&self, id: &str) -> Result<Option<Pending>, Fault> {
        if !is_id(id) {
            return Ok(None);
        }
        let now = self.now();
        let Some(bytes) = self.store.take(&key::ceremony(id), now.as_secs())? else { return Ok(None) };
        let pending: Pending = serde_json::from_slice(&bytes)?;
        self.store.delete(&key::waiting(&pending.scope(), id))?;
        Ok((now < pending.expires()).then_some(pending))
    }

    /// Looks at a ceremony and leaves it where it is.
    pub(crate) fn look_at(&self, id: &str) -> Result<Option<Pending>, Fault> {
        if !is_id(id) {
            return Ok(None);
        }
        let now = self.now();
        let Some(entry) = self.store.get(&key::ceremony(id), now.as_secs())? else { return Ok(None) };
        let pending: Pending = serde_json::from_slice(&entry.value)?;
        Ok((now < pending.expires()).then_some(pending))
    }
}

/// Whether this can be the number of something that waits.
pub(crate) fn is_id(id: &str) -> bool {
    id.len() == 43 && token::from_text(id).is_some_and(|bytes| bytes.len() == 32)
}

impl Pending {
    pub(crate) fn expires(&self) -> UnixTime {
        match self {
            Self::Tap(tap) => tap.expires,
            Self::Enrolment(enrolment) => enrolment.expires,
        }
    }

    fn scope(&self) -> String {
        match self {
            Self::Tap(tap) => tap.scope(),
            Self::Enrolment(enrolment) => enrolment.scope(),
        }
    }

    pub(crate) fn user(&self) -> &UserName {
        match self {
            Self::Tap(tap) => &tap.user,
            Self::Enrolment(enrolment) => &enrolment.user,
        }
    }

    /// The word for the log and the page.
    pub(crate) fn purpose(&self) -> &'static str {
        match self {
            Self::Tap(tap) => tap.work.as_str(),
            Self::Enrolment(_) => "enrol",
        }
    }
}

impl PendingTap {
    /// Among which others it is counted. Logins are counted by address too: whoever knows a name
    /// can begin one, and must not use up what the owner of the name may have waiting.
    pub(crate) fn scope(&self) -> String {
        match self.work {
            Work::Login { .. } => format!("login/{}/{}", self.user, self.peer),
            Work::Session { .. } | Work::Admin { .. } => format!("{}/{}", self.work.as_str(), self.user),
        }
    }
}

impl PendingEnrolment {
    pub(crate) fn scope(&self) -> String {
        format!("enrol/{}", self.user)
    }
}
