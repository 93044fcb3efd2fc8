//! What was done in a session, on its way to the audit log, at a pace that leaves room for others.

use std::sync::PoisonError;

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

    /// How many were not logged since this was asked last.
    fn settle(&mut self) -> Option<Deed> {
        let count = std::mem::take(&mut self.untold);
        (count > 0).then(|| Deed::Untold(format!("{count} deeds came faster than they are logged").into()))
    }
}

impl Live {
    /// Tells the audit log what was done in this session. Never waits.
    pub fn did(&self, deed: Deed) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.admits(self.gate.clock().now()) {
            self.tell_all(pace.settle().into_iter().chain([deed]));
        }
    }

    /// Says how many deeds were not logged, if any.
    pub(crate) fn settle_deeds(&self) {
        let untold = self.pace.lock().unwrap_or_else(PoisonError::into_inner).settle();
        self.tell_all(untold.into_iter());
    }

    fn tell_all(&self, deeds: impl Iterator<Item = Deed>) {
        for deed in deeds {
            let of = DeedFacts { session: self.id(), user: self.user().clone(), target: self.target().name.clone() };
            self.gate.sink().record(Event::deed(of, deed));
        }
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
