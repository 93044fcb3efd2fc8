//! What is under way in a session: which text each answer of the target belongs to. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::limits::{PORTALS_MAX, PREPARED_MAX, UNANSWERED_MAX};
use crate::said::{Outcome, Said, Told};
use crate::wire::{Broken, Frame, field, text};

/// Follows both directions of a session.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about a direction")]
#[derive(Debug, Default)]
pub(crate) struct Watch {
    prepared: HashMap<Box<[u8]>, Arc<Said>>,
    portals: HashMap<Box<[u8]>, Arc<Said>>,
    unanswered: VecDeque<Item>,
    /// Whether the target takes rows, and looks at nothing else meanwhile.
    copying: bool,
    /// Whether the client has taken its leave.
    left: bool,
    /// Whether the target has, in words of its own.
    dismissed: bool,
    /// Whether something was said that is not answered.
    busy: bool,
    over: Vec<Told>,
}

/// A message that the target answers, in the order in which it does.
#[derive(Debug)]
enum Item {
    /// A simple query, or a call of a function. A `ReadyForQuery` ends it.
    Query(Running),
    /// One text run so many times, one after the other.
    Execute(Running, usize),
    /// A text that the gate did not let be prepared.
    Refused(Running),
    /// The end of an exchange. A `ReadyForQuery` answers it.
    Sync,
}

#[derive(Debug)]
struct Running {
    said: Option<Arc<Said>>,
    rows: Option<u64>,
    outcome: Outcome,
}

impl Running {
    fn new(said: Option<Arc<Said>>, refused: Option<Arc<str>>) -> Self {
        Self { said, rows: None, outcome: refused.map_or(Outcome::Done, Outcome::Refused) }
    }

    fn over(self) -> Told {
        Told { said: self.said, rows: self.rows, outcome: self.outcome }
    }

    fn end(mut self, outcome: Outcome) -> Told {
        if !matches!(self.outcome, Outcome::Refused(_) | Outcome::Failed(_)) {
            self.outcome = outcome;
        }
        self.over()
    }
}

impl Watch {
    /// Whether a client's frame of this kind matters here.
    pub(crate) const fn wants_of_client(kind: u8) -> bool {
        matches!(kind, b'Q' | b'P' | b'B' | b'E' | b'C' | b'S' | b'F' | b'c' | b'f' | b'X')
    }

    /// Whether a target's frame of this kind matters here.
    pub(crate) const fn wants_of_target(kind: u8) -> bool {
        matches!(kind, b'C' | b'E' | b'Z' | b's' | b'I' | b'G')
    }

    /// The client has sent something.
    pub(crate) const fn stir(&mut self) {
        self.busy = true;
    }

