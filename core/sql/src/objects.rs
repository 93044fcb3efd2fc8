//! What `CREATE`, `ALTER` and `DROP` do, by the sort of object.

use tapgate_model::{ClassSet, StatementClass};

use crate::token::{Token, outside};

use StatementClass::{Admin, Ddl, Grant, Program};

/// How many words of a statement are looked at for the sort of its object: enough for every modifier.
const WORDS: usize = 16;

/// Who somebody is and what they may do.
const PEOPLE: &[&str] = &["USER", "ROLE", "GROUP", "POLICY", "PRIVILEGES", "OWNED"];

/// What is code, or brings code with it.
const CODE: &[&str] = &[
    "FUNCTION",
    "PROCEDURE",
    "ROUTINE",
    "TRIGGER",
    "EVENT",
    "EXTENSION",
    "LANGUAGE",
    "AGGREGATE",
    "OPERATOR",
    "RULE",
    "CAST",
    "TRANSFORM",
    "PACKAGE",
];

/// What reaches beyond this database.
const SERVER: &[&str] = &["SYSTEM", "INSTANCE", "SUBSCRIPTION", "TABLESPACE", "SERVER", "WRAPPER"];

/// Objects after whose name these words are names again.
const PLAIN: &[&str] = &["TABLE", "VIEW", "INDEX", "SEQUENCE", "SCHEMA", "DATABASE", "TYPE", "DOMAIN"];

/// What the statement with these tokens does.
pub(crate) fn changed(tokens: &[Token<'_>]) -> ClassSet {
    let drops = tokens.first().is_some_and(|token| token.is("DROP"));
    let mut classes = ClassSet::NONE;
    for (_, token) in outside(tokens).skip(1).take(WORDS) {
        if token.is_any(PLAIN) {
            classes = classes.with(Ddl);
            break;
        }
        if token.is_any(PEOPLE) {
            classes = classes.with(Grant);
        } else if token.is_any(SERVER) {
            classes = classes.or(ClassSet::of(&[Admin, Ddl]));
        } else if token.is_any(CODE) {
            // Dropping code runs none.
            classes = classes.or(if drops { ClassSet::of(&[Ddl]) } else { ClassSet::of(&[Ddl, Program]) });
        }
    }
    if classes.is_empty() { ClassSet::of(&[Ddl]) } else { classes }
}
