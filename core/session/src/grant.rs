//! A grant: the right to open one session to one resolved target, spent by dialling.

use std::sync::Arc;

use tapgate_identity::Identity;
use tapgate_model::{Digest, Login, SessionId, TargetRef, UnixTime};
use tapgate_policy::Terms;

use crate::evidence::Tap;
use crate::snapshot::Record;
use crate::{Ask, ConnectionFacts, Gate};

/// The right to open one session to one resolved target.
///
/// It can't be cloned, stored or made elsewhere, and the target's address in it can't be read:
/// what can be done with a grant is to [`dial`](Grant::dial) it.
#[must_use = "a grant that is not dialled opens nothing"]
pub struct Grant {
    pub(crate) gate: Gate,
    pub(crate) id: SessionId,
    pub(crate) identity: Arc<Identity>,
    pub(crate) record: Arc<Record>,
    pub(crate) login: Login,
    pub(crate) facts: ConnectionFacts,
    pub(crate) terms: Terms,
    /// The tap that covers the session, where one was due.
    pub(crate) tap: Option<Arc<Tap>>,
    /// A tap that is good for one session must be spent before the target is dialled.
    pub(crate) spend: Option<(Digest, UnixTime)>,
    pub(crate) epoch: u64,
}

/// What the check found out, beside the ask itself.
pub(crate) struct Found {
    pub(crate) record: Arc<Record>,
    pub(crate) terms: Terms,
    pub(crate) tap: Option<Arc<Tap>>,
    pub(crate) spend: Option<(Digest, UnixTime)>,
    pub(crate) epoch: u64,
}

impl Grant {
    /// Makes a grant; only the check calls this.
    pub(crate) fn new(gate: &Gate, ask: &Ask<'_>, found: Found) -> Self {
        Self {
            gate: gate.clone(),
            id: gate.next_session_id(),
            identity: Arc::clone(ask.identity),
            record: found.record,
            login: ask.login.clone(),
            facts: ask.connection.clone(),
            terms: found.terms,
            tap: found.tap,
            spend: found.spend,
            epoch: found.epoch,
        }
    }

    /// The session's number.
    pub const fn session_id(&self) -> SessionId {
        self.id
    }

    /// What the session may do and for how long.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The target, without its address.
    pub fn target(&self) -> &TargetRef {
        &self.record.target
    }
}
