//! Where this process asks the one before it about its live sessions, and is answered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tapgate_api::LiveSessionEntry;
use tapgate_model::UserName;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::limits::ELDER_ANSWER_MAX;

/// What is asked. The answer is the sessions that it is about: those that are live, or those that have been ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// Which sessions are live?
    List,
    /// An end to this one, if it is this user's.
    EndOwn { id: String, user: UserName },
    /// An end to this one, by this administrator.
    Kill { id: String, by: UserName },
}

/// A question, and who waits for its answer.
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Vec<LiveSessionEntry>>,
}

/// The way to the process before this one, while there is one.
#[derive(Default)]
pub(crate) struct Desk(Mutex<Option<mpsc::Sender<Asked>>>);

/// The process before this one has not answered.
#[derive(Debug)]
pub(crate) struct Silent;

impl Desk {
    /// Opens the way; the questions come out at the other end.
    pub(super) fn open(&self) -> mpsc::Receiver<Asked> {
        let (way, questions) = mpsc::channel(1);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
        questions
    }

    /// Asks. Where there is no process before this one, or it has gone, there are no sessions.
    pub(crate) async fn ask(&self, question: Question) -> Result<Vec<LiveSessionEntry>, Silent> {
        let way = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(way) = way else { return Ok(Vec::new()) };
        let asked = async {
            let (answer, told) = oneshot::channel();
            match way.send(Asked { question, answer }).await {
                Ok(()) => told.await.unwrap_or_default(),
                Err(_) => Vec::new(),
            }
        };
        timeout(ELDER_ANSWER_MAX, asked).await.map_err(|_| Silent)
    }
}

/// Those who wait for answers, by the numbers of their questions.
#[derive(Default)]
pub(super) struct Waiting(Mutex<(u64, HashMap<u64, Expected>)>);

struct Expected {
    so_far: Vec<LiveSessionEntry>,
    answer: oneshot::Sender<Vec<LiveSessionEntry>>,
}

impl Waiting {
    /// A number for a question.
    pub(super) fn number(&self, answer: oneshot::Sender<Vec<LiveSessionEntry>>) -> u64 {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, all) = &mut *waiting;
        *last += 1;
        // Who has given up takes no room.
        all.retain(|_, expected| !expected.answer.is_closed());
        all.insert(*last, Expected { so_far: Vec::new(), answer });
        *last
    }

    /// A part of an answer, or the rest of it.
    pub(super) fn told(&self, number: u64, sessions: Vec<LiveSessionEntry>, more: bool) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut expected) = waiting.1.remove(&number) else { return };
        expected.so_far.extend(sessions);
        if more {
            waiting.1.insert(number, expected);
        } else {
            // Nobody may be waiting any more.
            expected.answer.send(expected.so_far).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> LiveSessionEntry {
        let of = |text: &str| text.to_owned();
        LiveSessionEntry {
            id: of(id),
            user: of("ann"),
            kind: of("node"),
            target: of("dev1"),
            login: of("root"),
            protocol: of("ssh"),
            peer: of("192.0.2.1"),
            since: Some(1),
            tapped: false,
        }
    }

    #[tokio::test]
    async fn a_question_is_answered_in_parts_and_those_without_a_process_at_once() {
        let desk = Desk::default();
        assert_eq!(desk.ask(Question::List).await.unwrap(), []);
        let (mut questions, waiting) = (desk.open(), Waiting::default());
        let answering = async {
            let Asked { question, answer } = questions.recv().await.unwrap();
            assert_eq!(question, Question::List);
            let number = waiting.number(answer);
            waiting.told(number + 1, vec![session("of-nobody")], false);
            waiting.told(number, vec![session("1")], true);
            waiting.told(number, vec![session("2")], false);
        };
        let (answer, ()) = tokio::join!(desk.ask(Question::List), answering);
        assert_eq!(answer.unwrap(), [session("1"), session("2")]);
        drop(questions);
        assert_eq!(desk.ask(Question::List).await.unwrap(), [], "it has gone, and its sessions with it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_does_not_answer_is_told_from_one_that_has_gone() {
        let desk = Desk::default();
        let _questions = desk.open();
        assert!(desk.ask(Question::List).await.is_err());
    }
}
