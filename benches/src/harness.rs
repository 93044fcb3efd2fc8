//! Two sides measured in turns, and what their costs say of each other.
//!
//! Neighbours on the machine make any single time worthless, so nothing here reads a wall clock: the CPU time of
//! this thread is counted. Both sides run in every round, the second time in the other order, so that a slow
//! moment strikes both; the tenth percentile leaves out the batches that were interrupted, and resampling whole
//! rounds tells how far the answer may be trusted.

use std::hint::black_box;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// How many rounds a comparison has: twice what the tenth percentile needs to be more than the minimum.
pub const ROUNDS: usize = 60;

/// How many resamples the interval is read from: enough for its ends to stand still in the third digit.
const RESAMPLES: usize = 2_000;

/// The share of batches that are taken to be undisturbed.
const UNDISTURBED: f64 = 0.1;

/// One round: two batches of each side, in nanoseconds an operation.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    a: [f64; 2],
    b: [f64; 2],
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
    // The first round fills caches and is not counted.
    black_box((a(), b()));
    let rounds: Vec<Round> = (0..ROUNDS)
        .map(|_| {
            let (a1, b1, b2, a2) = (a(), b(), b(), a());
            Round { a: [a1, a2], b: [b1, b2] }
        })
        .collect();
    weigh(&rounds)
}

/// What the rounds say.
pub fn weigh(rounds: &[Round]) -> Compared {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let resamples: Vec<Vec<Round>> = (0..RESAMPLES).map(|_| random.resample(rounds)).collect();
    let estimate = |of: fn(&[Round]) -> f64| {
        let mut found: Vec<f64> = resamples.iter().map(|rounds| of(rounds)).collect();
        Estimate { value: of(rounds), low: percentile(&mut found, 0.025), high: percentile(&mut found, 0.975) }
    };
    Compared { a: estimate(cost_of_a), b: estimate(cost_of_b), ratio: estimate(|r| cost_of_a(r) / cost_of_b(r)) }
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

/// The CPU time of this thread, in nanoseconds.
fn cpu_nanos() -> f64 {
    // INVARIANT: every Linux has this clock, and reading it takes no argument that could be wrong.
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the thread's CPU clock can be read");
    std::time::Duration::from(time).as_secs_f64() * 1e9
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
    fn disturbed_rounds_do_not_count() {
        let round = |n: u32| {
            let noise = if n.is_multiple_of(3) { 900.0 } else { f64::from(n % 5) };
            Round { a: [200.0 + noise, 201.0], b: [100.0, 101.0 + noise] }
        };
        let found = weigh(&(0..60).map(round).collect::<Vec<_>>());
        assert!((1.95..2.05).contains(&found.ratio.value), "{found:?}");
        assert!(found.ratio.low <= found.ratio.value && found.ratio.value <= found.ratio.high, "{found:?}");
        assert!(found.ratio.high - found.ratio.low < 0.1, "{found:?}");
    }

    #[test]
    fn more_work_costs_more() {
        let work = |n: u32| move || batch(200, || (0..n).fold(0_u32, |sum, i| black_box(sum ^ i)));
        let found = compare(work(4_000), work(1_000));
        assert!(found.ratio.value > 2.0, "{found:?}");
    }
}
