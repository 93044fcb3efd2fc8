//! What waits for the store: counted, so that a store that is away does not fill the disk.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapgate_model::SessionId;
use tokio::sync::{Notify, watch};

use crate::{Kept, Writing};

/// The recordings that are here and not, or not whole, in the store.
pub(super) struct Ledger {
    state: Mutex<State>,
    most: u64,
    /// Told when there is something to bring there.
    pub(super) news: Notify,
    /// Whether the gate ends.
    pub(super) closed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// Whether each is still written.
    waiting: HashMap<SessionId, bool>,
    /// How many bytes they have together.
    held: u64,
}

impl Ledger {
    /// What an earlier run has left is brought there too.
    pub(super) fn new(left: &[Kept], most: u64) -> Self {
        let waiting = left.iter().map(|kept| (kept.session, false)).collect();
        let held = left.iter().map(|kept| kept.size).sum();
        let state = Mutex::new(State { waiting, held });
        Self { state, most, news: Notify::new(), closed: watch::Sender::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(self: &Arc<Self>, session: SessionId, file: Box<dyn Writing>) -> Spooled {
        self.lock().waiting.insert(session, true);
        Spooled { session, file, ledger: Arc::clone(self) }
    }

    /// Takes room for so many bytes more.
    pub(super) fn take_room(&self, len: usize) -> io::Result<()> {
        let mut state = self.lock();
        let held = state.held.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        if held > self.most {
            let what = "the store takes no recordings at present, and no more may wait for it";
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        state.held = held;
        Ok(())
    }

    /// Whether it is still written; none where it does not wait any more.
    pub(super) fn is_live(&self, session: SessionId) -> Option<bool> {
        self.lock().waiting.get(&session).copied()
    }

    pub(super) fn waiting(&self) -> Vec<SessionId> {
        self.lock().waiting.keys().copied().collect()
    }

    /// It is in the store, or gone for good.
    pub(super) fn forget(&self, session: SessionId, len: u64) {
        let mut state = self.lock();
        if state.waiting.remove(&session).is_some() {
            state.held = state.held.saturating_sub(len);
        }
    }
}

/// A recording that is written here.
pub(super) struct Spooled {
    session: SessionId,
    file: Box<dyn Writing>,
    ledger: Arc<Ledger>,
}

impl Write for Spooled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ledger.take_room(bytes.len())?;
        // What is counted twice after a short write is no more than a chunk, until the recording has gone.
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Writing for Spooled {
    fn settle(&mut self) -> io::Result<()> {
        self.file.settle()
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if let Some(live) = self.ledger.lock().waiting.get_mut(&self.session) {
            *live = false;
        }
        self.ledger.news.notify_one();
    }
}
