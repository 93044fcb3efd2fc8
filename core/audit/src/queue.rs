//! The bounded queue between those who record and the thread that writes. What does not fit is counted, in place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tapgate_model::{Clock, UnixTime};

use crate::{Event, Summary};

/// Events on their way to the disk.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Told what the writer must not sleep through: the first event, a whole batch, and whoever waits.
    filled: Condvar,
    /// Told when events have reached the disk.
    settled: Condvar,
    len_max: usize,
    /// How long after one batch the next one is taken at the earliest.
    gather: Duration,
    /// Whether the disk does not take events: what every session asks, without the lock.
    stuck: AtomicBool,
}

/// What the writer has to do next.
pub(crate) enum Work {
    /// To write these.
    Events(Vec<(UnixTime, Event)>),
    /// To make a checkpoint.
    Seal,
    /// To make a last one and stop.
    End,
}

struct State {
    /// INVARIANT: at most `len_max` events, and one more that counts those which did not fit.
    waiting: VecDeque<(UnixTime, Event)>,
    /// How many events were ever put into `waiting`.
    accepted: u64,
    /// How many of them have reached the disk.
    written: u64,
    summary: Summary,
    /// What the disk says, while it does not take events.
    trouble: Option<String>,
    /// Somebody waits for a checkpoint.
    seal: bool,
    /// Somebody waits for the disk, so that no batch may wait for more.
    hurry: bool,
    /// When the last batch was there.
    since: Option<Instant>,
    /// With how many events waiting the writer is to be woken, if it sleeps.
    wake_at: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(len_max: usize, gather: Duration, summary: Summary) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            accepted: 0,
            written: 0,
            summary,
            trouble: None,
            seal: false,
            hurry: false,
            since: None,
            wake_at: usize::MAX,
            closed: false,
        };
        let (filled, settled, stuck) = (Condvar::new(), Condvar::new(), AtomicBool::new(false));
        Self { state: Mutex::new(state), filled, settled, len_max, gather, stuck }
    }

    /// Adds an event. When the queue is full, the event is counted by an `audit.lost` at its end, so that
    /// the log says at which place how many are missing.
    pub(crate) fn push(&self, event: Event, clock: &dyn Clock) {
        let mut state = self.lock();
        let full = state.waiting.len() >= self.len_max;
        if full && let Some((_, Event::AuditLost { count })) = state.waiting.back_mut() {
            *count += 1;
            return;
        }
        // The time is read inside the lock, so that times do not run backwards in the log.
        let event = if full { Event::AuditLost { count: 1 } } else { event };
        state.waiting.push_back((clock.now(), event));
        state.accepted += 1;
        // Each call of the condition's is one of the system's, whether anybody waits or not.
        if state.waiting.len() >= state.wake_at {
            state.wake_at = usize::MAX;
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Waits for something to do: up to `max` events, or a checkpoint that somebody wants or that is due after so long.
    pub(crate) fn next(&self, max: usize, patience: Option<Duration>) -> Work {
        let mut state = self.wait_for(1, self.lock(), patience);
        let left = state.since.map_or(Duration::ZERO, |since| self.gather.saturating_sub(since.elapsed()));
        if !state.waiting.is_empty() && !left.is_zero() {
            state = self.wait_for(max, state, Some(left));
        }
        let len = state.waiting.len().min(max);
        if len > 0 {
            return Work::Events(state.waiting.drain(..len).collect());
        }
        if state.closed && !state.seal { Work::End } else { Work::Seal }
    }

    /// Sleeps until so many events wait, or somebody waits for the writer.
    fn wait_for<'a>(
        &self,
        len: usize,
        mut state: MutexGuard<'a, State>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        let sleeps = |state: &mut State| {
            let urgent = state.closed || state.seal || (state.hurry && !state.waiting.is_empty());
            state.wake_at = len;
            !urgent && state.waiting.len() < len
        };
        state = match at_most {
            None => self.filled.wait_while(state, sleeps).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.filled.wait_timeout_while(state, most, sleeps).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.wake_at = usize::MAX;
        state
    }

    /// Says that there is a checkpoint over everything that was written.
    pub(crate) fn sealed(&self) {
        self.lock().seal = false;
        self.settled.notify_all();
    }

    /// Wants a checkpoint, and waits for it; otherwise gives the trouble.
    pub(crate) fn seal(&self, wait: Duration) -> Result<(), String> {
        let mut state = self.lock();
        state.seal = true;
        self.filled.notify_all();
        let waited = self.settled.wait_timeout_while(state, wait, |state| state.seal);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.seal { Err(state.trouble.clone().unwrap_or_else(too_slow)) } else { Ok(()) }
    }

    /// Whether the disk does not take events at present.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Says that so many more events have reached the disk.
    pub(crate) fn settle(&self, len: usize, summary: Summary) {
        let mut state = self.lock();
        state.written += u64::try_from(len).unwrap_or(u64::MAX);
        state.summary = summary;
        state.since = Some(Instant::now());
        state.trouble = None;
        state.hurry &= state.written < state.accepted;
        self.stuck.store(false, Ordering::Relaxed);
        self.settled.notify_all();
    }

    /// Says that the disk does not take events, and waits before the next attempt. False when the queue is closed.
    pub(crate) fn wait_out(&self, trouble: String, wait: Duration) -> bool {
        let mut state = self.lock();
        state.trouble = Some(trouble);
        self.stuck.store(true, Ordering::Relaxed);
        let open = |state: &mut State| !state.closed;
        let waited = self.filled.wait_timeout_while(state, wait, open);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    /// Waits until everything that was pushed before has reached the disk, and otherwise gives the trouble.
    pub(crate) fn flush(&self, wait: Duration) -> Result<(), String> {
        let mut state = self.lock();
        let due = state.accepted;
        state.hurry = state.written < due;
        self.filled.notify_all();
        let waited = self.settled.wait_timeout_while(state, wait, |state| state.written < due);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.written < due {
            return Err(state.trouble.clone().unwrap_or_else(too_slow));
        }
        Ok(())
    }

    /// Ends the queue: what is in it is still written, nobody waits for more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    pub(crate) fn summary(&self) -> Summary {
        self.lock().summary
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_slow() -> String {
    "the disk is too slow".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapgate_model::ManualClock;

    /// What is taken next; nothing when the queue is closed and empty.
    fn take(queue: &Queue, max: usize) -> Option<Vec<(UnixTime, Event)>> {
        if let Work::Events(events) = queue.next(max, None) { Some(events) } else { None }
    }

    fn event(n: usize) -> Event {
        Event::security_warning(n.to_string())
    }

    #[test]
    fn what_does_not_fit_is_counted_where_it_is_missing() {
        let clock = ManualClock::new(UnixTime::from_secs(7));
        let queue = Queue::new(2, Duration::ZERO, Summary::EMPTY);
        let events = |max| take(&queue, max).unwrap().into_iter().map(|(_, event)| event).collect::<Vec<_>>();
        (0..5).for_each(|n| queue.push(event(n), &clock));
        assert_eq!(events(1), [event(0)]);
        queue.push(event(5), &clock);
        assert_eq!(events(9), [event(1), Event::AuditLost { count: 4 }], "still full: counted as well");
        queue.push(event(6), &clock);
        assert_eq!(events(9), [event(6)]);
        queue.close();
        assert!(take(&queue, 9).is_none());
    }

    #[test]
    fn the_queue_never_grows_past_its_limit() {
        let clock = ManualClock::new(UnixTime::from_secs(7));
        let queue = Queue::new(3, Duration::ZERO, Summary::EMPTY);
        let mut recorded = 0;
        for n in 0..1000 {
            queue.push(event(n), &clock);
            recorded += 1;
            assert!(queue.lock().waiting.len() <= 4);
            if n % 5 == 0 {
                recorded -= count(&take(&queue, 1).unwrap());
            }
        }
        recorded -= count(&take(&queue, 9).unwrap());
        assert_eq!(recorded, 0, "every event is there or counted");
    }

    #[test]
    fn a_batch_waits_for_more_until_it_is_whole_or_somebody_waits() {
        let clock = ManualClock::new(UnixTime::from_secs(7));
        let queue = Queue::new(100, Duration::from_hours(1), Summary::EMPTY);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                queue.settle(0, Summary::EMPTY);
                let whole = take(&queue, 3).unwrap().len();
                queue.settle(whole, Summary::EMPTY);
                let hurried = take(&queue, 3).unwrap().len();
                queue.settle(hurried, Summary::EMPTY);
                let after = take(&queue, 3);
                (whole, hurried, after.map(|events| events.len()))
            });
            (0..3).for_each(|n| queue.push(event(n), &clock));
            queue.flush(Duration::from_mins(1)).unwrap();
            queue.push(event(3), &clock);
            queue.flush(Duration::from_mins(1)).unwrap();
            queue.push(event(4), &clock);
            queue.close();
            assert_eq!(writer.join().unwrap(), (3, 1, Some(1)));
        });
    }

    fn count(batch: &[(UnixTime, Event)]) -> u64 {
        let one = |event: &Event| if let Event::AuditLost { count } = event { *count } else { 1 };
        batch.iter().map(|(_, event)| one(event)).sum()
    }
}
