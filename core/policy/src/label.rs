//! Label selectors: every key must fit, and for each key any of its values.

use std::collections::BTreeMap;
use std::fmt;

use tapgate_model::Labels;

use crate::at::At;
use crate::pattern::Pattern;
use crate::template::{Expanded, Template};

/// A selector as a role writes it.
#[derive(Debug, Clone, Default)]
pub(crate) enum Selector {
    /// Left out: no target.
    #[default]
    Nothing,
    /// `'*': '*'`: every target.
    Any,
    /// Every one of these keys, with any of its values.
    Keys(Vec<(String, Vec<Value>)>),
}

/// A value as a role writes it.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Pattern(Pattern),
    Template(Template),
}

impl Selector {
    /// Reads the map at this place.
    pub(crate) fn read(at: &At<'_>) -> Self {
        let entries = at.entries().unwrap_or_default();
        match entries.as_slice() {
            [] => Self::Nothing,
            [("*", only)] => Self::every(only),
            _ => Self::Keys(entries.iter().filter_map(|(key, at)| pair(key, at)).collect()),
        }
    }

    fn every(at: &At<'_>) -> Self {
        let values = values(at);
        if values.iter().any(|value| matches!(value, Value::Pattern(Pattern::Any))) && values.len() == 1 {
            return Self::Any;
        }
        at.problem("the label key `*` goes with the value `*` only (name the key that you mean)");
        Self::Nothing
    }

    /// The selector for one user.
    pub(crate) fn compile(&self, traits: &BTreeMap<String, Vec<String>>) -> Matcher {
        match self {
            Self::Nothing => Matcher::Nothing,
            Self::Any => Matcher::Any,
            Self::Keys(keys) => Matcher::Keys(
                keys.iter()
                    .map(|(key, values)| (key.clone(), values.iter().flat_map(|v| v.compile(traits)).collect()))
                    .collect(),
            ),
        }
    }

    /// Whether it reads the user's traits.
    pub(crate) fn has_template(&self) -> bool {
        match self {
            Self::Nothing | Self::Any => false,
            Self::Keys(keys) => keys.iter().flat_map(|(_, values)| values).any(|v| matches!(v, Value::Template(_))),
        }
    }
}

fn pair(key: &str, at: &At<'_>) -> Option<(String, Vec<Value>)> {
    if key == "*" {
        at.problem("`'*': '*'` already means every target (remove it, or the other labels)");
        return None;
    }
    if key.is_empty() || key.contains("{{") || key.contains('*') {
        at.problem(format!("the label key `{key}` must be plain text (patterns and templates go into values)"));
        return None;
    }
    let values = values(at);
    (!values.is_empty()).then(|| (key.to_owned(), values))
}

fn values(at: &At<'_>) -> Vec<Value> {
    let Some(items) = at.one_or_more() else { return Vec::new() };
    if items.is_empty() {
        at.problem(format!("the label `{}` has no value (give it one, or remove it)", at.name()));
    }
    items.iter().filter_map(value).collect()
}

/// One value.
pub(crate) fn value(at: &At<'_>) -> Option<Value> {
    let text = at.text()?;
    let read = match Template::read(text) {
        Ok(Some(template)) => Ok(Value::Template(template)),
        Ok(None) => Pattern::read(text).map(Value::Pattern),
        Err(error) => Err(error),
    };
    read.map_err(|error| at.problem(error)).ok()
}

impl Value {
    /// What it stands for, for one user.
    pub(crate) fn compile(&self, traits: &BTreeMap<String, Vec<String>>) -> Vec<Pattern> {
        match self {
            Self::Pattern(pattern) => vec![pattern.clone()],
            Self::Template(template) => template.expand(traits).into_iter().map(pattern).collect(),
        }
    }
}

/// A trait's value is compared as it stands: a `*` or `^` from outside must not become a pattern.
fn pattern(expanded: Expanded) -> Pattern {
    match expanded {
        Expanded::Any => Pattern::Any,
        Expanded::Text(text) => Pattern::Literal(text.into()),
    }
}

/// A selector that is ready to be compared.
#[derive(Debug)]
pub(crate) enum Matcher {
    Nothing,
    Any,
    Keys(Vec<(String, Vec<Pattern>)>),
}

impl Matcher {
    /// Whether a target's labels fit.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Nothing => false,
            Self::Any => true,
            Self::Keys(keys) => keys.iter().all(|(key, patterns)| {
                labels.get(key).is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value)))
            }),
        }
    }

    /// The keys that take plain values only, and those values: what an index can look up.
    pub(crate) fn plain_keys(&self) -> Vec<(&str, Vec<&str>)> {
        let Self::Keys(keys) = self else { return Vec::new() };
        keys.iter()
            .filter_map(|(key, patterns)| {
                let literals: Option<Vec<_>> = patterns.iter().map(Pattern::literal).collect();
                literals.map(|literals| (key.as_str(), literals))
            })
            .collect()
    }
}

/// For explanations: `env: dev or prod, team: *`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no labels"),
            Self::Any => f.write_str("any labels"),
            Self::Keys(keys) => {
                for (n, (key, patterns)) in keys.iter().enumerate() {
                    let values: Vec<_> = patterns.iter().map(ToString::to_string).collect();
                    let values = if values.is_empty() { "(no value)".to_owned() } else { values.join(" or ") };
                    write!(f, "{}{key}: {values}", if n == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}
