//! Cuts a text into words, literals and signs where the server itself would cut.
//!
//! Where two settings of a server would cut differently, or where what stands there can't be known, the text
//! is unreadable: a text that is cut wrongly hides its statements.

use crate::dialect::Dialect;
use crate::limits::{EXECUTED_VERSION, TOKENS_MAX};
use crate::token::{Kind, Token};

/// The text can't be cut with certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Every token of a text.
pub(crate) fn tokens(dialect: Dialect, text: &str) -> Result<Vec<Token<'_>>, Unreadable> {
    let mut tokens = Vec::new();
    for token in Lexer::new(dialect, text) {
        if tokens.len() == TOKENS_MAX {
            return Err(Unreadable);
        }
        tokens.push(token?);
    }
    Ok(tokens)
}

/// Cuts one token after another; ends after the first failure.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    dialect: Dialect,
    text: &'a str,
    at: usize,
    /// Within an executable comment.
    executable: bool,
    failed: bool,
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Result<Token<'a>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let token = self.token().transpose();
        self.failed = matches!(token, Some(Err(Unreadable)));
        token
    }
}

impl<'a> Lexer<'a> {
    /// Starts at the text's beginning.
    pub(crate) fn new(dialect: Dialect, text: &'a str) -> Self {
        Self { dialect, text, at: 0, executable: false, failed: false }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn looking_at(&self, what: &str) -> bool {
        self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(what.as_bytes()))
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn token(&mut self) -> Result<Option<Token<'a>>, Unreadable> {
        let end = self.at;
        self.blank()?;
        let start = self.at;
        let Some(first) = self.peek(0) else {
            return if self.executable { Err(Unreadable) } else { Ok(None) };
        };
        let kind = self.kind(first)?;
        let text = self.text.get(start..self.at).ok_or(Unreadable)?;
        Ok(Some(Token { kind, text, glued: start == end && start > 0 }))
    }

