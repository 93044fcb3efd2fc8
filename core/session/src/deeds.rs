//! What was done in a session, on its way to the audit log, at a pace that leaves room for others.

use std::sync::{MutexGuard, PoisonError};

use tapgate_audit::{Deed, DeedFacts, Event};
use tapgate_model::UnixTime;

use crate::Live;
use crate::limits::DEEDS_PER_SECOND_MAX;

/// Counts one session's deeds of the present second, and those that were too many.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    second: u64,
    told: u32,
    untold: u64,
}

impl Pace {
    /// Whether a deed at this time is logged.
    fn admits(&mut self, now: UnixTime) -> bool {
        if now.as_secs() != self.second {
            (self.second, self.told) = (now.as_secs(), 0);
        }
        let admits = self.told < DEEDS_PER_SECOND_MAX;
        self.told += u32::from(admits);
        self.untold += u64::from(!admits);
        admits
    }

    /// Whether a deed at this time would be logged.
    const fn has_room(&self, now: UnixTime) -> bool {
        now.as_secs() != self.second || self.told < DEEDS_PER_SECOND_MAX
    }

    /// How many were not logged since this was asked last.
    fn settle(&mut self) -> Option<Deed> {
        let count = std::mem::take(&mut self.untold);
        (count > 0).then(|| Deed::Untold(format!("{count} deeds came faster than they are logged").into()))
    }
}

impl Live {
    /// Tells the audit log what was done in this session. Never waits.
    pub fn did(&self, deed: Deed) {
        self.did_with(|| deed);
    }

    /// The same, where the deed is made only if there is room for it: a fast session does not pay for what is not
    /// logged.
    pub fn did_with(&self, deed: impl FnOnce() -> Deed) {
        let admits = self.pace().admits(self.gate.clock().now());
        if admits {
            self.settle_deeds();
            self.tell(deed());
        } else if let Some(tape) = self.tape() {
            // A recording has room for all of them.
            tape.deed(&self.event(deed()));
        }
    }

    /// Whether a deed of this moment would be logged: where making one takes effort, it is asked first.
    pub fn has_room(&self) -> bool {
        let now = self.gate.clock().now();
        self.tape().is_some() || self.pace().has_room(now)
    }

    /// Says how many deeds were not logged, if any.
    pub(crate) fn settle_deeds(&self) {
        let untold = self.pace().settle();
        if let Some(untold) = untold {
            self.tell(untold);
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, deed: Deed) {
        let event = self.event(deed);
        if let Some(tape) = self.tape() {
            tape.deed(&event);
        }
        self.gate.sink().record(event);
    }

    fn event(&self, deed: Deed) -> Event {
        let of = DeedFacts { session: self.id(), user: self.user().clone(), target: self.target().name.clone() };
        Event::deed(of, deed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_told() {
        let mut pace = Pace::default();
        let at = UnixTime::from_secs;
        for _ in 0..DEEDS_PER_SECOND_MAX {
            assert!(pace.admits(at(7)));
        }
        assert_eq!(pace.settle(), None);
        assert!(!pace.admits(at(7)));
        assert!(!pace.admits(at(7)));
        assert!(pace.admits(at(8)));
        assert_eq!(pace.settle(), Some(Deed::Untold("2 deeds came faster than they are logged".into())));
        assert_eq!(pace.settle(), None);
    }
}
