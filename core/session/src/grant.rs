//! A grant: the right to open one session to one resolved target, spent by dialling.

use std::sync::Arc;

use tapgate_identity::Identity;
use tapgate_model::{Digest, Login, TargetRef, UnixTime};
use tapgate_policy::Terms;

use crate::evidence::Tap;
use crate::snapshot::Record;
use crate::{ConnectionFacts, Gate};

/// The right to open one session to one resolved target.
///
/// It can't be cloned, stored or made elsewhere, and the target's address in it can't be read:
/// what can be done with a grant is to [`dial`](Grant::dial) it.
#[must_use = "a grant that is not dialled opens nothing"]
pub struct Grant {
    pub(crate) gate: Gate,
    pub(crate) basis: Arc<Basis>,
    pub(crate) facts: ConnectionFacts,
    /// A tap that is good for one session must be spent before the target is dialled.
    pub(crate) spend: Option<Spend>,
    /// Whether evidence was at hand, so that nothing had to be decided or verified.
    pub(crate) warm: bool,
}

/// What must be spent for one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spend {
    pub(crate) proof: Digest,
    pub(crate) until: UnixTime,
    /// The SSH key whose touch it is, and what it has counted.
    pub(crate) count: Option<(Digest, u32)>,
}

/// What a grant rests on. Every session under one piece of evidence shares it, so that a check which
/// finds evidence copies one pointer.
pub(crate) struct Basis {
    /// Who: the holder of the certificate that the evidence is kept for.
    pub(crate) identity: Arc<Identity>,
    pub(crate) record: Arc<Record>,
    pub(crate) login: Login,
    pub(crate) terms: Terms,
    /// The tap that covers the session, where one was due.
    pub(crate) tap: Option<Arc<Tap>>,
    /// The snapshot under which `record` was found and `terms` were decided.
    pub(crate) epoch: u64,
    /// The last moment at which it may open a further session, where it may open one at all.
    pub(crate) deadline: Option<UnixTime>,
}

impl Basis {
    /// Whether it still opens sessions: nothing was decided anew since, and its time is not over.
    pub(crate) fn opens(&self, epoch: u64, now: UnixTime) -> bool {
        self.epoch == epoch && self.deadline.is_some_and(|deadline| now <= deadline)
    }
}

impl Grant {
    /// Makes a grant; only the check calls this.
    pub(crate) fn new(gate: &Gate, facts: &ConnectionFacts, basis: Arc<Basis>, spend: Option<Spend>) -> Self {
        Self { gate: gate.clone(), basis, facts: facts.clone(), spend, warm: false }
    }

    /// A grant on evidence that was at hand.
    pub(crate) fn on_evidence(gate: &Gate, facts: &ConnectionFacts, basis: Arc<Basis>) -> Self {
        Self { warm: true, ..Self::new(gate, facts, basis, None) }
    }

    /// What the session may do and for how long.
    pub fn terms(&self) -> &Terms {
        &self.basis.terms
    }

    /// The target, without its address.
    pub fn target(&self) -> &TargetRef {
        &self.basis.record.target
    }
}
