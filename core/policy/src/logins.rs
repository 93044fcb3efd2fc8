//! Which logins a role names: literal words and templates, and for databases also `*`.

use std::collections::BTreeMap;

use tapgate_model::LoginName;

use crate::at::At;
use crate::section::Section;
use crate::template::{Expanded, Template};

/// One word as a role writes it.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Any,
    Text(String),
    Template(Template),
}

/// What the words of a list may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Login names. A wildcard would let somebody be root by accident.
    Logins,
    /// Any text, and `*` for every one.
    TextOrAny,
    /// Any text.
    Text,
}

/// Reads a list of words.
pub(crate) fn read(section: &Section<'_>, name: &'static str, take: Take) -> Vec<Word> {
    let items = section.take(name).and_then(|at| at.one_or_more()).unwrap_or_default();
    items.iter().filter_map(|at| word(at, take)).collect()
}

fn word(at: &At<'_>, take: Take) -> Option<Word> {
    let text = at.text()?;
    match Template::read(text) {
        Err(error) => at.problem(error),
        Ok(Some(template)) => return Some(Word::Template(template)),
        Ok(None) if text == "*" && take == Take::TextOrAny => return Some(Word::Any),
        Ok(None) if text.contains('*') => at.problem(no_wildcard(at.name(), text, take)),
        Ok(None) if take == Take::Logins => return at.parse::<LoginName>().map(|name| Word::Text(name.to_string())),
        Ok(None) => return Some(Word::Text(text.to_owned())),
    }
    None
}

fn no_wildcard(name: &str, text: &str, take: Take) -> String {
    match take {
        Take::TextOrAny => format!("`{name}`: `{text}` is not supported (use a whole name, or `*` alone)"),
        Take::Logins | Take::Text => format!("`{name}` takes no wildcard, but has `{text}` (name each one)"),
    }
}

/// A list of words for one user.
#[derive(Debug, Default)]
pub(crate) struct Words {
    any: bool,
    list: Vec<String>,
}

impl Words {
    /// Puts a user's traits into the templates.
    pub(crate) fn compile(words: &[Word], take: Take, traits: &BTreeMap<String, Vec<String>>) -> Self {
        let mut compiled = Self::default();
        for word in words {
            match word {
                Word::Any => compiled.any = true,
                Word::Text(text) => compiled.list.push(text.clone()),
                Word::Template(template) => {
                    template.expand(traits).into_iter().for_each(|value| compiled.add(value, take));
                }
            }
        }
        compiled.list.sort_unstable();
        compiled.list.dedup();
        compiled
    }

    fn add(&mut self, value: Expanded, take: Take) {
        match value {
            Expanded::Any => self.any |= take == Take::TextOrAny,
            Expanded::Text(text) if take == Take::Logins && text.parse::<LoginName>().is_err() => {}
            Expanded::Text(text) => self.list.push(text),
        }
    }

    /// Whether the list names this word.
    pub(crate) fn contains(&self, word: &str) -> bool {
        self.any || self.list.iter().any(|known| known == word)
    }

    /// Whether it names none.
    pub(crate) const fn is_empty(&self) -> bool {
        !self.any && self.list.is_empty()
    }

    /// The words, `*` first where every word is meant.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.any.then_some("*").into_iter().chain(self.list.iter().map(String::as_str))
    }
}
