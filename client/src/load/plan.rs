//! When each session is due: pure arithmetic.

use std::time::Duration;

use super::Options;
use crate::error::{Failure, Result};
use crate::limits::LOAD_TARGETS_MAX;

/// When sessions are due, and how many of them may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Between one and the next.
    pub(super) period: Duration,
    /// How many there are.
    pub(super) count: u32,
    /// How many may be open at once.
    pub(super) at_once: u32,
}

impl Pace {
    /// What the options say.
    pub(super) fn of(options: &Options) -> Result<Self> {
        if options.targets.len() > LOAD_TARGETS_MAX {
            return Err(Failure::new(format!("{} targets are too many for one load", options.targets.len()))
                .advise(format!("name at most {LOAD_TARGETS_MAX}")));
        }
        let period = Duration::from_secs_f64(1.0 / options.rate);
        let count = options.duration.as_nanos() / period.as_nanos().max(1);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(
                Failure::new("at this rate no session is due within the duration").advise("raise --rate or --duration")
            );
        }
        Ok(Self { period, count, at_once: options.at_once })
    }

    /// How long after the first the session of this number is due.
    pub(super) fn due(&self, n: u32) -> Duration {
        self.period.saturating_mul(n)
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::tests::options;
    use super::*;

    #[test]
    fn a_rate_and_a_duration_are_a_number_of_sessions() {
        let pace = |rate: &str, duration: &str| {
            let words = ["--protocol", "ssh", "--targets", "a", "--rate", rate, "--duration", duration];
            Pace::of(&options(&words).unwrap()).map(|pace| (pace.count, pace.due(1).as_millis()))
        };
        assert_eq!(pace("50", "2s"), Ok((100, 20)));
        assert_eq!(pace("3", "1s"), Ok((3, 333)));
        assert_eq!(pace("0.5", "10s"), Ok((5, 2000)));
        assert_eq!(pace("10000", "24h"), Ok((864_000_000, 0)));
        assert!(pace("0.1", "5s").unwrap_err().to_string().contains("raise --rate"));
        let many = vec!["a"; LOAD_TARGETS_MAX + 1].join(",");
        let error = Pace::of(&options(&["--protocol", "ssh", "--targets", &many]).unwrap()).unwrap_err();
        assert!(error.to_string().contains("too many"), "{error}");
    }
}
