//! What a second thread at the same gate does to a warm check: little, where few lines of memory are written by both.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use anyhow::{Result, ensure};
use tapgate_benches::harness::compare;
use tapgate_benches::report::{Figure, Report};
use tapgate_proof::Uses;
use tapgate_session::testing::World;

use crate::{Asking, granted, policy};

/// Its name among the figures.
pub(crate) const NAME: &str = "check-two-threads";

/// The machine's own part: what a second thread does to a check of which it shares nothing.
const APART: &str = "check-two-threads-apart";

/// How many checks each thread makes: that one of them begins some tens of microseconds after the other is lost in it.
const BATCH: u32 = 20_000;

/// How much longer a check may take beside another: two threads must do 1.8 times what one does.
const GOAL: f64 = 2.0 / 1.8;

/// Who checks where.
type Work<'a> = (&'a World, &'a Asking);

/// Compares two threads at one gate with two that have a gate each, and those with one thread alone. Each has an
/// identity of its own, as two connections mostly have.
pub(crate) fn measure(report: &mut Report) -> Result<()> {
    if !report.wants(NAME) {
        return Ok(());
    }
    let policy = policy();
    // Evidence lasts for minutes from the world's beginning on: this one is new.
    let worlds = [(); 2].map(|()| World::in_real_time(&policy));
    let [world, other] = &worlds;
    let tapped = |world: &World| Asking::of(world.tapped("prod3", "jerry", Uses::Window));
    let (one, two, apart) = (tapped(world), tapped(world), tapped(other));
    let all = [(world, &one), (world, &two), (other, &apart)];
    let all_granted = || all.iter().all(|(world, asking)| granted(world, asking));
    ensure!(all_granted(), "the ask that is measured is not granted");
    let [first, second, third] = all;
    let together = compare(|| at_once(&[first, second]), || at_once(&[first, third]));
    let what = "wall-clock time of a check that finds its evidence, for each of two threads at once, each with an identity \
                of its own, against the same where each thread has a gate of its own too";
    report
        .add(NAME, Figure::ratio(what, Some(GOAL), ["two threads at one gate", "two threads, a gate each"], &together));
    let machine = compare(|| at_once(&[first, third]), || at_once(&[first]));
    ensure!(all_granted(), "the evidence ran out meanwhile");
    let what = "what the machine itself makes of two threads: wall-clock time of a check for each of two that share nothing, \
                against one thread alone";
    report.add(APART, Figure::ratio(what, None, ["two threads, a gate each", "one thread alone"], &machine));
    Ok(())
}

/// A thread for each of them, all at once; the nanoseconds of one check by the wall clock, which also knows of the
/// moments in which a thread stands still.
fn at_once(all: &[Work<'_>]) -> f64 {
    let together = Barrier::new(all.len());
    let alone = &|(world, asking): Work<'_>| {
        let ask = asking.ask();
        together.wait();
        let begun = Instant::now();
        for _ in 0..BATCH {
            drop(black_box(world.gate.check(&ask)));
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|work| scope.spawn(move || alone(*work))).collect();
        let each: Vec<f64> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        each.iter().sum::<f64>() / f64::from(u32::try_from(each.len()).unwrap_or(u32::MAX))
    })
}
