//! A place in a document: reads what stands there, and reports what should not.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::duration::duration;
use crate::limits::PROBLEMS_MAX;
use crate::locate::Step;
use crate::yaml::Yaml;

/// What is wrong with one document, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Findings(RefCell<Vec<(Vec<Step>, String)>>);

impl Findings {
    /// Notes a problem, up to a limit.
    pub(crate) fn add(&self, path: Vec<Step>, what: String) {
        let mut list = self.0.borrow_mut();
        if list.len() < PROBLEMS_MAX {
            list.push((path, what));
        }
    }

    /// Everything that was noted.
    pub(crate) fn into_list(self) -> Vec<(Vec<Step>, String)> {
        self.0.into_inner()
    }
}

/// A place in a document. Each reader gives `None` where it has reported a problem.
#[derive(Clone)]
pub(crate) struct At<'a> {
    yaml: &'a Yaml,
    path: Vec<Step>,
    findings: &'a Findings,
}

impl<'a> At<'a> {
    /// The document's top.
    pub(crate) fn root(yaml: &'a Yaml, findings: &'a Findings) -> Self {
        Self { yaml, path: Vec::new(), findings }
    }

    fn down(&self, step: Step, yaml: &'a Yaml) -> Self {
        let path = self.path.iter().cloned().chain([step]).collect();
        Self { yaml, path, findings: self.findings }
    }

    /// Reports a problem here.
    pub(crate) fn problem(&self, what: impl Into<String>) {
        self.findings.add(self.path.clone(), what.into());
    }

    /// Reports a problem with the field of this number.
    pub(crate) fn problem_at_entry(&self, number: usize, what: String) {
        let path = self.path.iter().cloned().chain([Step::Entry(number)]).collect();
        self.findings.add(path, what);
    }

    /// The nearest field's name, for messages.
    pub(crate) fn name(&self) -> &str {
        let field = |step: &'_ Step| matches!(step, Step::Field(_));
        match self.path.iter().rev().find(|step| field(step)) {
            Some(Step::Field(name)) => name,
            _ => "the document",
        }
    }

    /// The field of this name, where there is one.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        let (_, yaml) = self.raw_entries().iter().find(|(key, _)| key == name)?;
        Some(self.down(Step::Field(name.to_owned()), yaml))
    }

    /// The fields as they stand; none where this is no map.
    pub(crate) fn raw_entries(&self) -> &'a [(String, Yaml)] {
        match self.yaml {
            Yaml::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A map's fields, each name once. Nothing at all counts as an empty map.
    pub(crate) fn entries(&self) -> Option<Vec<(&'a str, Self)>> {
        match self.yaml {
            Yaml::Null => Some(Vec::new()),
            Yaml::Map(entries) => {
                self.report_repeated(entries);
                let at = |(key, yaml): &'a (String, Yaml)| (key.as_str(), self.down(Step::Field(key.clone()), yaml));
                Some(entries.iter().map(at).collect())
            }
            Yaml::Text(text) if text == "..." => {
                let name = self.name();
                self.problem(format!("`{name}` still holds the placeholder `...` (write its fields, or remove it)"));
                None
            }
            _ if self.path.is_empty() => {
                self.problem("the document must be a map (start it with `kind: role` or another kind)");
                None
            }
            _ => {
                self.problem(format!("`{}` must be a map (write its fields below it, indented)", self.name()));
                None
            }
        }
    }

    fn report_repeated(&self, entries: &[(String, Yaml)]) {
        let mut seen = HashSet::new();
        for (number, (key, _)) in entries.iter().enumerate() {
            if !seen.insert(key) {
                self.problem_at_entry(number, format!("`{key}` stands twice (keep one)"));
            }
        }
    }

    /// A list's items. Nothing at all counts as an empty list.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        match self.yaml {
            Yaml::Null => Some(Vec::new()),
            Yaml::List(items) => {
                Some(items.iter().enumerate().map(|(n, item)| self.down(Step::Item(n), item)).collect())
            }
            _ => {
                self.problem(format!("`{}` must be a list (start each item with `- `)", self.name()));
                None
            }
        }
    }

    /// A list's items, or the one value that stands in a list's place.
    pub(crate) fn one_or_more(&self) -> Option<Vec<Self>> {
        match self.yaml {
            Yaml::Text(_) | Yaml::Bool(_) | Yaml::Number(_) => Some(vec![self.clone()]),
            _ => self.items(),
        }
    }

    /// Whether nothing stands here.
    pub(crate) fn is_blank(&self) -> bool {
        match self.yaml {
            Yaml::Null => true,
            Yaml::List(items) => items.is_empty(),
            Yaml::Map(entries) => entries.is_empty(),
            Yaml::Bool(_) | Yaml::Number(_) | Yaml::Text(_) => false,
        }
    }

    /// Whether an empty text stands here.
    pub(crate) fn is_empty_text(&self) -> bool {
        matches!(self.yaml, Yaml::Text(text) if text.is_empty())
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let name = self.name();
        match self.yaml {
            Yaml::Text(text) if text.is_empty() => {
                self.problem(format!("`{name}` is empty (give it a value, or remove it)"));
            }
            Yaml::Text(text) if text.contains('\0') => self.problem(format!("`{name}` holds a zero byte (remove it)")),
            Yaml::Text(text) => return Some(text),
            Yaml::Null => self.problem(format!("`{name}` has no value (give it one, or remove it)")),
            Yaml::Bool(value) => self.problem(format!("`{name}` must be text (write it in quotes: \"{value}\")")),
            Yaml::Number(value) => self.problem(format!("`{name}` must be text (write it in quotes: \"{value}\")")),
            Yaml::List(_) => self.problem(format!("`{name}` must be one text (it is a list)")),
            Yaml::Map(_) => self.problem(format!("`{name}` must be one text (it is a map)")),
        }
        None
    }

    /// What a text is parsed to; its error says what to do.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&self) -> Option<T> {
        let text = self.text()?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(format!("`{}`: {error}", self.name()));
                None
            }
        }
    }

    /// A truth value: `true` or `false`, and the `yes`, `no`, `on`, `off` that people write.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.yaml {
            Yaml::Bool(value) => return Some(*value),
            Yaml::Text(text) if matches!(text.as_str(), "yes" | "on" | "true") => return Some(true),
            Yaml::Text(text) if matches!(text.as_str(), "no" | "off" | "false") => return Some(false),
            _ => self.problem(format!("`{}` is neither true nor false (use `true` or `false`)", self.name())),
        }
        None
    }

    /// A span of time; a bare `0` needs no unit.
    pub(crate) fn duration(&self) -> Option<Duration> {
        match duration(self.word()) {
            Ok(span) => Some(span),
            Err(error) => {
                self.problem(format!("`{}`: {error}", self.name()));
                None
            }
        }
    }

    /// The value as a word, for fields that take a truth value or a word.
    pub(crate) fn word(&self) -> &'a str {
        match self.yaml {
            Yaml::Bool(true) => "true",
            Yaml::Bool(false) => "false",
            Yaml::Text(text) | Yaml::Number(text) => text,
            Yaml::Null | Yaml::List(_) | Yaml::Map(_) => "",
        }
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let word = self.word();
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            let wrong = if word.is_empty() { "must be one word".to_owned() } else { format!("can't be `{word}`") };
            self.problem(format!("`{}` {wrong} (use {})", self.name(), names.join(", ")));
        }
        found
    }
}
