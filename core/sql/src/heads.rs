//! What a statement does by its first words, for everything but queries and changes of rows.

use tapgate_model::{ClassSet, StatementClass};

use crate::dialect::Dialect;
use crate::objects;
use crate::settings;
use crate::token::{Token, outside};

use StatementClass::{Admin, Ddl, Grant, Program, Read, Session, Transaction, Unbounded, Unparsed, Write};

/// What the first words tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// Everything: the statement does this, and the parser is asked for its tables alone.
    Does(ClassSet),
    /// The parser must tell; where it can't, the statement does this and is unparsed.
    Rows(ClassSet),
    /// It does this, and what the statement that begins at this token does.
    Wraps(ClassSet, usize),
}

const fn does(classes: &[StatementClass]) -> Head {
    Head::Does(ClassSet::of(classes))
}

/// Reads the first words.
pub(crate) fn of(dialect: Dialect, tokens: &[Token<'_>]) -> Head {
    let bracket = |token: &&Token<'_>| token.is_sign("(");
    let brackets = tokens.iter().take_while(bracket).count();
    let Some(first) = tokens.get(brackets) else { return does(&[Unparsed]) };
    let rows: Option<&[StatementClass]> = match first.text.to_ascii_uppercase().as_str() {
        "TABLE" if only_names(tokens) => return does(&[Read]),
        "SELECT" | "VALUES" | "TABLE" => Some(&[Read]),
        "WITH" => Some(&[]),
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" => Some(&[Write]),
        "REPLACE" if dialect.is_mysql() => Some(&[Write]),
        _ => None,
    };
    match rows {
        Some(classes) => Head::Rows(ClassSet::of(classes)),
        None if brackets > 0 => does(&[Unparsed]),
        None => either(tokens).unwrap_or_else(|| match dialect {
            Dialect::PostgreSql => postgres(tokens),
            Dialect::MySql => mysql(tokens),
        }),
    }
}

/// Whether the token at this place is one of these words.
fn at(tokens: &[Token<'_>], place: usize, words: &[&str]) -> bool {
    tokens.get(place).is_some_and(|token| token.is_any(words))
}

/// Whether one of these words stands anywhere outside brackets.
fn anywhere(tokens: &[Token<'_>], words: &[&str]) -> bool {
    outside(tokens).any(|(_, token)| token.is_any(words))
}

/// `TABLE shop.items`, which the parser does not know.
fn only_names(tokens: &[Token<'_>]) -> bool {
    tokens.iter().all(|token| token.name().is_some() || token.is_sign("."))
}

/// The words that both families have in the same sense.
fn either(tokens: &[Token<'_>]) -> Option<Head> {
    let (first, _) = tokens.split_first()?;
    let head = match first.text.to_ascii_uppercase().as_str() {
        "SHOW" | "FETCH" | "CLOSE" => does(&[Read]),
        "BEGIN" => begin(tokens),
        "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => does(&[Transaction]),
        "START" if at(tokens, 1, &["TRANSACTION"]) => does(&[Transaction]),
        "LOCK" => lock(tokens),
        "DEALLOCATE" => does(&[Session]),
        // What it runs was named elsewhere, or is put together from parts.
        "EXECUTE" => does(&[Unparsed]),
        "CALL" => does(&[Program]),
        "GRANT" | "REVOKE" => does(&[Grant]),
        "TRUNCATE" => does(&[Write, Unbounded]),
        "CREATE" | "ALTER" | "DROP" => Head::Does(objects::changed(tokens)),
        _ => return None,
    };
    Some(head)
}

/// `BEGIN` with anything else after it begins a block of code: MariaDB knows `BEGIN NOT ATOMIC`.
fn begin(tokens: &[Token<'_>]) -> Head {
    const WORDS: &[&str] = &[
        "BEGIN",
        "WORK",
        "TRANSACTION",
        "ISOLATION",
        "LEVEL",
        "SERIALIZABLE",
        "REPEATABLE",
        "READ",
        "COMMITTED",
        "UNCOMMITTED",
        "ONLY",
        "WRITE",
        "DEFERRABLE",
        "NOT",
    ];
    let plain = |token: &Token<'_>| token.is_any(WORDS) || token.is_sign(",");
    if tokens.iter().all(plain) { does(&[Transaction]) } else { does(&[Program]) }
}

/// A lock that only keeps writers out is part of reading consistently.
fn lock(tokens: &[Token<'_>]) -> Head {
    let shares = anywhere(tokens, &["READ", "SHARE"]);
    let excludes = anywhere(tokens, &["WRITE", "EXCLUSIVE", "UPDATE"]);
    if anywhere(tokens, &["INSTANCE"]) {
        does(&[Admin])
    } else if shares && !excludes {
        does(&[Transaction])
    } else {
        does(&[Write])
    }
}

fn postgres(tokens: &[Token<'_>]) -> Head {
    let Some((first, rest)) = tokens.split_first() else { return does(&[Unparsed]) };
    match first.text.to_ascii_uppercase().as_str() {
        "END" | "ABORT" => does(&[Transaction]),
        "SET" => Head::Does(settings::postgres(rest)),
        "RESET" if at(tokens, 1, &["ROLE"]) || at(tokens, 2, &["AUTHORIZATION"]) => does(&[Grant]),
        "RESET" | "DISCARD" | "LISTEN" | "UNLISTEN" => does(&[Session]),
        "MOVE" => does(&[Read]),
        "VACUUM" if tokens.iter().any(|token| token.is("FULL")) => does(&[Write, Admin]),
        "NOTIFY" | "ANALYZE" | "ANALYSE" | "REFRESH" | "VACUUM" => does(&[Write]),
        "CHECKPOINT" => does(&[Admin]),
        "REINDEX" | "CLUSTER" | "COMMENT" | "IMPORT" => does(&[Ddl]),
        "REASSIGN" | "SECURITY" => does(&[Grant]),
        "DO" | "LOAD" => does(&[Program]),
        "COPY" => copy(tokens),
        "EXPLAIN" => postgres_explain(tokens),
        "PREPARE" if at(tokens, 1, &["TRANSACTION"]) => does(&[Transaction]),
        "PREPARE" => after(tokens, "AS", ClassSet::of(&[Session])),
        "DECLARE" => after(tokens, "FOR", ClassSet::NONE),
        _ => does(&[Unparsed]),
    }
}

/// The statement after the first such word outside brackets.
fn after(tokens: &[Token<'_>], word: &str, classes: ClassSet) -> Head {
    match outside(tokens).find(|(_, token)| token.is(word)) {
        Some((place, _)) => Head::Wraps(classes, place + 1),
        None => does(&[Unparsed]),
    }
}

/// `COPY t FROM …`, `COPY t TO …`, `COPY (query) TO …`: the file, if it is one, is the server's.
fn copy(tokens: &[Token<'_>]) -> Head {
    let direction = outside(tokens).find(|(_, token)| token.is_any(&["FROM", "TO"]));
    let Some((place, direction)) = direction else { return does(&[Unparsed]) };
    let from = direction.is("FROM");
    let classes = ClassSet::of(if from { &[Write] } else { &[Read] });
    let classes = if at(tokens, place + 1, &["STDIN", "STDOUT"]) { classes } else { classes.with(Program) };
    match tokens.get(1) {
        // The query ends where its bracket closes; the parser is not asked for its tables.
        Some(bracket) if bracket.is_sign("(") => Head::Wraps(classes, 1),
        _ => Head::Does(classes),
    }
}

fn postgres_explain(tokens: &[Token<'_>]) -> Head {
    let mut place = 1;
    let query = at(tokens, 2, &["SELECT", "WITH", "VALUES", "TABLE"]);
    let options = tokens.get(1).is_some_and(|token| token.is_sign("(")) && !query;
    if options && !tokens.get(2).is_some_and(|token| token.is_sign("(")) {
        place = tokens.iter().position(|token| token.is_sign(")")).map_or(tokens.len(), |end| end + 1);
    } else {
        while at(tokens, place, &["ANALYZE", "ANALYSE", "VERBOSE"]) {
            place += 1;
        }
    }
    explained(tokens, place)
}

/// Without `ANALYZE` among the options nothing is carried out.
fn explained(tokens: &[Token<'_>], place: usize) -> Head {
    let options = tokens.get(..place).unwrap_or_default();
    let runs = options.iter().any(|token| token.is_any(&["ANALYZE", "ANALYSE"]));
    if runs { Head::Wraps(ClassSet::of(&[Read]), place) } else { does(&[Read]) }
}

fn mysql(tokens: &[Token<'_>]) -> Head {
    let Some((first, rest)) = tokens.split_first() else { return does(&[Unparsed]) };
    match first.text.to_ascii_uppercase().as_str() {
        "SET" => Head::Does(settings::mysql(rest)),
        "UNLOCK" | "XA" => does(&[Transaction]),
        "USE" | "SIGNAL" | "RESIGNAL" => does(&[Session]),
        "GET" if at(tokens, 1, &["DIAGNOSTICS", "CURRENT", "STACKED"]) => does(&[Session]),
        "DO" | "HANDLER" | "HELP" | "CHECKSUM" | "CHECK" => does(&[Read]),
        "LOAD" if at(tokens, 1, &["INDEX"]) => does(&[Admin]),
        "LOAD" => does(&[Write, Program]),
        "IMPORT" => does(&[Ddl, Program]),
        "INSTALL" | "UNINSTALL" => does(&[Program, Admin]),
        "RENAME" if at(tokens, 1, &["USER"]) => does(&[Grant]),
        "RENAME" | "OPTIMIZE" | "REPAIR" => does(&[Ddl]),
        "KILL" | "SHUTDOWN" | "RESTART" | "FLUSH" | "PURGE" | "CHANGE" | "START" | "STOP" | "RESET" | "CACHE"
        | "CLONE" | "BACKUP" | "BINLOG" => does(&[Admin]),
        "ANALYZE" if maintains(tokens) => does(&[Write]),
        "EXPLAIN" | "DESCRIBE" | "DESC" | "ANALYZE" => mysql_explain(tokens),
        _ => does(&[Unparsed]),
    }
}

/// `ANALYZE LOCAL TABLE t` collects statistics; MariaDB's `ANALYZE UPDATE …` carries the statement out.
fn maintains(tokens: &[Token<'_>]) -> bool {
    let table = usize::from(at(tokens, 1, &["LOCAL", "NO_WRITE_TO_BINLOG"])) + 1;
    at(tokens, table, &["TABLE", "TABLES"])
}

fn mysql_explain(tokens: &[Token<'_>]) -> Head {
    const STATEMENTS: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "VALUES", "TABLE"];
    let begins = |token: &Token<'_>| token.is_any(STATEMENTS) || token.is_sign("(");
    explained(tokens, tokens.iter().position(begins).unwrap_or(tokens.len()))
}
