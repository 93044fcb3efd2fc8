//! Many sessions of one identity and target at once: how often the gate does what one of them needs done once.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tapgate_benches::report::{Figure, Report};
use tapgate_model::Digest;
use tapgate_proof::{Holder, Uses};
use tapgate_session::testing::{CountingTaps, World, facts};
use tapgate_session::{Challenge, ConnectionFacts, Door, Invitation, NoPrompt, Prompt, PromptError};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, Semaphore};

use crate::{Asking, policy};

/// The names among the figures.
pub(crate) const COLD: &str = "check-stampede";
pub(crate) const CHALLENGES: &str = "check-stampede-challenges";

/// How many come at once.
const SESSIONS: u32 = 1_000;

/// How often they come, each time with an identity that was never seen: whether two race is a matter of luck.
const STAMPEDES: u32 = 20;

/// Both figures.
pub(crate) fn measure(report: &mut Report) -> Result<()> {
    // As the gate itself has it: a thread for each processor.
    let runtime = || Builder::new_multi_thread().enable_all().build().context("no runtime");
    if report.wants(COLD) {
        let what = "checks that found no evidence, of 1,000 sessions at once that one session certificate opens: the most \
                    of 20 times";
        report.add(COLD, Figure::count(what, 1.0, cold_checks(&runtime()?)?.into()));
    }
    if report.wants(CHALLENGES) {
        let what = "taps that 1,000 held asks of one holder for one target ask for at once, all of them freed by one";
        report.add(CHALLENGES, Figure::count(what, 1.0, challenges(&runtime()?)?.into()));
    }
    Ok(())
}

/// The most cold checks of a stampede, as the gate's own metric counts them.
fn cold_checks(runtime: &Runtime) -> Result<u32> {
    let cold = Arc::<Cold>::default();
    metrics::set_global_recorder(Counting(Arc::clone(&cold))).ok().context("somebody else counts already")?;
    let world = World::in_real_time(&policy());
    let mut most = 0;
    for _ in 0..STAMPEDES {
        let asking = Arc::new(Asking::of(world.tapped("prod3", "jerry", Uses::Window)));
        let before = cold.0.load(Ordering::SeqCst);
        runtime.block_on(stampede(&world, &asking))?;
        let counted = cold.0.load(Ordering::SeqCst) - before;
        ensure!(counted > 0, "nothing was verified, or the gate's metric has another name");
        most = most.max(counted);
    }
    Ok(most)
}

/// All of them open at the word of the last one.
async fn stampede(world: &World, asking: &Arc<Asking>) -> Result<()> {
    let begin = Arc::new(Barrier::new(usize::try_from(SESSIONS)?));
    let open = |_| {
        let (gate, asking, begin) = (world.gate.clone(), Arc::clone(asking), Arc::clone(&begin));
        tokio::spawn(async move {
            begin.wait().await;
            gate.open(&asking.ask(), &mut NoPrompt).await.map(drop).map_err(|refusal| refusal.message().to_owned())
        })
    };
    for session in (0..SESSIONS).map(open).collect::<Vec<_>>() {
        session.await?.map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

/// How many taps are asked for until all are held; then one tap frees them.
fn challenges(runtime: &Runtime) -> Result<u32> {
    let taps = Arc::<CountingTaps>::default();
    let world = World::with_taps(&policy(), Arc::<CountingTaps>::clone(&taps));
    let connection = Digest::from_bytes([3; 32]);
    let holder = Holder::SshSession(connection);
    let held = ConnectionFacts { door: Door::InBand, holder: Some(holder.clone()), ..facts() };
    let asking = Arc::new(Asking { facts: held, ..Asking::of(world.login("jerry")) });
    let tap = world.tap(holder, Uses::Once, Duration::from_mins(1));
    let shown = Arc::new(Semaphore::new(0));
    runtime.block_on(async {
        let open = |_| {
            let (gate, asking, mut prompt) = (world.gate.clone(), Arc::clone(&asking), Showing(Arc::clone(&shown)));
            tokio::spawn(async move {
                let opened = gate.open(&asking.ask(), &mut prompt).await;
                opened.map(drop).map_err(|refusal| refusal.message().to_owned())
            })
        };
        let sessions: Vec<_> = (0..SESSIONS).map(open).collect();
        shown.acquire_many(SESSIONS).await?.forget();
        ensure!(world.gate.deposit(&tap) == 1, "the tap frees nobody");
        for session in sessions {
            session.await?.map_err(anyhow::Error::msg)?;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(u32::try_from(taps.0.load(Ordering::SeqCst))?)
}

/// A client that can be asked, and says that it was.
struct Showing(Arc<Semaphore>);

impl Prompt for Showing {
    fn show<'a>(
        &'a mut self,
        _: &'a Challenge,
        _: &'a Invitation,
    ) -> Pin<Box<dyn Future<Output = Result<(), PromptError>> + Send + 'a>> {
        self.0.add_permits(1);
        Box::pin(ready(Ok(())))
    }
}

/// How many checks have found no evidence.
#[derive(Default)]
struct Cold(AtomicU32);

impl HistogramFn for Cold {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts those alone, of all that the gate measures.
struct Counting(Arc<Cold>);

impl Recorder for Counting {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let is_cold = key.labels().any(|label| (label.key(), label.value()) == ("warm", "false"));
        if key.name() == "session_check_seconds" && is_cold {
            return Histogram::from_arc(Arc::clone(&self.0));
        }
        Histogram::noop()
    }
}
