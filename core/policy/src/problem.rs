//! What is wrong with a resource: where it stands, what it is, and what to do.

use std::fmt;

/// One thing that is wrong, for the person who wrote the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file's name, or `<stdin>`.
    pub source: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and in brackets what to do.
    pub what: String,
}

/// As compilers say it: `roles.yaml:12: unknown field ...`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.source, self.line, self.what)
    }
}

impl std::error::Error for Problem {}
