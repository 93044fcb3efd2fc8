//! One kind of failure: what went wrong and what to do about it, for the person at the terminal.

use std::fmt;

use tapgate_api::ApiError;

/// What the client's functions answer.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What went wrong, and what to do about it. Shown as `what (advice)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    what: String,
    advice: Option<String>,
}

impl Failure {
    /// A failure without advice yet.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None }
    }

    /// The same failure with this advice.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.advice {
            Some(advice) => write!(f, "{} ({advice})", printable(&self.what)),
            None => f.write_str(&printable(&self.what)),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self { what: error.message, advice: error.hint.map(|hint| printable(&hint)) }
    }
}

/// Text of others, without the characters that would drive a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Turns any error into a [`Failure`] that names the act.
pub trait Act<T> {
    /// `Err(e)` becomes "`act`: `e`".
    fn act(self, act: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Act<T> for std::result::Result<T, E> {
    fn act(self, act: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{}: {error}", act())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_and_what_to_do() {
        assert_eq!(Failure::new("a").to_string(), "a");
        assert_eq!(Failure::new("a").advise("do b").to_string(), "a (do b)");
    }

    #[test]
    fn a_gate_cannot_drive_the_terminal() {
        let error = ApiError { code: "x".into(), message: "a\u{1b}[2Jb".into(), hint: None };
        assert_eq!(Failure::from(error).to_string(), "a\u{fffd}[2Jb");
    }
}