    /// A frame of the client goes to the target, or in its stead one that the target refuses, for these words.
    pub(crate) fn client(
        &mut self,
        frame: &Frame<'_>,
        said: Option<Arc<Said>>,
        refused: Option<Arc<str>>,
    ) -> Result<(), Broken> {
        match frame.kind {
            b'Q' | b'F' => self.push(Item::Query(Running::new(said, refused)))?,
            b'P' if refused.is_some() => self.push(Item::Refused(Running::new(said, refused)))?,
            b'P' => {
                if let Some(said) = said {
                    remember(&mut self.prepared, text(frame.body).0, said, PREPARED_MAX);
                }
            }
            b'B' => self.bind(frame.body),
            b'E' => self.execute(text(frame.body).0)?,
            b'C' => self.close(frame.body),
            b'S' if self.copying => {}
            b'S' => self.push(Item::Sync)?,
            b'c' | b'f' => self.copying = false,
            b'X' => self.left = true,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, item: Item) -> Result<(), Broken> {
        if self.unanswered.len() >= UNANSWERED_MAX {
            return Err(Broken::Flood);
        }
        self.unanswered.push_back(item);
        Ok(())
    }

    fn bind(&mut self, body: &[u8]) {
        let (portal, rest) = text(body);
        match self.prepared.get(text(rest).0).cloned() {
            Some(said) => remember(&mut self.portals, portal, said, PORTALS_MAX),
            None => drop(self.portals.remove(portal)),
        }
    }

    fn execute(&mut self, portal: &[u8]) -> Result<(), Broken> {
        let said = self.portals.get(portal).cloned();
        if let Some(Item::Execute(running, times)) = self.unanswered.back_mut()
            && same(running.said.as_ref(), said.as_ref())
        {
            *times += 1;
            return Ok(());
        }
        self.push(Item::Execute(Running::new(said, None), 1))
    }

    fn close(&mut self, body: &[u8]) {
        if let Some((what, name)) = body.split_first() {
            let names = if *what == b'S' { &mut self.prepared } else { &mut self.portals };
            names.remove(text(name).0);
        }
    }

    /// A frame of the target goes to the client. Where it is the answer to what the gate has put in a text's stead,
    /// `answers_ours` says so, and the words that the client must read in its stead come back.
    pub(crate) fn target(&mut self, frame: &Frame<'_>, answers_ours: impl Fn(&[u8]) -> bool) -> Option<Arc<str>> {
        match frame.kind {
            b'C' => self.complete(rows_in(text(frame.body).0)),
            b's' | b'I' => self.complete(None),
            b'G' => self.copy_in(),
            b'Z' => self.ready(),
            b'E' => return self.error(frame.body, answers_ours),
            _ => {}
        }
        None
    }

    fn complete(&mut self, rows: Option<u64>) {
        let add = |running: &mut Running| {
            if let Some(rows) = rows {
                running.rows = Some(running.rows.unwrap_or_default().saturating_add(rows));
            }
        };
        match self.unanswered.front_mut() {
            Some(Item::Query(running)) => add(running),
            Some(Item::Execute(running, times)) => {
                add(running);
                *times -= 1;
                if *times == 0 {
                    self.pop();
                }
            }
            Some(Item::Refused(_) | Item::Sync) | None => {}
        }
    }

    fn pop(&mut self) {
        if let Some(Item::Query(running) | Item::Execute(running, _) | Item::Refused(running)) =
            self.unanswered.pop_front()
        {
            self.over.push(running.over());
        }
    }

    /// While the target takes rows it reads over every `Sync` (`CopyGetData` there), and drivers send one too many.
    fn copy_in(&mut self) {
        self.copying = true;
        if matches!(self.unanswered.front(), Some(Item::Execute(..))) {
            self.unanswered.retain(|item| !matches!(item, Item::Sync));
        }
    }

    /// Everything up to the end of an exchange is over.
    fn ready(&mut self) {
        self.copying = false;
        self.busy = false;
        while let Some(item) = self.unanswered.pop_front() {
            match item {
                Item::Query(running) => {
                    self.over.push(running.over());
                    return;
                }
                Item::Sync => return,
                Item::Execute(running, _) | Item::Refused(running) => self.over.push(running.end(Outcome::Skipped)),
            }
        }
    }

    fn error(&mut self, body: &[u8], answers_ours: impl Fn(&[u8]) -> bool) -> Option<Arc<str>> {
        self.copying = false;
        self.dismissed |= matches!(field(body, b'V').or_else(|| field(body, b'S')), Some(b"FATAL" | b"PANIC"));
        if answers_ours(body) {
            let refused = self.unanswered.iter().find_map(|item| match item {
                Item::Query(Running { outcome: Outcome::Refused(words), .. })
                | Item::Refused(Running { outcome: Outcome::Refused(words), .. }) => Some(Arc::clone(words)),
                _ => None,
            });
            return refused.or_else(|| Some("this statement is not allowed here".into()));
        }
        let code = || String::from_utf8_lossy(field(body, b'C').unwrap_or_default()).into_owned();
        match self.unanswered.front_mut() {
            Some(Item::Query(running) | Item::Execute(running, _)) => running.outcome = Outcome::Failed(code()),
            // What was to be refused is not even reached.
            Some(Item::Refused(running)) => running.outcome = Outcome::Skipped,
            Some(Item::Sync) | None => {}
        }
        None
    }

    /// What is over since this was asked last.
    pub(crate) fn over(&mut self) -> std::vec::Drain<'_, Told> {
        self.over.drain(..)
    }

    /// The session ends: what has no answer gets none.
    pub(crate) fn finish(&mut self) {
        for item in std::mem::take(&mut self.unanswered) {
            if let Item::Query(running) | Item::Execute(running, _) | Item::Refused(running) = item {
                self.over.push(running.end(Outcome::Unanswered));
            }
        }
    }

    /// Whether the client has taken its leave.
    pub(crate) const fn has_left(&self) -> bool {
        self.left
    }

    /// Whether the target has ended the session in words of its own.
    pub(crate) const fn was_dismissed(&self) -> bool {
        self.dismissed
    }

    /// Whether nothing is asked that is not answered.
    pub(crate) const fn rests(&self) -> bool {
        !self.busy
    }
}

fn same(one: Option<&Arc<Said>>, other: Option<&Arc<Said>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Remembers a text under a name. With too many names a new one is not remembered, and its text not told.
fn remember(names: &mut HashMap<Box<[u8]>, Arc<Said>>, name: &[u8], said: Arc<Said>, max: usize) {
    if let Some(known) = names.get_mut(name) {
        *known = said;
    } else if names.len() < max {
        names.insert(name.into(), said);
    }
}

/// The rows in a command's tag: the last word of `INSERT 0 5`, `SELECT 3`, `COPY 7`.
fn rows_in(tag: &[u8]) -> Option<u64> {
    let last = tag.rsplit(|byte| *byte == b' ').next()?;
    str::from_utf8(last).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
