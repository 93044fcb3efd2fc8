//! The text that the parser is given: the same tokens, without comments and with literals of one character.
//!
//! The parser cuts texts by rules of its own. It never sees the client's text, so it can't be made to cut
//! differently from the server.

use std::fmt::Write as _;

use crate::dialect::Dialect;
use crate::limits::{CHAIN_MAX, NESTING_MAX};
use crate::token::{Kind, Token};

/// Whether the parser's tree of these tokens stays low enough to be walked and dropped.
pub(crate) fn is_flat(tokens: &[Token<'_>]) -> bool {
    // For each open bracket: the chain since the last comma, and the longest before it.
    let mut open = vec![(0_usize, 0_usize)];
    for token in tokens {
        if let Some((here, _)) = open.last_mut() {
            *here += 1;
        }
        match (token.kind, token.text) {
            (Kind::Sign, "(" | "[" | "{") => open.push((0, 0)),
            (Kind::Sign, ")" | "]" | "}") if open.len() > 1 => {
                let (here, longest) = open.pop().unwrap_or_default();
                if let Some((outer, _)) = open.last_mut() {
                    *outer += here.max(longest);
                }
            }
            (Kind::Sign, ",") => {
                if let Some((here, longest)) = open.last_mut() {
                    *longest = (*here).max(*longest);
                    *here = 0;
                }
            }
            _ => {}
        }
        if open.len() > NESTING_MAX {
            return false;
        }
    }
    open.iter().map(|(here, longest)| here.max(longest)).sum::<usize>() <= CHAIN_MAX
}

/// Writes tokens anew.
pub(crate) fn rewritten(dialect: Dialect, tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    let mut before: Option<&Token<'_>> = None;
    for token in tokens.iter().filter(|token| token.kind != Kind::Marker) {
        let literal = |token: &Token<'_>| matches!(token.kind, Kind::Text { .. });
        // Two literals in a row are one.
        if literal(token) && before.is_some_and(literal) {
            continue;
        }
        // Two glued signs can be the beginning of a comment to the parser, and of none to the server.
        let minus = token.is_sign("-") && before.is_some_and(|before| before.is_sign("-"));
        if before.is_some() && (!token.glued || minus || literal(token)) {
            text.push(' ');
        }
        write(dialect, token, &mut text);
        before = Some(token);
    }
    text
}

fn write(dialect: Dialect, token: &Token<'_>, text: &mut String) {
    let quote = if dialect.is_mysql() { '`' } else { '"' };
    let plain = token.text.is_ascii() && !token.text.starts_with(|first: char| first.is_ascii_digit());
    match token.kind {
        Kind::Word if plain => text.push_str(token.text),
        // Writing to a string can't fail.
        Kind::Word => write!(text, "{quote}{}{quote}", token.text).unwrap_or_default(),
        Kind::Text { .. } => text.push_str("'s'"),
        Kind::Number => text.push('1'),
        Kind::Quoted | Kind::Param | Kind::Sign => text.push_str(token.text),
        Kind::Marker => {}
    }
}
