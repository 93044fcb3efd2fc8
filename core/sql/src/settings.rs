//! What a `SET` does, and the settings after which texts would be cut in another way.

use tapgate_model::{ClassSet, StatementClass};

use crate::token::{Kind, Token, outside};

use StatementClass::{Admin, Grant, Session, Transaction, Unparsed};

/// Encodings in which every byte below 0x80 is the ASCII character. In the others a backslash can be the
/// second half of a letter.
const ENCODINGS: &[&str] = &[
    "utf8",
    "utf-8",
    "utf8mb3",
    "utf8mb4",
    "unicode",
    "latin1",
    "latin9",
    "ascii",
    "us-ascii",
    "sql_ascii",
    "binary",
    "win1252",
    "iso_8859_1",
    "default",
];

/// Parts of `sql_mode` under which quotes, backslashes or blocks mean something else.
const MODES: &[&str] = &["NO_BACKSLASH", "ANSI", "ORACLE", "DB2", "MSSQL", "POSTGRESQL", "MAXDB"];

/// The words that the value of `sql_mode` may hold beside a text.
const MODE_WORDS: &[&str] = &["concat", "sql_mode", "default", "session", "local", "global", "traditional"];

const fn one(class: StatementClass) -> ClassSet {
    ClassSet::of(&[class])
}

/// What PostgreSQL's `SET` does; the tokens are those after it.
pub(crate) fn postgres(tokens: &[Token<'_>]) -> ClassSet {
    let scope = tokens.first().is_some_and(|token| token.is_any(&["session", "local"]));
    let tokens = tokens.get(usize::from(scope)..).unwrap_or_default();
    let Some((name, value)) = tokens.split_first() else { return one(Unparsed) };
    if name.is_any(&["transaction", "characteristics", "constraints"]) {
        return one(Transaction);
    }
    let Some(name) = name.name() else { return one(Unparsed) };
    let value = match value.split_first() {
        Some((sign, value)) if sign.is_sign("=") || sign.is("to") => value,
        _ => value,
    };
    postgres_setting(&name, value)
}

/// What `set_config(…)` does; the tokens are its arguments and what follows. Its name must stand there plainly.
pub(crate) fn set_config(arguments: &[Token<'_>]) -> ClassSet {
    match arguments {
        [name, comma, value @ ..] if comma.is_sign(",") => match name.verbatim() {
            Some(name) => postgres_setting(&name.to_ascii_lowercase(), value),
            None => one(Unparsed),
        },
        _ => one(Unparsed),
    }
}

fn postgres_setting(name: &str, value: &[Token<'_>]) -> ClassSet {
    let value = value.first().map(|token| token.verbatim().unwrap_or(token.text).to_ascii_lowercase());
    let value = value.unwrap_or_default();
    let plain = match name {
        "authorization" | "session_authorization" | "role" => return one(Grant),
        "session_replication_role"
        | "dynamic_library_path"
        | "local_preload_libraries"
        | "session_preload_libraries" => return one(Admin),
        "standard_conforming_strings" => matches!(value.as_str(), "on" | "true" | "yes" | "1" | "default"),
        "client_encoding" | "names" => ENCODINGS.contains(&value.as_str()),
        _ => true,
    };
    one(if plain { Session } else { Unparsed })
}

/// What MySQL's `SET` does: a list of assignments, each of its own sort.
pub(crate) fn mysql(tokens: &[Token<'_>]) -> ClassSet {
    let commas = outside(tokens).filter(|(_, token)| token.is_sign(",")).map(|(place, _)| place);
    let ends: Vec<usize> = commas.chain([tokens.len()]).collect();
    let mut from = 0;
    let mut classes = ClassSet::NONE;
    for end in ends {
        classes = classes.or(mysql_assignment(tokens.get(from..end).unwrap_or_default()));
        from = end + 1;
    }
    classes
}

fn mysql_assignment(tokens: &[Token<'_>]) -> ClassSet {
    let Some(first) = tokens.first() else { return one(Unparsed) };
    if first.is_any(&["password", "role"]) || (first.is("default") && tokens.get(1).is_some_and(|t| t.is("role"))) {
        return one(Grant);
    }
    if first.is_any(&["statement", "resource"]) {
        return one(Unparsed);
    }
    let equals = tokens.iter().position(|token| token.is_sign("="));
    let (name, value) = match equals {
        Some(place) => (tokens.get(..place).unwrap_or_default(), tokens.get(place + 1..).unwrap_or_default()),
        None => (tokens, tokens.get(tokens.len().min(2)..).unwrap_or_default()),
    };
    let says = |word: &str| name.iter().any(|token| token.name().as_deref() == Some(word));
    if says("global") || says("persist") || says("persist_only") {
        return one(Admin);
    }
    if equals.is_none() {
        return without_equals(tokens);
    }
    // A user's own variable: one `@` and no second.
    if first.is_sign("@") && !tokens.get(1).is_some_and(|second| second.is_sign("@")) {
        return one(Session);
    }
    if says("sql_log_bin") {
        return one(Admin);
    }
    let plain = if says("sql_mode") {
        is_plain_mode(value)
    } else if says("character_set_client") {
        is_plain_encoding(value)
    } else {
        true
    };
    one(if plain { Session } else { Unparsed })
}

/// `SET NAMES utf8mb4 COLLATE …`, `SET CHARACTER SET …`, `SET TRANSACTION …`.
fn without_equals(tokens: &[Token<'_>]) -> ClassSet {
    let words = |place: usize, words: &[&str]| tokens.get(place).is_some_and(|token| token.is_any(words));
    let value = if words(0, &["names", "charset"]) {
        1
    } else if words(0, &["character", "char"]) && words(1, &["set"]) {
        2
    } else if words(usize::from(words(0, &["session", "local"])), &["transaction"]) {
        return one(Transaction);
    } else {
        return one(Unparsed);
    };
    one(if is_plain_encoding(tokens.get(value..).unwrap_or_default()) { Session } else { Unparsed })
}

fn is_plain_encoding(value: &[Token<'_>]) -> bool {
    let Some(value) = value.first() else { return false };
    ENCODINGS.contains(&value.verbatim().unwrap_or(value.text).to_ascii_lowercase().as_str())
}

fn is_plain_mode(value: &[Token<'_>]) -> bool {
    let texts: String = value.iter().filter_map(Token::verbatim).collect::<String>().to_ascii_uppercase();
    let known = value.iter().all(|token| match token.kind {
        Kind::Text { verbatim } => verbatim,
        Kind::Word => token.is_any(MODE_WORDS),
        Kind::Sign => matches!(token.text, "@" | "." | "(" | ")" | ","),
        Kind::Marker => true,
        Kind::Quoted | Kind::Number | Kind::Param => false,
    });
    // `@@sql_mode` is the server's; `@sql_mode` is the user's own, whose value is not here.
    let written: String = value.iter().map(|token| token.text).collect();
    let mut runs = written.split(|sign| sign != '@').map(str::len);
    known && runs.all(|run| run == 0 || run == 2) && !MODES.iter().any(|mode| texts.contains(mode))
}
