//! The open loop: begins each session when it is due, and waits for all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};

use super::options::Protocol;
use super::plan::Pace;
use super::route::Route;
use super::tally::{Fault, Kind, Tally};
use super::{http, mysql, postgres, ssh};
use crate::error::{Act as _, Result};
use crate::limits::{LOAD_FILES_BESIDE, LOAD_PROGRESS, LOAD_SESSION_WAIT};

/// What each session does, and where.
pub(super) struct Work {
    pub(super) protocol: Protocol,
    /// The command, the statement or the path.
    pub(super) run: String,
    pub(super) routes: Vec<Route>,
}

impl Work {
    /// One session from its begin to its end; answers when the target was reached.
    async fn session(&self, route: &Route) -> Result<Instant, Fault> {
        match self.protocol {
            Protocol::Ssh => Box::pin(ssh::session(route, &self.run)).await,
            Protocol::Postgres => Box::pin(postgres::session(route, &self.run)).await,
            Protocol::Mysql => Box::pin(mysql::session(route, &self.run)).await,
            Protocol::Http | Protocol::Kube => Box::pin(http::session(route, &self.run)).await,
        }
    }

    /// The same, counted from when it was due.
    async fn counted(&self, n: usize, due: Instant, tally: &Mutex<Tally>) {
        let Some(route) = self.routes.get(n % self.routes.len().max(1)) else { return };
        let outcome = timeout(LOAD_SESSION_WAIT, self.session(route)).await;
        let late = || Fault::new(Kind::Late, format!("a session took longer than {} s", LOAD_SESSION_WAIT.as_secs()));
        match outcome.unwrap_or_else(|_| Err(late())) {
            Ok(reached) => lock(tally).succeed(reached.saturating_duration_since(due), due.elapsed()),
            Err(fault) => lock(tally).fail(fault),
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Drives the load on this thread, with the sessions on a runtime of all processors. A thread that sleeps is exact to
/// some fifty microseconds, where the runtime's own timer would round every begin up to a millisecond.
pub(super) fn drive(work: &Arc<Work>, pace: &Pace) -> Result<Tally> {
    raise_files(pace.at_once);
    let act = || "the load cannot be driven".to_owned();
    let runtime = Builder::new_multi_thread().enable_all().build().act(act)?;
    let tally = Arc::new(Mutex::new(Tally::new()?));
    let room = Arc::new(Semaphore::new(usize::try_from(pace.at_once).act(act)?));
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    runtime.spawn(async move {
        // Whoever ends the load early is told of what there was.
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.store(true, Ordering::Relaxed);
        }
    });
    let start = Instant::now();
    let end = tokio::time::Instant::from_std(start + pace.due(pace.count) + LOAD_SESSION_WAIT);
    let (mut progress, mut begun) = (Progress { told: start, start, pace }, 0);
    for n in 0..pace.count {
        let due = start + pace.due(n);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            break;
        }
        progress.tell(n, &tally, &room);
        let free = Arc::clone(&room).acquire_owned();
        let taken: Option<OwnedSemaphorePermit> =
            runtime.block_on(async { timeout_at(end, free).await }).ok().and_then(Result::ok);
        let behind = due.elapsed();
        let mut counts = lock(&tally);
        counts.behind = counts.behind.max(behind);
        let Some(taken) = taken else {
            counts.fail(Fault::new(Kind::NoRoom, "too many sessions were open (raise --at-once, or lower --rate)"));
            continue;
        };
        drop(counts);
        begun = n + 1;
        let (work, tally) = (Arc::clone(work), Arc::clone(&tally));
        runtime.spawn(async move {
            work.counted(usize::try_from(n).unwrap_or_default(), due, &tally).await;
            drop(taken);
        });
    }
    // Every place is free once every session is over; each ends in its time.
    let over = || runtime.block_on(async { timeout(LOAD_PROGRESS, room.acquire_many(pace.at_once)).await.is_ok() });
    while !over() {
        progress.tell(begun, &tally, &room);
    }
    let took = start.elapsed();
    runtime.shutdown_background();
    let mut counts = lock(&tally);
    counts.took = took;
    Ok(std::mem::replace(&mut *counts, Tally::new()?))
}

/// What is told of a long load while it goes on.
struct Progress<'a> {
    told: Instant,
    start: Instant,
    pace: &'a Pace,
}

impl Progress<'_> {
    fn tell(&mut self, begun: u32, tally: &Mutex<Tally>, room: &Semaphore) {
        if self.told.elapsed() < LOAD_PROGRESS {
            return;
        }
        self.told = Instant::now();
        let (well, failed) = {
            let counts = lock(tally);
            (counts.succeeded(), counts.failed())
        };
        let open = usize::try_from(self.pace.at_once).unwrap_or_default().saturating_sub(room.available_permits());
        eprintln!(
            "{} s: {begun} of {} begun, {well} succeeded, {failed} failed, {open} open",
            self.start.elapsed().as_secs(),
            self.pace.count
        );
    }
}

/// Each session is a file, and one more while it looks something up.
fn raise_files(at_once: u32) {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    if files < u64::from(at_once) + LOAD_FILES_BESIDE {
        eprintln!("WARNING: only {files} files may be open at once, for up to {at_once} sessions (raise ulimit -n)");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_that_cannot_be_had_is_counted_at_its_time() {
        let work = Arc::new(Work { protocol: Protocol::Ssh, run: "true".to_owned(), routes: Vec::new() });
        let pace = Pace { period: Duration::from_millis(1), count: 20, at_once: 2 };
        let tally = drive(&work, &pace).unwrap();
        // Without a route nothing is opened, and nothing is counted.
        assert_eq!((tally.succeeded(), tally.failed()), (0, 0));
        assert!(tally.took >= Duration::from_millis(19), "{:?}", tally.took);
    }
}
