//! Texts that are made to hurt: none ends the process, and none is taken for harmless.

use std::sync::Arc;

use tapgate_model::StatementClass::{Read, Unparsed, Write};
use tapgate_sql::{Classified, Classifier, Dialect};

use crate::help::{CLASSIFIER, classified, run};

const BOTH: [Dialect; 2] = [Dialect::PostgreSql, Dialect::MySql];

/// `SELECT` and a chain about so many bytes long.
fn chain(link: &str, bytes: usize) -> String {
    format!("SELECT 1{}", link.repeat(bytes / link.len()))
}

#[test]
fn a_chain_of_a_quarter_of_a_megabyte_is_unparsed() {
    for dialect in BOTH {
        for link in ["+1", " OR 1", "||1", "::int", "[1]", " UNION SELECT 1", " IS NULL", " COLLATE x", "-(1)"] {
            let found = classified(dialect, &chain(link, 250_000));
            assert!(!found.parsed && found.classes.has(Unparsed), "{link}");
        }
    }
}

/// At the limits of what the parser is given, for every chain that makes a deep tree: on an ordinary stack
/// these end the process.
#[test]
fn chains_at_the_limit_are_survived() {
    let links = ["+1", "||1", " OR 1", "::int", " UNION SELECT 1", " UNION SELECT 1,1", " IS NULL", " AND a", "*(1,1)"];
    for dialect in BOTH {
        for link in links {
            for bytes in [2_000, 8_000, 16_000, 32_000, 33_000] {
                let found = classified(dialect, &chain(link, bytes));
                assert!(found.classes.has(Read), "{link} of {bytes}");
            }
        }
    }
    assert!(classified(Dialect::PostgreSql, &chain("+1", 6_000)).parsed, "a chain below the limit is read");
}

#[test]
fn nesting_is_survived() {
    for dialect in BOTH {
        for (open, close) in [
            ("(", ")"),
            ("(SELECT ", ")"),
            ("f(", ")"),
            ("CASE WHEN ", " THEN 1 END"),
            ("NOT ", ""),
            ("- ", ""),
            ("ARRAY[", "]"),
        ] {
            for depth in [10, 49, 61, 1_000, 20_000] {
                let text = format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
                let found = classified(dialect, &text);
                assert!(found.classes.has(Read) || found.classes.has(Unparsed), "{open} {depth}");
                assert!(depth < 1_000 || found.classes.has(Unparsed), "{open} {depth}");
            }
        }
    }
    let wrapped = format!("{}DELETE FROM t", "EXPLAIN ANALYZE ".repeat(1_000));
    assert!(classified(Dialect::PostgreSql, &wrapped).classes.has(Unparsed));
}

#[test]
fn long_texts_are_unparsed_but_keep_their_class() {
    let rows = |count: usize| format!("INSERT INTO t VALUES (1, 'x'){}", ", (1, 'some text of a row')".repeat(count));
    for dialect in BOTH {
        let found = classified(dialect, &rows(500));
        assert!(found.parsed && found.classes.has(Write), "five hundred rows are nothing unusual");
        let found = classified(dialect, &rows(5_000));
        assert!(!found.parsed && found.classes.has(Write));
        assert_eq!(*classified(dialect, &rows(50_000)), Classified::unreadable());
        let many = "SELECT 1;".repeat(200);
        assert_eq!((classified(dialect, &many).statements, classified(dialect, &many).parsed), (200, true));
        assert!(!classified(dialect, &"SELECT 1;".repeat(20_000)).parsed);
    }
}

#[test]
fn the_cache_knows_what_was_read_in_its_dialect() {
    let text = "SELECT \"of the cache\"";
    assert_eq!(CLASSIFIER.known(Dialect::MySql, text), None);
    let found = classified(Dialect::MySql, text);
    assert_eq!(CLASSIFIER.known(Dialect::MySql, text), Some(found));
    assert_eq!(CLASSIFIER.known(Dialect::PostgreSql, text), None);
}

#[test]
fn many_at_once_are_all_answered() {
    let classifier = Classifier::new();
    run(async {
        let tasks: Vec<_> = (0..1_000)
            .map(|number| {
                let classifier = classifier.clone();
                let text: Arc<str> = format!("DELETE FROM t WHERE id = {number}").into();
                tokio::spawn(async move { classifier.classify(Dialect::PostgreSql, text).await })
            })
            .collect();
        for task in tasks {
            let found = task.await.unwrap();
            // On a busy machine somebody may have waited too long; nobody is told "harmless".
            assert!(found.classes.has(Write) || found.classes.has(Unparsed));
        }
    });
}

#[test]
fn an_answer_that_nobody_waits_for_harms_nothing() {
    let classifier = Classifier::new();
    run(async {
        for number in 0..100 {
            let text: Arc<str> = format!("SELECT {number}").into();
            let asked = classifier.classify(Dialect::MySql, text);
            drop(tokio::time::timeout(std::time::Duration::ZERO, asked).await);
        }
        let found = classifier.classify(Dialect::MySql, "SELECT 'after all'".into()).await;
        assert!(found.parsed && found.classes.has(Read));
    });
}
