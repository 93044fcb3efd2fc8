//! Live sessions as their users and administrators see them: listed for them, and ended by them.

use std::net::SocketAddr;

use tapgate_model::{Digest, Login, SessionId, TargetRef, UnixTime, UserName};
use tapgate_proof::Holder;
use tokio::sync::broadcast;

use crate::live::{CutReason, Entry};
use crate::{Door, Gate, ProtocolName};

/// A live session, as its user may see it.
#[derive(Debug, Clone)]
pub struct LiveSession {
    /// The session's number.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserName,
    /// What it leads to.
    pub target: TargetRef,
    /// Who the user became there.
    pub login: Login,
    /// What it speaks.
    pub protocol: ProtocolName,
    /// How its proof was brought.
    pub door: Door,
    /// Where its client connected from.
    pub peer: SocketAddr,
    /// Since when the target is connected; none while it is being connected.
    pub since: Option<UnixTime>,
    /// Whether a tap opened it.
    pub tapped: bool,
}

impl LiveSession {
    fn of(entry: &Entry) -> Self {
        Self {
            id: entry.id,
            user: entry.identity.user().clone(),
            target: entry.record.target.clone(),
            login: entry.login.clone(),
            protocol: entry.facts.protocol,
            door: entry.facts.door,
            peer: entry.facts.peer,
            since: entry.since(),
            tapped: entry.tap.is_some(),
        }
    }
}

impl Gate {
    /// The web sessions that end from here on: for who has sessions of theirs elsewhere.
    pub fn sign_outs(&self) -> broadcast::Receiver<Digest> {
        self.signed_out().subscribe()
    }

    /// The live sessions of this user, the newest first.
    pub fn live_of(&self, user: &UserName) -> Vec<LiveSession> {
        let mut own = self.live().map(|entry| (entry.identity.user() == user).then(|| LiveSession::of(entry)));
        own.sort_by_key(|session| std::cmp::Reverse((session.since, session.id)));
        own
    }

    /// Every live session, the newest first.
    pub fn live_of_all(&self) -> Vec<LiveSession> {
        let mut all = self.live().map(|entry| Some(LiveSession::of(entry)));
        all.sort_by_key(|session| std::cmp::Reverse((session.since, session.id)));
        all
    }

    /// Ends anybody's session for an administrator; `false` where there is none of this number.
    pub fn end_any(&self, id: SessionId, by: &UserName) -> bool {
        self.live().cut_where(|entry| entry.id == id, &CutReason::EndedByAdministrator(by.clone())) > 0
    }

    /// The numbers of all live sessions.
    pub fn live_ids(&self) -> Vec<SessionId> {
        self.live().map(|entry| Some(entry.id))
    }

    /// Ends a session of this user; `false` where the user has none of this number.
    pub fn end_own(&self, user: &UserName, id: SessionId) -> bool {
        let mine = |entry: &Entry| entry.id == id && entry.identity.user() == user;
        self.live().cut_where(mine, &CutReason::EndedByUser) > 0
    }

    /// Ends every session that this holder opened, as when a web session is signed out, with those that its
    /// connections opened; answers how many.
    pub fn end_held(&self, holder: &Holder) -> usize {
        if let Holder::WebSession(id) = holder {
            // Nobody may be listening.
            self.signed_out().send(*id).unwrap_or_default();
        }
        let session = if let Holder::WebSession(session) = holder { Some(session) } else { None };
        let fits = |own: &Holder| own == holder || (session.is_some() && own.web_session() == session);
        self.live().cut_where(|entry| entry.facts.holder.as_ref().is_some_and(fits), &CutReason::SignedOut)
    }
}
