//! What may be said in a session, and how a text that may not is kept from the target.
//!
//! The target gets something in its stead that it refuses itself: then its error comes at the right place among its
//! answers, a transaction is failed as by any other error, and what follows up to the `Sync` is skipped by the target
//! itself. Only the words of that error are the gate's.

use std::sync::Arc;

use crate::said::Told;
use crate::wire::{self, Frame, text};

/// Judges the texts of one session.
pub(crate) struct Judge {
    /// What stands in for a refused text: no statement of SQL, and a word that nobody else says.
    stand_in: String,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self { stand_in: format!("tapgate_refused_{:032x}", rand::random::<u128>()) }
    }

    pub(crate) const fn judges(&self) -> bool {
        false
    }

    pub(crate) async fn judge(&self, _text: Option<&[u8]>) -> Option<Arc<str>> {
        None
    }

    pub(crate) fn setting(&self, _name: &[u8], _value: &[u8]) {}

    /// What goes to the target instead of this frame.
    pub(crate) fn stand_in(&self, frame: &Frame<'_>) -> Vec<u8> {
        match frame.kind {
            b'P' => {
                let name = if frame.whole { text(frame.body).0 } else { b"" };
                wire::frame(b'P', &[name, &[0], self.stand_in.as_bytes(), &[0, 0, 0]].concat())
            }
            _ => wire::frame(b'Q', &[self.stand_in.as_bytes(), &[0]].concat()),
        }
    }

    /// Whether an error is the target's answer to what stood in for a refused text.
    pub(crate) fn is_answer(&self, error: &[u8]) -> bool {
        error.windows(self.stand_in.len()).any(|part| part == self.stand_in.as_bytes())
    }

    pub(crate) fn known(&self, _told: &Told) -> Option<()> {
        None
    }

    pub(crate) async fn class_of(&self, _told: &Told) -> Option<()> {
        None
    }
}
