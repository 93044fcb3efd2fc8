//! A text from outside, made harmless for files and terminals: short, on one line, in one direction.

use std::fmt;

use crate::limits;

/// A text of at most [`limits::TEXT_LEN_MAX`] bytes.
pub type Text = Capped<{ limits::TEXT_LEN_MAX }>;

/// What was said to a database: a text of at most [`limits::STATEMENT_LEN_MAX`] bytes.
pub type StatementText = Capped<{ limits::STATEMENT_LEN_MAX }>;

/// A text of at most `MAX` bytes, in which characters that could move a cursor, start a line or turn the
/// reading direction are spelled out, as in `\n` or `\u{1b}`.
#[derive(Clone, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Capped<const MAX: usize>(Box<str>);

impl<const MAX: usize> Capped<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> From<&str> for Capped<MAX> {
    fn from(text: &str) -> Self {
        let fits = text.len() <= MAX;
        if fits && !text.contains(is_harmful) { Self(text.into()) } else { Self(clean(text, MAX).into()) }
    }
}

impl<const MAX: usize> From<String> for Capped<MAX> {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl<const MAX: usize> From<Capped<MAX>> for String {
    fn from(text: Capped<MAX>) -> Self {
        text.0.into()
    }
}

impl<const MAX: usize> AsRef<str> for Capped<MAX> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const MAX: usize> fmt::Display for Capped<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Capped<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Control characters, line separators, and the marks that reorder what is displayed.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

fn clean(text: &str, max: usize) -> String {
    const MARK: &str = "…";
    let mut clean = String::new();
    for c in text.chars() {
        let spelled = if is_harmful(c) { c.escape_default().to_string() } else { c.to_string() };
        if clean.len() + spelled.len() + MARK.len() > max {
            clean.push_str(MARK);
            break;
        }
        clean.push_str(&spelled);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_is_spelled_out() {
        let check = |input: &str, expect: &str| assert_eq!(Text::from(input).as_str(), expect);
        check("plain – ünïcode \"quoted\" \\", "plain – ünïcode \"quoted\" \\");
        check("a\r\nb", "a\\r\\nb");
        check("\u{1b}[2J\u{9b}\u{7f}\0", "\\u{1b}[2J\\u{9b}\\u{7f}\\u{0}");
        check("\u{202e}drowssap\u{2028}", "\\u{202e}drowssap\\u{2028}");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        for text in ["é".repeat(4000), "\n".repeat(4000), "a".repeat(limits::TEXT_LEN_MAX + 1)] {
            let once = Text::from(text);
            assert!(once.as_str().len() <= limits::TEXT_LEN_MAX && once.as_str().ends_with('…'));
            assert_eq!(Text::from(once.as_str()), once, "reading it back changes nothing");
        }
        let just = "a".repeat(limits::TEXT_LEN_MAX);
        assert_eq!(Text::from(just.as_str()).as_str(), just);
    }
}