    /// Skips white space and comments.
    fn blank(&mut self) -> Result<(), Unreadable> {
        loop {
            self.skip_while(is_space);
            let line = if self.dialect.is_mysql() {
                let after = self.peek(2);
                self.looking_at("#") || (self.looking_at("--") && after.is_none_or(|byte| byte <= b' '))
            } else {
                self.looking_at("--")
            };
            if line {
                // PostgreSQL ends a comment at a carriage return as well, MySQL at a line feed alone.
                let mysql = self.dialect.is_mysql();
                self.skip_while(|byte| byte != b'\n' && (mysql || byte != b'\r'));
            } else if self.looking_at("/*") && !self.at_executable() {
                self.comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn at_executable(&self) -> bool {
        self.dialect.is_mysql() && (self.looking_at("/*!") || self.looking_at("/*M!"))
    }

    fn comment(&mut self) -> Result<(), Unreadable> {
        if self.executable {
            return Err(Unreadable);
        }
        self.at += 2;
        let mut depth = 1;
        while depth > 0 {
            if self.looking_at("*/") {
                depth -= 1;
                self.at += 2;
            } else if !self.dialect.is_mysql() && self.looking_at("/*") {
                depth += 1;
                self.at += 2;
            } else if self.peek(0).is_some() {
                self.at += 1;
            } else {
                return Err(Unreadable);
            }
        }
        Ok(())
    }

    fn kind(&mut self, first: u8) -> Result<Kind, Unreadable> {
        match first {
            0..=b' ' | 0x7f => Err(Unreadable),
            b'/' if self.at_executable() => self.executable_opens(),
            b'*' if self.executable && self.looking_at("*/") => {
                self.executable = false;
                self.at += 2;
                Ok(Kind::Marker)
            }
            b'\'' => self.literal(b'\'', 0),
            b'"' if self.dialect.is_mysql() => self.literal(b'"', 0),
            b'"' => self.quoted(b'"'),
            b'`' if self.dialect.is_mysql() => self.quoted(b'`'),
            b'$' if !self.dialect.is_mysql() => self.dollar(),
            b'0'..=b'9' if self.dialect.is_mysql() => Ok(self.mysql_number_or_word()),
            b'0'..=b'9' => self.postgres_number(),
            _ if is_word(first) => self.word(),
            _ => {
                self.at += 1;
                Ok(Kind::Sign)
            }
        }
    }

    /// `/*!` and `/*!40101 `: what follows is code, for every server that is served.
    fn executable_opens(&mut self) -> Result<Kind, Unreadable> {
        if self.executable || self.looking_at("/*M!") {
            return Err(Unreadable);
        }
        self.at += 3;
        let start = self.at;
        self.skip_while(|byte| byte.is_ascii_digit());
        let digits = self.text.get(start..self.at).unwrap_or_default();
        let version = digits.parse().unwrap_or(u32::MAX);
        let known = digits.len() == 5 && version <= EXECUTED_VERSION && self.peek(0).is_none_or(is_space);
        if !digits.is_empty() && !known {
            return Err(Unreadable);
        }
        self.executable = true;
        Ok(Kind::Marker)
    }

    fn word(&mut self) -> Result<Kind, Unreadable> {
        let start = self.at;
        self.skip_while(|byte| is_word(byte) || byte.is_ascii_digit() || byte == b'$');
        let word = self.text.get(start..self.at).unwrap_or_default();
        let prefix = |prefixes: &[&str]| prefixes.iter().any(|prefix| word.eq_ignore_ascii_case(prefix));
        match (self.peek(0), self.dialect) {
            (Some(b'\''), Dialect::MySql) if prefix(&["n", "x", "b"]) => self.literal(b'\'', word.len()),
            (Some(b'\''), Dialect::PostgreSql) if prefix(&["e", "n", "x", "b"]) => self.literal(b'\'', word.len()),
            // U&'…' and U&"…" hide characters behind numbers of one's own choice.
            (Some(b'&'), Dialect::PostgreSql) if prefix(&["u"]) && matches!(self.peek(1), Some(b'\'' | b'"')) => {
                Err(Unreadable)
            }
            _ => Ok(Kind::Word),
        }
    }

    /// A text in quotes, after a prefix of so many bytes.
    fn literal(&mut self, quote: u8, prefix: usize) -> Result<Kind, Unreadable> {
        let before = self.at.checked_sub(prefix).and_then(|at| self.text.as_bytes().get(at));
        let escapes = self.dialect.is_mysql() || (prefix > 0 && matches!(before, Some(b'e' | b'E')));
        self.at += 1;
        let mut verbatim = prefix == 0;
        loop {
            match self.peek(0).ok_or(Unreadable)? {
                byte if byte == quote && self.peek(1) == Some(quote) => {
                    verbatim = false;
                    self.at += 2;
                }
                byte if byte == quote => break,
                b'\\' => {
                    let next = self.peek(1).ok_or(Unreadable)?;
                    // With `standard_conforming_strings` off the text would go on here.
                    if !escapes && next == quote {
                        return Err(Unreadable);
                    }
                    verbatim &= !escapes;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(Kind::Text { verbatim })
    }

    fn quoted(&mut self, quote: u8) -> Result<Kind, Unreadable> {
        let start = self.at;
        self.at += 1;
        loop {
            if self.peek(0).ok_or(Unreadable)? != quote {
                self.at += 1;
            } else if self.peek(1) == Some(quote) {
                self.at += 2;
            } else {
                break;
            }
        }
        self.at += 1;
        if self.at - start > 2 { Ok(Kind::Quoted) } else { Err(Unreadable) }
    }

    /// `$1`, `$$…$$` or `$tag$…$tag$`.
    fn dollar(&mut self) -> Result<Kind, Unreadable> {
        let start = self.at;
        self.at += 1;
        if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip_while(|byte| byte.is_ascii_digit());
            let junk = self.peek(0).is_some_and(|byte| is_word(byte) || byte == b'$');
            return if junk { Err(Unreadable) } else { Ok(Kind::Param) };
        }
        self.skip_while(|byte| is_word(byte) || byte.is_ascii_digit());
        if self.peek(0) != Some(b'$') {
            return Err(Unreadable);
        }
        self.at += 1;
        let tag = self.text.get(start..self.at).ok_or(Unreadable)?;
        let rest = self.text.get(self.at..).ok_or(Unreadable)?;
        self.at += rest.find(tag).ok_or(Unreadable)? + tag.len();
        Ok(Kind::Text { verbatim: false })
    }

    /// A number that no word follows: `1FROM` is two tokens to one server and an error to the next.
    fn postgres_number(&mut self) -> Result<Kind, Unreadable> {
        let radix = self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B'));
        if radix {
            self.at += 2;
            self.skip_while(|byte| byte.is_ascii_hexdigit() || byte == b'_');
        } else {
            self.skip_while(|byte| byte.is_ascii_digit() || byte == b'_' || byte == b'.');
            self.exponent();
        }
        let junk = self.peek(0).is_some_and(|byte| is_word(byte) || byte.is_ascii_digit() || byte == b'$');
        if junk { Err(Unreadable) } else { Ok(Kind::Number) }
    }

    /// MySQL's names may begin with digits: `2fa` is a name, `2e5` and `0x2f` are numbers.
    fn mysql_number_or_word(&mut self) -> Kind {
        let start = self.at;
        self.skip_while(|byte| byte.is_ascii_digit());
        if self.peek(0) == Some(b'.') {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
            self.exponent();
            return Kind::Number;
        }
        self.exponent();
        let numeric = self.at;
        self.skip_while(|byte| is_word(byte) || byte.is_ascii_digit() || byte == b'$');
        if self.at == numeric {
            return Kind::Number;
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        let digits = |prefix: &str, radix| {
            let rest = word.strip_prefix(prefix).unwrap_or_default();
            !rest.is_empty() && rest.chars().all(|digit| digit.is_digit(radix))
        };
        if digits("0x", 16) || digits("0b", 2) { Kind::Number } else { Kind::Word }
    }

    fn exponent(&mut self) {
        let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
        if matches!(self.peek(0), Some(b'e' | b'E')) && self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1 + sign;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What a word can begin with; every byte of a character beyond ASCII counts as a letter to both families.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}
