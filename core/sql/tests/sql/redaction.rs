//! What is left of a text for the record.

use tapgate_sql::Dialect::{MySql, PostgreSql};
use tapgate_sql::{AUDIT_TEXT_MAX, capped, first_keyword, redact};

#[test]
fn literals_are_gone_and_the_shape_stays() {
    for (dialect, text, want) in [
        (PostgreSql, "SELECT * FROM t\n WHERE a = 'secret' AND b=42", "SELECT * FROM t WHERE a = ? AND b=?"),
        (PostgreSql, "SELECT E'a\\'b', $$x$$, $t$y$t$, B'1', 1.5e3, $1", "SELECT ?, ?, ?, ?, ?, $1"),
        (PostgreSql, "SELECT \"name\", 'a' 'b' -- a secret\n, 1", "SELECT \"name\", ? , ?"),
        (PostgreSql, "ALTER ROLE jerry PASSWORD 'secret'", "ALTER ROLE jerry PASSWORD ?"),
        (PostgreSql, "/* a secret */ FROBNICATE 'x' ((", "FROBNICATE ? (("),
        (MySql, "SELECT \"secret\", 'it\\'s', `name`, 0x1F # secret", "SELECT ?, ?, `name`, ?"),
        (MySql, "SELECT 1--/* a */ 'b'", "SELECT ?- - ?"),
        (MySql, "/*!40101 SET @a='secret' */", "/*!40101 SET @a=? */"),
        (MySql, "INSERT INTO t VALUES (1,'a'),(2,'b')", "INSERT INTO t VALUES (?,?),(?,?)"),
    ] {
        assert_eq!(redact(dialect, text), want);
    }
}

#[test]
fn of_what_cannot_be_cut_the_first_keyword_is_left() {
    assert_eq!(redact(PostgreSql, "insert into t values ('secret"), "INSERT");
    assert_eq!(redact(PostgreSql, "SELECT 'a\\'secret'"), "SELECT");
    assert_eq!(redact(PostgreSql, "'secret"), "?");
    assert_eq!(redact(MySql, "SELECT 1 /* secret"), "SELECT");
    assert_eq!(first_keyword(PostgreSql, "-- a\n (select 1)"), "SELECT");
    assert_eq!(first_keyword(PostgreSql, "pass_word1"), "?");
    assert_eq!(first_keyword(MySql, ""), "?");
}

#[test]
fn nothing_is_longer_than_the_limit() {
    let text = "SELECT äöü, ".repeat(10_000);
    assert!(redact(MySql, &text).len() <= AUDIT_TEXT_MAX && redact(MySql, &text).len() > AUDIT_TEXT_MAX - 20);
    assert!(capped(&text).len() <= AUDIT_TEXT_MAX && text.starts_with(capped(&text)));
    assert_eq!(capped("SELECT 1"), "SELECT 1");
}
