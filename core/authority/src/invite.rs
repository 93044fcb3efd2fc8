//! Invites: 256 bits for a first key, stored as a hash, good for an hour and once.

use serde::{Deserialize, Serialize};
use tapgate_api::InviteCreated;
use tapgate_model::{Digest, UserName};
use tapgate_proof::{Invite, Link, Proof};
use tapgate_store::Write;

use crate::limits::INVITE_TTL;
use crate::{Authority, Fault, key, token};

/// An invite as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredInvite {
    pub(crate) invite: Invite,
    /// Who vouches for it; nobody for a first administrator, whose key must be pinned.
    pub(crate) vouched: Option<Vouched>,
}

/// An administrator's tap over an invite.
#[derive(Serialize, Deserialize)]
pub(crate) struct Vouched {
    pub(crate) admin: UserName,
    pub(crate) proof: Proof,
}

impl StoredInvite {
    /// What the registration says of where it comes from.
    pub(crate) fn link(self) -> Link {
        match self.vouched {
            None => Link::Pinned,
            Some(Vouched { admin, proof }) => Link::Invite { invite: self.invite, proof, admin },
        }
    }
}

impl Authority {
    /// The invite of this name (a ceremony's number). It is derived, not stored, so that between
    /// the administrator's request and the tap no copy of the store gives it away.
    pub(crate) fn invite_token(&self, name: &str) -> [u8; 32] {
        self.invites.derive("invite", name)
    }

    pub(crate) fn new_invite(&self, user: &UserName, secret: &[u8; 32], request: &[u8]) -> Invite {
        let now = self.now();
        let token_sha256 = token::sha256(&[secret]);
        let request_sha256 = token::sha256(&[request]);
        Invite { user: user.clone(), token_sha256, request_sha256, created: now, expires: now.plus(INVITE_TTL) }
    }

    /// The writes that make the invite count and all older ones for the same user void.
    pub(crate) fn store_invite(&self, stored: &StoredInvite) -> Result<Vec<Write>, Fault> {
        let mut writes = self.void_invites(&stored.invite.user)?;
        writes.push(Write::Put {
            key: key::invite(&stored.invite.token_sha256),
            value: serde_json::to_vec(stored)?,
            expires: Some(stored.invite.expires.as_secs()),
        });
        Ok(writes)
    }

    pub(crate) fn void_invites(&self, user: &UserName) -> Result<Vec<Write>, Fault> {
        let mut writes = Vec::new();
        for (key, entry) in self.store.list(key::INVITES, self.now().as_secs())? {
            if serde_json::from_slice::<StoredInvite>(&entry.value)?.invite.user == *user {
                writes.push(Write::Delete { key });
            }
        }
        Ok(writes)
    }

    /// The invite whose secret was shown, still in the store.
    pub(crate) fn open_invite(&self, text: &str) -> Result<(Digest, StoredInvite), Fault> {
        let void =
            || Fault::not_found("the invite is not valid: it was used, or is over, or never was (ask for a new one)");
        let secret = token::from_text(text).filter(|bytes| bytes.len() == 32).ok_or_else(void)?;
        let digest = token::sha256(&[&secret]);
        let entry = self.store.get(&key::invite(&digest), self.now().as_secs())?.ok_or_else(void)?;
        Ok((digest, serde_json::from_slice(&entry.value)?))
    }
}

/// An invite, to be shown once.
pub(crate) fn created(invite: &Invite, secret: &[u8; 32]) -> InviteCreated {
    let (user, expires) = (invite.user.to_string(), invite.expires.as_secs());
    InviteCreated { user, token: token::to_text(secret), expires }
}
