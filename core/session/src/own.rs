//! A user's own live sessions: listed for them, and ended by them.

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
        let session = if let Holder::WebSession(session) = holder { Some(session) } else { None };
        let fits = |own: &Holder| own == holder || (session.is_some() && own.web_session() == session);
        self.live().cut_where(|entry| entry.facts.holder.as_ref().is_some_and(fits), &CutReason::SignedOut)
    }
}
