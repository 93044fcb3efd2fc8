//! Commands that wait for their answers, in order, and the gate's own words between them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::scribe::About;
use crate::answer::{Answer, Form};
use crate::limits::{PREPARED_BYTES_MAX, PREPARED_MAX, WAITING_BYTES_MAX, WAITING_MAX};

/// What is due to the client next.
pub(super) enum Entry {
    /// The target's answer to a command of the client; the number of its next packet.
    Theirs { answer: Answer, number: u8, about: Option<About> },
    /// The target's answer to a command of the gate, of which the client hears nothing.
    Ours(Answer),
    /// A packet of the gate's.
    Words(Vec<u8>),
}

/// The queue, which one direction fills and the other empties.
pub(super) struct Waiting {
    state: Mutex<State>,
    no_eof: bool,
    /// Something is due that needs nothing of the target.
    pub(super) for_down: Notify,
    /// There is room again.
    pub(super) for_up: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Entry>,
    /// Bytes of the texts in it.
    bytes: usize,
    /// Whether the client is sending a file.
    pub(super) file: bool,
    /// Whether the target cuts texts in a way that can't be followed.
    pub(super) unreadable: bool,
    prepared: HashMap<u32, About>,
    prepared_bytes: usize,
}

impl Waiting {
    pub(super) fn new(no_eof: bool) -> Self {
        Self { state: Mutex::default(), no_eof, for_down: Notify::new(), for_up: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another command may be sent.
    pub(super) async fn room(&self) {
        while self.lock().is_full() {
            self.for_up.notified().await;
        }
    }

    /// A command goes to the target; its answer's first packet has this number.
    pub(super) fn due(&self, form: Form, number: u8, about: Option<About>) {
        let mut state = self.lock();
        state.bytes += about.as_ref().map_or(0, About::weight);
        state.queue.push_back(Entry::Theirs { answer: Answer::new(form, self.no_eof), number, about });
    }

    /// A command of the gate's own goes to the target.
    pub(super) fn due_own(&self) {
        self.lock().queue.push_back(Entry::Ours(Answer::new(Form::Status, self.no_eof)));
    }

    /// The gate says this itself, once everything before is answered.
    pub(super) fn say(&self, packet: Vec<u8>) {
        self.lock().queue.push_back(Entry::Words(packet));
        self.for_down.notify_one();
    }

    /// What is still without an answer.
    pub(super) fn unanswered(&self) -> Vec<About> {
        let entries = std::mem::take(&mut self.lock().queue);
        let about = |entry| if let Entry::Theirs { about, .. } = entry { about } else { None };
        entries.into_iter().filter_map(about).collect()
    }

    /// What was prepared under this number.
    pub(super) fn prepared(&self, number: u32) -> Option<About> {
        self.lock().prepared.get(&number).cloned()
    }

    /// It is no longer.
    pub(super) fn forget(&self, number: u32) {
        let mut state = self.lock();
        if let Some(gone) = state.prepared.remove(&number) {
            state.prepared_bytes -= gone.weight();
        }
    }

    /// None is.
    pub(super) fn forget_all(&self) {
        let mut state = self.lock();
        state.prepared.clear();
        state.prepared_bytes = 0;
    }
}

impl State {
    fn is_full(&self) -> bool {
        self.queue.len() >= WAITING_MAX || self.bytes >= WAITING_BYTES_MAX
    }

    /// The first entry was answered.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.queue.pop_front();
        if let Some(Entry::Theirs { about: Some(about), .. }) = &entry {
            self.bytes -= about.weight();
        }
        entry
    }

    /// This was prepared under this number.
    pub(super) fn keep(&mut self, number: u32, about: &About) {
        if self.prepared.len() < PREPARED_MAX && self.prepared_bytes + about.weight() <= PREPARED_BYTES_MAX {
            self.prepared_bytes += about.weight();
            if let Some(before) = self.prepared.insert(number, about.clone()) {
                self.prepared_bytes -= before.weight();
            }
        }
    }
}
