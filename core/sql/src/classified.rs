//! What a text does: the statements one by one, and what all of them do together.

use std::collections::BTreeSet;

use tapgate_model::{ClassSet, StatementClass};

use crate::dialect::Dialect;
use crate::functions;
use crate::heads::{self, Head};
use crate::lexer;
use crate::limits::{STATEMENTS_MAX, TABLES_MAX, TEXT_MAX, WRAPPED_MAX};
use crate::shape::{is_flat, rewritten};
use crate::token::{Kind, Token, deeper, outside};
use crate::tree::{self, Tree};

use StatementClass::{Ddl, Program, Session, Unparsed, Write};

/// What a text does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// What its statements do, all together. Empty where there is no statement.
    pub classes: ClassSet,
    /// The tables that its queries name, sorted, unquoted, names without quotes in lower case. Only for
    /// people to read: a view or a function leads to others.
    pub tables: Box<[Box<str>]>,
    /// How many statements it has; zero where it can't be told.
    pub statements: usize,
    /// Whether every statement was understood: the same as not having [`StatementClass::Unparsed`].
    pub parsed: bool,
}

impl Classified {
    /// What is said of a text that can't be read: longer than the limit, not UTF-8, or of a session whose
    /// settings no longer let texts be cut with certainty.
    pub fn unreadable() -> Self {
        Self { classes: ClassSet::of(&[Unparsed]), tables: Box::default(), statements: 0, parsed: false }
    }

    /// Reads a text, on this thread: its stack must have `THREAD_STACK`.
    pub(crate) fn read(dialect: Dialect, text: &str) -> Self {
        let readable = text.len() <= TEXT_MAX;
        let Some(tokens) = readable.then(|| lexer::tokens(dialect, text).ok()).flatten() else {
            return Self::unreadable();
        };
        let is_marker = |token: &Token<'_>| token.kind == Kind::Marker;
        let tokens: Vec<_> = tokens.into_iter().filter(|token| !is_marker(token)).collect();
        let statements = || tokens.split(|token| token.is_sign(";")).filter(|statement| !statement.is_empty());
        if statements().nth(STATEMENTS_MAX).is_some() {
            return Self::unreadable();
        }
        let mut found = Found::default();
        for statement in statements() {
            found.statement(dialect, statement, WRAPPED_MAX);
        }
        let tables = found.tables.into_iter().take(TABLES_MAX).map(String::into_boxed_str).collect();
        let parsed = !found.classes.has(Unparsed);
        Self { classes: found.classes, tables, statements: statements().count(), parsed }
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    classes: ClassSet,
    tables: BTreeSet<String>,
}

impl Found {
    fn statement(&mut self, dialect: Dialect, tokens: &[Token<'_>], wrapped: usize) {
        self.add(functions::called(dialect, tokens));
        match heads::of(dialect, tokens) {
            Head::Does(classes) => {
                self.add(classes);
                self.tree(dialect, tokens);
            }
            Head::Rows(classes) => self.rows(dialect, tokens, classes),
            Head::Wraps(classes, from) => {
                self.add(classes);
                let inner = inner(tokens.get(from..).unwrap_or_default());
                match wrapped.checked_sub(1) {
                    Some(wrapped) if !inner.is_empty() => self.statement(dialect, inner, wrapped),
                    _ => self.add(ClassSet::of(&[Unparsed])),
                }
            }
        }
    }

    /// A query or a change of rows: what the parser can't read is unparsed.
    fn rows(&mut self, dialect: Dialect, tokens: &[Token<'_>], classes: ClassSet) {
        self.add(into(dialect, tokens));
        let Some(tree) = self.tree(dialect, tokens).filter(|tree| !tree.classes.is_empty()) else {
            return self.add(classes.with(Unparsed));
        };
        // Every `INTO` is one of an `INSERT` or `MERGE` in the tree; one more makes a table.
        let makes = tables_into(dialect, tokens) > tree.inserts;
        let hidden = changes_within(tokens) && !tree.classes.has(Write);
        self.add(tree.classes);
        self.add(if makes { ClassSet::of(&[Write, Ddl]) } else { ClassSet::NONE });
        self.add(if hidden { ClassSet::of(&[Unparsed]) } else { ClassSet::NONE });
    }

    /// What the parser says of a statement; nothing where it can't read it.
    fn tree(&mut self, dialect: Dialect, tokens: &[Token<'_>]) -> Option<Tree> {
        let flat = is_flat(tokens).then(|| rewritten(dialect, tokens));
        let mut tree = tree::read(dialect, &flat?)?;
        // Rows of the system's own tables are users, rights and settings.
        let system = |table: &String| {
            let mut parts = table.split('.');
            if dialect.is_mysql() { parts.next() == Some("mysql") } else { parts.any(|part| part.starts_with("pg_")) }
        };
        if tree.classes.has(Write) && tree.tables.iter().any(system) {
            self.add(ClassSet::of(&[StatementClass::Grant]));
        }
        self.tables.append(&mut tree.tables);
        Some(tree)
    }

    fn add(&mut self, classes: ClassSet) {
        self.classes = self.classes.or(classes);
    }
}

/// A statement in brackets that something follows, as in `COPY (SELECT …) TO STDOUT`: what is in them.
fn inner<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let Some((first, rest)) = tokens.split_first() else { return tokens };
    let mut depth = 0;
    let end = tokens.iter().position(|token| {
        depth = deeper(depth, token);
        depth == 0
    });
    match end {
        Some(end) if first.is_sign("(") && tokens.get(end + 1).is_some_and(|after| after.is("TO")) => {
            rest.get(..end.saturating_sub(1)).unwrap_or_default()
        }
        _ => tokens,
    }
}

/// What `SELECT … INTO` does, beside making a table: it writes a file or sets variables.
fn into(dialect: Dialect, tokens: &[Token<'_>]) -> ClassSet {
    let pairs = tokens.windows(2).filter_map(|pair| match pair {
        [into, after] if into.is("INTO") => Some(after),
        _ => None,
    });
    pairs.fold(ClassSet::NONE, |classes, after| {
        if after.is_any(FILES) {
            classes.with(Program)
        } else if is_variable(dialect, after) {
            classes.with(Session)
        } else {
            classes
        }
    })
}

/// How many tables stand behind an `INTO`.
fn tables_into(dialect: Dialect, tokens: &[Token<'_>]) -> usize {
    let into = |pair: &[Token<'_>]| match pair {
        [into, after] => into.is("INTO") && !after.is_any(FILES) && !is_variable(dialect, after),
        _ => false,
    };
    tokens.windows(2).filter(|pair| into(pair)).count()
}

/// What follows `INTO` where a file of the server is written.
const FILES: &[&str] = &["OUTFILE", "DUMPFILE"];

fn is_variable(dialect: Dialect, token: &Token<'_>) -> bool {
    dialect.is_mysql() && token.is_sign("@")
}

/// Whether a change of rows stands in brackets, whatever the parser makes of it.
fn changes_within(tokens: &[Token<'_>]) -> bool {
    let changes = |token: &Token<'_>| token.is_any(&["INSERT", "UPDATE", "DELETE", "MERGE"]);
    let inner = tokens.windows(2).any(|pair| matches!(pair, [open, word] if open.is_sign("(") && changes(word)));
    inner || outside(tokens).next().is_some_and(|(_, first)| changes(first))
}
