//! Telling the audit log what was said and what became of it, behind the session's back.

use std::collections::VecDeque;
use std::sync::Arc;

use tapgate_audit::{Deed, Statement};
use tapgate_session::{AuditText, Live};
use tapgate_sql::{Classified, Classifier, Dialect, redact};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::Over;
use crate::answer::Outcome;
use crate::limits::STOP_MAX;

/// What was asked for with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deal {
    /// It was said at once.
    Query,
    /// It was prepared.
    Prepare,
    /// It was said by the number that it was prepared under.
    Execute,
}

/// A statement on its way.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) deal: Deal,
    /// Its text; `None` where it is not UTF-8 or too long.
    pub(super) text: Option<Arc<str>>,
    /// What it does, where that is known already.
    pub(super) found: Option<Arc<Classified>>,
    /// Whether the target may ask for a file for it.
    pub(super) file: bool,
}

impl About {
    /// The bytes of its text.
    pub(super) fn weight(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.len())
    }
}

/// A statement and what became of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) about: About,
    pub(super) rows: Option<u64>,
    pub(super) fate: Fate,
}

/// What became of a statement.
#[derive(Debug)]
pub(super) enum Fate {
    Answered(Outcome),
    Refused(String),
    Unanswered,
}

/// Who writes it down.
pub(super) struct Scribe {
    classifier: Classifier,
    texts: AuditText,
    tellings: mpsc::Receiver<Box<Told>>,
    /// What is being read at the moment: it is not lost when the relay ends meanwhile.
    at_hand: Option<Box<Told>>,
}

impl Scribe {
    pub(super) const fn new(classifier: Classifier, texts: AuditText, tellings: mpsc::Receiver<Box<Told>>) -> Self {
        Self { classifier, texts, tellings, at_hand: None }
    }

    /// Writes until it is dropped.
    pub(super) async fn write(&mut self, live: &Live) -> Over {
        loop {
            if let Some(told) = &self.at_hand {
                self.tell(live, told).await;
            }
            self.at_hand = None;
            match self.tellings.recv().await {
                Some(told) => self.at_hand = Some(told),
                None => return std::future::pending().await,
            }
        }
    }

    /// Writes what is left, for as long as an end may take.
    pub(super) async fn finish(mut self, live: &Live, untold: VecDeque<Told>, unanswered: Vec<About>) {
        let end = Instant::now() + STOP_MAX;
        let mut rest: Vec<Told> = self.at_hand.take().into_iter().map(|told| *told).collect();
        while let Ok(told) = self.tellings.try_recv() {
            rest.push(*told);
        }
        rest.extend(untold);
        rest.extend(unanswered.into_iter().map(|about| Told { about, rows: None, fate: Fate::Unanswered }));
        let all = rest.len();
        for (n, told) in rest.iter().enumerate() {
            if timeout_at(end, self.tell(live, told)).await.is_err() {
                let left = all - n;
                live.did(Deed::Untold(format!("{left} statements: the session ended before they were read").into()));
                return;
            }
        }
    }

    /// Dropped before its end, it has told nothing.
    async fn tell(&self, live: &Live, told: &Told) {
        let About { deal, text, found, .. } = &told.about;
        let found = match (found, text) {
            (Some(found), _) => Arc::clone(found),
            (None, Some(text)) => self.classifier.classify(Dialect::MySql, Arc::clone(text)).await,
            (None, None) => Arc::new(Classified::unreadable()),
        };
        live.did_with(|| {
            let text = match (self.texts, text) {
                (AuditText::Off, _) | (_, None) => None,
                (AuditText::Redacted, Some(text)) => Some(redact(Dialect::MySql, text).into()),
                (AuditText::Full, Some(text)) => Some((&**text).into()),
            };
            let classes = found.classes.iter().map(|class| class.name().into()).collect();
            let tables = found.tables.iter().map(|table| (&**table).into()).collect();
            let outcome = match &told.fate {
                Fate::Answered(Outcome::Done) if *deal == Deal::Prepare => "prepared".into(),
                Fate::Answered(Outcome::Done) => "done".into(),
                Fate::Answered(Outcome::Failed(error)) => format!("failed: {error}").into(),
                Fate::Refused(why) => format!("refused: {why}").into(),
                Fate::Unanswered => "unanswered".into(),
            };
            Deed::Statement(Statement { classes, tables, text, rows: told.rows, outcome })
        });
    }
}
