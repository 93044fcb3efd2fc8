//! Two sides measured in turns, and what their costs say of each other.
//!
//! Neighbours on the machine make any single time worthless, so nothing here reads a wall clock: CPU time is
//! counted, of this thread or of other processes. Both sides run in every round, the second time in the other
//! order, so that a slow moment strikes both; the tenth percentile leaves out the batches that were interrupted,
//! and resampling whole rounds tells how far the answer may be trusted.

use std::convert::Infallible;
use std::hint::black_box;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::plot::{SHARES, Values};

/// How many rounds a comparison has: twice what the tenth percentile needs to be more than the minimum.
pub const ROUNDS: usize = 60;

/// How many resamples the interval is read from: enough for its ends to stand still in the third digit.
const RESAMPLES: usize = 2_000;

/// The share of batches that are taken to be undisturbed.
const UNDISTURBED: f64 = 0.1;

/// One round: two batches of each side, in nanoseconds an operation unless more was measured at once.
#[derive(Debug, Clone, Copy)]
pub struct Round<T = f64> {
    a: [T; 2],
    b: [T; 2],
}

impl<T: Copy> Round<T> {
    /// One of the things that were measured at once.
    pub fn only(self, pick: impl Fn(T) -> f64) -> Round {
        Round { a: self.a.map(&pick), b: self.b.map(&pick) }
    }
}

/// A value, and the interval that holds it with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How what it was found in is distributed: the values below which 0 %, 5 %, … and 100 % lie. None of a quotient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<Values>,
}

impl Estimate {
    /// A value with its interval, and nothing told of its distribution.
    pub const fn new(value: f64, low: f64, high: f64) -> Self {
        Self { value, low, high, shares: None }
    }

    /// The same in another unit.
    #[must_use]
    pub fn scaled(self, by: f64) -> Self {
        let Self { value, low, high, shares } = self;
        Self { value: value * by, low: low * by, high: high * by, shares: shares.map(|all| all.map(|one| one * by)) }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    /// What A costs, in nanoseconds an operation.
    pub a: Estimate,
    /// What B costs, in nanoseconds an operation.
    pub b: Estimate,
    /// A over B.
    pub ratio: Estimate,
}

/// Runs the operation `times` times and answers the CPU nanoseconds that each took.
pub fn batch<T>(times: u32, mut operation: impl FnMut() -> T) -> f64 {
    let start = cpu_nanos();
    for _ in 0..times {
        black_box(operation());
    }
    (cpu_nanos() - start) / f64::from(times)
}

/// Runs both sides in turns, A B B A, and compares. Each side runs one batch and answers its cost.
pub fn compare(mut a: impl FnMut() -> f64, mut b: impl FnMut() -> f64) -> Compared {
    let rounds = in_turns(ROUNDS, || Ok::<_, Infallible>(a()), || Ok(b()));
    weigh(&rounds.unwrap_or_else(|never| match never {}))
}

/// The same for sides that may fail, over as many rounds as their length allows.
pub fn in_turns<T, E>(
    rounds: usize,
    mut a: impl FnMut() -> Result<T, E>,
    mut b: impl FnMut() -> Result<T, E>,
) -> Result<Vec<Round<T>>, E> {
    // The first round fills caches and is not counted.
    black_box((a()?, b()?));
    let round = |_| {
        let (a1, b1, b2, a2) = (a()?, b()?, b()?, a()?);
        Ok(Round { a: [a1, a2], b: [b1, b2] })
    };
    (0..rounds).map(round).collect()
}

/// What the rounds say.
pub fn weigh(rounds: &[Round]) -> Compared {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let resamples: Vec<Vec<Round>> = (0..RESAMPLES).map(|_| random.resample(rounds)).collect();
    let estimate = |of: fn(&[Round]) -> f64| {
        let mut found: Vec<f64> = resamples.iter().map(|rounds| of(rounds)).collect();
        Estimate::new(of(rounds), percentile(&mut found, 0.025), percentile(&mut found, 0.975))
    };
    let distributed = |of: fn(&[Round]) -> f64, side: fn(&Round) -> [f64; 2]| {
        let mut values: Vec<f64> = rounds.iter().flat_map(side).collect();
        Estimate { shares: Some(shares(&mut values)), ..estimate(of) }
    };
    let (a, b) = (distributed(cost_of_a, |round| round.a), distributed(cost_of_b, |round| round.b));
    Compared { a, b, ratio: estimate(|r| cost_of_a(r) / cost_of_b(r)) }
}

fn cost_of_a(rounds: &[Round]) -> f64 {
    percentile(&mut rounds.iter().flat_map(|round| round.a).collect::<Vec<_>>(), UNDISTURBED)
}

fn cost_of_b(rounds: &[Round]) -> f64 {
    percentile(&mut rounds.iter().flat_map(|round| round.b).collect::<Vec<_>>(), UNDISTURBED)
}

/// The value below which this share of the values lies; zero where there are none.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let place = f64::from(u32::try_from(last).unwrap_or(u32::MAX)) * share;
    let at = (0..last).find(|&n| f64::from(u32::try_from(n).unwrap_or(u32::MAX)) >= place.round()).unwrap_or(last);
    values.get(at).copied().unwrap_or_default()
}

