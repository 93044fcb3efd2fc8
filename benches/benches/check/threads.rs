//! What a second thread does to a warm check: nothing, where no line of memory that both write stands between them.

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

/// How many checks each thread makes: that one of them begins some tens of microseconds after the other is lost in it.
const BATCH: u32 = 20_000;

/// How much longer a check may take beside another: two threads must do 1.8 times what one does.
const GOAL: f64 = 2.0 / 1.8;

/// Compares two threads at work with one. Each has an identity of its own, as two connections mostly have.
pub(crate) fn measure(report: &mut Report) -> Result<()> {
    if !report.wants(NAME) {
        return Ok(());
    }
    // Evidence lasts for minutes from the world's beginning on: this one is new.
    let world = World::in_real_time(&policy());
    let askings = [(); 2].map(|()| Asking::of(world.tapped("prod3", "jerry", Uses::Window)));
    let all_granted = |askings: &[Asking]| askings.iter().all(|asking| granted(&world, asking));
    ensure!(all_granted(&askings), "the ask that is measured is not granted");
    let [one, _] = &askings;
    let found = compare(|| at_once(&world, &askings), || at_once(&world, std::slice::from_ref(one)));
    ensure!(all_granted(&askings), "the evidence ran out meanwhile");
    let what = "wall-clock time of a check that finds its evidence, for each of two threads at once, each with an identity \
                of its own, against one thread alone";
    report.add(NAME, Figure::ratio(what, Some(GOAL), ["one of two threads", "one thread alone"], &found));
    Ok(())
}

/// A thread for each of them, all at once; the nanoseconds of one check by the wall clock, which also knows of the
/// moments in which a thread stands still.
fn at_once(world: &World, askings: &[Asking]) -> f64 {
    let (gate, together) = (&world.gate, Barrier::new(askings.len()));
    let alone = &|asking: &Asking| {
        let ask = asking.ask();
        together.wait();
        let begun = Instant::now();
        for _ in 0..BATCH {
            drop(black_box(gate.check(&ask)));
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = askings.iter().map(|asking| scope.spawn(move || alone(asking))).collect();
        let each: Vec<f64> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
        each.iter().sum::<f64>() / f64::from(u32::try_from(each.len()).unwrap_or(u32::MAX))
    })
}
