//! Who is owed an answer: SSH answers carry no number, so their order is all there is.

use std::collections::VecDeque;

use crate::limits::REPLIES_MAX;

/// The requests of one side, of one channel or of the connection, that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Replies(VecDeque<Due>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// The other side will answer, and the answer is passed on.
    Relayed,
    /// The other side will answer a question of our own.
    Own,
    /// We refuse, once all before it is answered.
    Refused,
}

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Whether it is passed on; else it was for us.
    pub(crate) forward: bool,
    /// How many refusals of ours follow it.
    pub(crate) refusals: usize,
}

/// More requests wait for an answer than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Replies {
    /// A request was passed on.
    pub(crate) fn relayed(&mut self) -> Result<(), Full> {
        self.push(Due::Relayed)
    }

    /// A request of our own was sent beside those that are passed on.
    pub(crate) fn own(&mut self) -> Result<(), Full> {
        self.push(Due::Own)
    }

    /// A request is refused; answers whether to say so now, because nothing before it is open.
    pub(crate) fn refused(&mut self) -> Result<bool, Full> {
        if self.0.is_empty() {
            return Ok(true);
        }
        self.push(Due::Refused).map(|()| false)
    }

    /// An answer came; `None` when nobody asked.
    pub(crate) fn answered(&mut self) -> Option<Answered> {
        let first = self.0.pop_front()?;
        let mut refusals = 0;
        while self.0.front() == Some(&Due::Refused) {
            self.0.pop_front();
            refusals += 1;
        }
        Some(Answered { forward: first == Due::Relayed, refusals })
    }

    fn push(&mut self, due: Due) -> Result<(), Full> {
        if self.0.len() >= REPLIES_MAX {
            return Err(Full);
        }
        self.0.push_back(due);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_waits_for_its_turn() {
        let mut replies = Replies::default();
        assert_eq!(replies.refused(), Ok(true));
        assert_eq!(replies.relayed(), Ok(()));
        assert_eq!(replies.refused(), Ok(false));
        assert_eq!(replies.refused(), Ok(false));
        assert_eq!(replies.own(), Ok(()));
        assert_eq!(replies.refused(), Ok(false));
        assert_eq!(replies.answered(), Some(Answered { forward: true, refusals: 2 }));
        assert_eq!(replies.answered(), Some(Answered { forward: false, refusals: 1 }));
        assert_eq!(replies.answered(), None);
    }

    #[test]
    fn a_flood_of_requests_ends() {
        let mut replies = Replies::default();
        for _ in 0..REPLIES_MAX {
            assert_eq!(replies.relayed(), Ok(()));
        }
        assert_eq!(replies.relayed(), Err(Full));
        assert_eq!(replies.refused(), Err(Full));
    }
}
