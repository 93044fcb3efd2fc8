//! What a label's value is compared with: a text, `*`, a glob, or a `^regular expression$`.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::limits::REGEX_SIZE_MAX;

/// A compiled pattern; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// `*`: every value.
    Any,
    /// This very text.
    Literal(Arc<str>),
    /// A text with `*` in it, each standing for any characters.
    Glob(Arc<str>),
    /// A regular expression.
    Regex(Arc<Regex>),
}

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            Ok(Self::Any)
        } else if text.starts_with('^') {
            regular(text).map(|regex| Self::Regex(Arc::new(regex)))
        } else if text.contains('*') {
            Ok(Self::Glob(text.into()))
        } else {
            Ok(Self::Literal(text.into()))
        }
    }

    /// Whether a value fits.
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => **literal == *value,
            Self::Glob(glob) => glob_matches(glob, value),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    /// The text, where only that text fits.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(literal) => Some(literal),
            Self::Any | Self::Glob(_) | Self::Regex(_) => None,
        }
    }
}

/// Whether they are written alike: what differs in form may still fit the same.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Literal(one), Self::Literal(other)) | (Self::Glob(one), Self::Glob(other)) => one == other,
            (Self::Regex(one), Self::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Literal(text) | Self::Glob(text) => f.write_str(text),
            Self::Regex(regex) => f.write_str(regex.as_str()),
        }
    }
}

fn regular(text: &str) -> Result<Regex, String> {
    if !text.ends_with('$') {
        return Err(format!("`{text}` starts like a regular expression but does not end with `$` (write ^...$)"));
    }
    RegexBuilder::new(text).size_limit(REGEX_SIZE_MAX).build().map_err(|error| {
        let whole = error.to_string();
        let last = whole.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("`{text}` is not a regular expression: {last} (use the RE2 syntax)")
    })
}

/// Whether the value is the glob's texts in their order, with anything in the place of each `*`.
/// Taking the first fit for each middle text is enough, because `*` takes any rest.
fn glob_matches(glob: &str, value: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|head| value.strip_prefix(head)) else { return false };
    let Some(tail) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, value: &str, want: bool| {
            assert_eq!(Pattern::read(pattern).map(|p| p.matches(value)), Ok(want), "{pattern} {value}");
        };
        check("*", "", true);
        check("prod", "prod", true);
        check("prod", "Prod", false);
        check("prod", "production", false);
        check("web-*", "web-1", true);
        check("web-*", "web-", true);
        check("web-*", "xweb-1", false);
        check("*-prod", "a-prod", true);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "acb", false);
        check("a*a", "a", false);
        check("a**a", "aa", true);
        check("^test|staging$", "staging", true);
        check("^test|staging$", "testing", true);
        check("^(test|staging)$", "testing", false);
        check("a.c", "abc", false);
    }

    #[test]
    fn bad_expressions_say_what_to_do() {
        for bad in ["^a", "^($", "^a{1000}{1000}{1000}$", "^(?=a)$"] {
            assert!(Pattern::read(bad).is_err_and(|e| e.contains(bad) && e.contains('(')), "{bad}");
        }
    }
}
