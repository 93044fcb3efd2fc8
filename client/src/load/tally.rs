//! What became of the sessions: latencies, and failures by their kind.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::{Act as _, Failure, Result};
use crate::limits::{LOAD_DIGITS, LOAD_LATENCY_MAX};

/// Why a session failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// In words; the first of each kind is shown.
    pub(super) text: String,
}

/// The kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// No connection, or TLS did not come about.
    Unreachable,
    /// The tap, or the certificate after it, was not had.
    Tap,
    /// Whoever was reached said no.
    Refused,
    /// It ended before its time.
    Broken,
    /// It answered something else than it should.
    Answer,
    /// It took longer than a session may.
    Late,
    /// It was due while too many others were open, until the load was over.
    NoRoom,
}

impl Kind {
    /// The word for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tap => "tap",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::Answer => "wrong_answer",
            Self::Late => "too_slow",
            Self::NoRoom => "no_room",
        }
    }
}

impl Fault {
    /// One of this kind.
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What turns an error into one of this kind.
    pub(super) fn of<E: std::fmt::Display>(kind: Kind) -> impl Fn(E) -> Self {
        move |error| Self::new(kind, error.to_string())
    }
}

/// The sum of it all.
#[derive(Debug)]
pub(super) struct Tally {
    /// Until the target was reached, in microseconds, from when the session was due.
    pub(super) connect: Histogram<u64>,
    /// Until the session was over.
    pub(super) session: Histogram<u64>,
    /// How many failed, and the first one's words.
    pub(super) faults: BTreeMap<Kind, (u64, String)>,
    /// How late a session was begun at most.
    pub(super) behind: Duration,
    /// From the first session's begin to the last one's end.
    pub(super) took: Duration,
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Result<Self> {
        let histogram = || {
            Histogram::new_with_bounds(1, micros(LOAD_LATENCY_MAX), LOAD_DIGITS)
                .act(|| "the histograms cannot be made".to_owned())
        };
        Ok(Self {
            connect: histogram()?,
            session: histogram()?,
            faults: BTreeMap::new(),
            behind: Duration::ZERO,
            took: Duration::ZERO,
        })
    }

    /// A session that went well: when its target was reached, and when it was over, counted from when it was due.
    pub(super) fn succeed(&mut self, connect: Duration, session: Duration) {
        self.connect.saturating_record(micros(connect));
        self.session.saturating_record(micros(session));
    }

    /// A session that failed.
    pub(super) fn fail(&mut self, fault: Fault) {
        self.faults.entry(fault.kind).or_insert((0, fault.text)).0 += 1;
    }

    /// How many went well.
    pub(super) fn succeeded(&self) -> u64 {
        self.session.len()
    }

    /// How many failed.
    pub(super) fn failed(&self) -> u64 {
        self.faults.values().map(|(count, _)| count).sum()
    }
}

/// The whole microseconds of a duration.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl From<Failure> for Fault {
    /// What goes wrong on the way to the gate or at its door, told apart by who said it.
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        let unreachable = ["cannot be reached", "did not prove itself", "is not a gate"];
        let kind = if unreachable.iter().any(|part| text.contains(part)) { Kind::Unreachable } else { Kind::Refused };
        Self { kind, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_sessions_is_counted() {
        let mut tally = Tally::new().unwrap();
        for n in 1..=100 {
            tally.succeed(Duration::from_millis(n), Duration::from_millis(2 * n));
        }
        tally.succeed(Duration::from_hours(9), Duration::from_hours(9));
        tally.fail(Fault::new(Kind::Refused, "first"));
        tally.fail(Fault::new(Kind::Refused, "second"));
        tally.fail(Fault::from(Failure::new("the gate x:1 cannot be reached: no")));
        assert_eq!((tally.succeeded(), tally.failed()), (101, 3));
        assert_eq!(tally.faults[&Kind::Refused], (2, "first".to_owned()));
        assert_eq!(tally.faults[&Kind::Unreachable].0, 1);
        let median = tally.connect.value_at_quantile(0.5);
        assert!((50_900..=51_100).contains(&median), "{median}");
        assert!(tally.connect.max() >= micros(LOAD_LATENCY_MAX), "what is longer counts as the longest");
    }
}
