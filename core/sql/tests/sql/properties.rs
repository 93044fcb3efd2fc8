//! What holds for every text.

use proptest::prelude::*;
use tapgate_model::StatementClass::{Unbounded, Unparsed, Write};
use tapgate_sql::Dialect::{self, MySql, PostgreSql};
use tapgate_sql::redact;

use crate::help::classified;

/// Pieces that mean something, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "SELECT",
        "DELETE FROM t",
        "WHERE",
        "a",
        "1",
        "'",
        "\"",
        "`",
        "\\",
        "$$",
        "$x$",
        "/*",
        "*/",
        "/*!",
        "--",
        "#",
        "\n",
        ";",
        "(",
        ")",
        ",",
        "UNION",
        "WITH x AS (",
        "INTO",
        "EXPLAIN",
        "ANALYZE",
        "PREPARE p AS",
        "COPY",
        "FROM",
        "TO",
        "SET",
        "=",
        "@",
        "E'",
        "U&'",
        "ä",
        "\0",
        ".",
        "-",
        "+",
        "DO",
        "1e5",
        "CASE",
        "END",
        "BEGIN",
    ]);
    let spaced =
        (piece, prop::bool::ANY).prop_map(|(piece, space)| if space { format!("{piece} ") } else { piece.into() });
    prop::collection::vec(spaced, 0..24).prop_map(|pieces| pieces.concat())
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![PostgreSql, MySql])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_answered(dialect in dialects(), text in "\\PC{0,200}") {
        let found = classified(dialect, &text);
        prop_assert_eq!(found.parsed, !found.classes.has(Unparsed));
    }

    #[test]
    fn any_pieces_are_answered(dialect in dialects(), text in pieces()) {
        let found = classified(dialect, &text);
        prop_assert!(found.statements == 0 || !found.classes.is_empty());
    }

    /// Whatever stands before it, a whole statement at the end is found, or the text is unparsed.
    #[test]
    fn nothing_hides_what_follows(dialect in dialects(), before in pieces()) {
        // A quote, comment or tag that is open swallows the statement, and makes the text unreadable.
        let found = classified(dialect, &format!("{before}\n;DELETE FROM t"));
        let told = found.classes.has(Write) && found.classes.has(Unbounded);
        prop_assert!(told || found.classes.has(Unparsed), "{:?}", found);
    }

    #[test]
    fn a_literal_never_reaches_the_record(dialect in dialects(), secret in "[a-z' \\\\;-]{1,20}", before in pieces()) {
        let doubled = secret.replace('\\', "\\\\").replace('\'', "''");
        let text = format!("SELECT 'qqq{doubled}qqq' {before}");
        prop_assert!(!redact(dialect, &text).contains("qqq"));
    }

    #[test]
    fn redacting_twice_changes_nothing(dialect in dialects(), text in pieces()) {
        let once = redact(dialect, &text);
        prop_assert_eq!(redact(dialect, &once), once);
    }
}
