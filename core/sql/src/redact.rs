//! Texts for the record: without their literals, and never too long.

use crate::dialect::Dialect;
use crate::lexer::Lexer;
use crate::limits::{AUDIT_TEXT_MAX, KEYWORD_MAX};
use crate::token::Kind;

/// The text with every literal replaced by `?`, without comments, on one line, at most
/// [`AUDIT_TEXT_MAX`] bytes long. Of a text that can't be cut with certainty only the first keyword is left.
pub fn redact(dialect: Dialect, text: &str) -> String {
    let mut redacted = String::new();
    let mut literal_before = false;
    let mut minus_before = false;
    for token in Lexer::new(dialect, text) {
        let Ok(token) = token else { return first_keyword(dialect, text) };
        let literal = matches!(token.kind, Kind::Text { .. } | Kind::Number);
        // Two literals in a row are one.
        if literal && literal_before {
            continue;
        }
        literal_before = literal;
        // Where a comment is gone, two signs must not become the beginning of another.
        let minus = token.is_sign("-");
        let apart = !token.glued || (minus && minus_before);
        minus_before = minus;
        let written = if literal { "?" } else { token.text };
        if redacted.len() + written.len() + 1 > AUDIT_TEXT_MAX {
            break;
        }
        if apart && !redacted.is_empty() {
            redacted.push(' ');
        }
        redacted.push_str(written);
    }
    redacted
}

/// The first keyword of a text in upper case; `?` where there is none.
pub fn first_keyword(dialect: Dialect, text: &str) -> String {
    let tokens = Lexer::new(dialect, text).map_while(Result::ok);
    let first = tokens.into_iter().find(|token| token.kind != Kind::Marker && !token.is_sign("("));
    let word = first.filter(|token| token.kind == Kind::Word && token.text.len() <= KEYWORD_MAX);
    let word = word.filter(|token| token.text.bytes().all(|byte| byte.is_ascii_alphabetic()));
    word.map_or_else(|| "?".to_owned(), |token| token.text.to_ascii_uppercase())
}

/// The text's beginning, at most [`AUDIT_TEXT_MAX`] bytes of whole characters.
pub fn capped(text: &str) -> &str {
    let end = text.floor_char_boundary(AUDIT_TEXT_MAX);
    text.get(..end).unwrap_or(text)
}
