//! Live sessions: a user's own, listed for them and ended by them, and everybody's, for those who watch over them.

use std::net::SocketAddr;

use tapgate_model::{Login, SessionId, TargetRef, UnixTime, UserName};
use tapgate_proof::Holder;

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
    /// The live sessions of this user, the newest first.
    pub fn live_of(&self, user: &UserName) -> Vec<LiveSession> {
        let mut own = self.live().map(|entry| (entry.identity.user() == user).then(|| LiveSession::of(entry)));
        own.sort_by_key(|session| std::cmp::Reverse((session.since, session.id)));
        own
    }

    /// Everybody's live sessions, the newest first.
    pub fn live_of_all(&self) -> Vec<LiveSession> {
        let mut all = self.live().map(|entry| Some(LiveSession::of(entry)));
        all.sort_by_key(|session| std::cmp::Reverse((session.since, session.id)));
        all
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

    /// Ends every session that this holder opened, as when a web session is signed out; answers how many.
    pub fn end_held(&self, holder: &Holder) -> usize {
        self.live().cut_where(|entry| entry.facts.holder.as_ref() == Some(holder), &CutReason::SignedOut)
    }
}