/// What is kept of a distribution.
fn shares(values: &mut [f64]) -> Values {
    let last = f64::from(u32::try_from(SHARES.saturating_sub(1)).unwrap_or(1));
    let mut kept = [0.0; SHARES];
    for (n, kept) in (0_u32..).zip(kept.iter_mut()) {
        *kept = percentile(values, f64::from(n) / last);
    }
    kept
}

/// Of a few values that nothing is compared with: the middle one, from the lower quarter to the greatest.
pub fn middle(mut values: Vec<f64>) -> Estimate {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    Estimate::new(at(values.len() / 2), at(values.len() / 4), at(values.len().saturating_sub(1)))
}

/// The CPU time of this thread, in nanoseconds.
fn cpu_nanos() -> f64 {
    // INVARIANT: every Linux has this clock, and reading it takes no argument that could be wrong.
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the thread's CPU clock can be read");
    std::time::Duration::from(time).as_secs_f64() * 1e9
}

/// The CPU time of a whole process, in nanoseconds: of all its threads, also of those that have ended.
pub fn process_nanos(id: u32) -> nix::Result<f64> {
    let id = Pid::from_raw(i32::try_from(id).map_err(|_| nix::errno::Errno::ESRCH)?);
    let time = clock_gettime(clock_getcpuclockid(id)?)?;
    Ok(std::time::Duration::from(time).as_secs_f64() * 1e9)
}

/// A generator of the kind xorshift64*: the same resamples in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or_default() % end.max(1)
    }

    fn resample(&mut self, rounds: &[Round]) -> Vec<Round> {
        (0..rounds.len()).filter_map(|_| rounds.get(self.below(rounds.len())).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let found = [0.0, 0.1, 0.5, 1.0].map(|share| percentile(&mut values, share).to_string());
        assert_eq!(found, ["0", "10", "50", "100"]);
        assert_eq!(percentile(&mut [], 0.1).to_string(), "0");
    }

    #[test]
    fn the_middle_one() {
        let found = middle([7.0, 1.0, 6.0, 2.0, 5.0, 3.0, 4.0].to_vec());
        assert_eq!(found, Estimate::new(4.0, 2.0, 7.0));
        assert_eq!(middle(Vec::new()), Estimate::new(0.0, 0.0, 0.0));
    }

    #[test]
    fn disturbed_rounds_do_not_count() {
        let round = |n: u32| {
            let noise = if n.is_multiple_of(3) { 900.0 } else { f64::from(n % 5) };
            Round { a: [200.0 + noise, 201.0], b: [100.0, 101.0 + noise] }
        };
        let found = weigh(&(0..60).map(round).collect::<Vec<_>>());
        assert!((1.95..2.05).contains(&found.ratio.value), "{found:?}");
        assert!(found.ratio.low <= found.ratio.value && found.ratio.value <= found.ratio.high, "{found:?}");
        assert!(found.ratio.high - found.ratio.low < 0.1, "{found:?}");
        // What was disturbed is seen in the distribution all the same.
        let shares = found.a.shares.unwrap();
        assert!(shares.is_sorted() && shares[2] < 202.0 && shares[SHARES - 1] > 1000.0, "{shares:?}");
        assert_eq!(found.ratio.shares, None);
    }

    #[test]
    fn a_failing_side_ends_the_comparison() {
        let mut left = 8;
        let mut a = || {
            left -= 1;
            if left == 0 { Err("over") } else { Ok([1.0, 2.0]) }
        };
        let b = || Ok([3.0, 4.0]);
        let first = in_turns(3, &mut a, b).unwrap()[0].only(|[_, second]| second);
        assert_eq!(format!("{:?} {:?}", first.a, first.b), "[2.0, 2.0] [4.0, 4.0]");
        assert_eq!(in_turns(3, &mut a, b).unwrap_err(), "over");
    }

    #[test]
    fn the_clock_of_a_process_runs() {
        let before = process_nanos(std::process::id()).unwrap();
        batch(2_000, || (0..4_000).fold(0_u32, |sum, i| black_box(sum ^ i)));
        assert!(process_nanos(std::process::id()).unwrap() > before);
    }

    #[test]
    fn more_work_costs_more() {
        let work = |n: u32| move || batch(200, || (0..n).fold(0_u32, |sum, i| black_box(sum ^ i)));
        let found = compare(work(4_000), work(1_000));
        assert!(found.ratio.value > 2.0, "{found:?}");
    }
}
