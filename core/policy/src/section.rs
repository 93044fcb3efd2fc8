//! A map whose every field must be known: what nobody takes is reported, never ignored.

use std::cell::RefCell;

use crate::at::At;

/// A map that is being read. [`Section::finish`] reports the fields that nobody took.
pub(crate) struct Section<'a> {
    at: At<'a>,
    place: &'static str,
    known: RefCell<Vec<&'static str>>,
    unsupported: &'static [(&'static str, &'static str)],
}

impl<'a> Section<'a> {
    /// Starts to read the map at this place; `place` names it in messages.
    pub(crate) fn open(at: At<'a>, place: &'static str) -> Option<Self> {
        at.entries()?;
        Some(Self { at, place, known: RefCell::default(), unsupported: &[] })
    }

    /// Names fields that exist elsewhere but not here, each with what to do instead.
    #[must_use]
    pub(crate) fn without(self, unsupported: &'static [(&'static str, &'static str)]) -> Self {
        Self { unsupported, ..self }
    }

    /// Takes a field, where it is there.
    pub(crate) fn take(&self, name: &'static str) -> Option<At<'a>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&name) {
            known.push(name);
        }
        self.at.field(name)
    }

    /// Takes a field that must be there.
    pub(crate) fn need(&self, name: &'static str, example: &str) -> Option<At<'a>> {
        let found = self.take(name);
        if found.is_none() {
            self.at.problem(format!("`{name}` is missing in {} (add `{name}: {example}`)", self.place));
        }
        found
    }

    /// Whether one of these fields holds something.
    pub(crate) fn holds_any(&self, names: &[&str]) -> bool {
        names.iter().filter_map(|name| self.at.field(name)).any(|at| !at.is_blank())
    }

    /// Takes a map, where it is there.
    pub(crate) fn section(&self, name: &'static str, place: &'static str) -> Option<Self> {
        self.take(name).and_then(|at| Self::open(at, place))
    }

    /// Takes a text, where it is there.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        self.take(name)?.text().map(str::to_owned)
    }

    /// Takes a truth value; `default` where it is absent.
    pub(crate) fn flag(&self, name: &'static str, default: bool) -> bool {
        self.take(name).and_then(|at| at.flag()).unwrap_or(default)
    }

    /// Takes a list of texts, or one text in its place; empty where it is absent.
    pub(crate) fn texts(&self, name: &'static str) -> Vec<String> {
        let items = self.take(name).and_then(|at| at.one_or_more()).unwrap_or_default();
        items.iter().filter_map(At::text).map(str::to_owned).collect()
    }

    /// Reports a problem with the map itself.
    pub(crate) fn problem(&self, what: impl Into<String>) {
        self.at.problem(what);
    }

    /// Reports every field that was not taken.
    pub(crate) fn finish(self) {
        let known = self.known.into_inner();
        for (number, (name, _)) in self.at.raw_entries().iter().enumerate() {
            if known.contains(&name.as_str()) {
                continue;
            }
            let place = self.place;
            let what = match self.unsupported.iter().find(|(unsupported, _)| unsupported == name) {
                Some((_, instead)) => format!("`{name}` in {place} is not supported ({instead})"),
                None => format!("unknown field `{name}` in {place} (use {})", known.join(", ")),
            };
            self.at.problem_at_entry(number, what);
        }
    }
}
