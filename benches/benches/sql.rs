//! What it costs to know what a statement does: remembered, and read for the first time.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tapgate_benches::harness::{batch, compare};
use tapgate_benches::report::{Figure, Report};
use tapgate_model::StatementClass;
use tapgate_sql::{Classifier, Dialect, read_here};

/// How many look-ups a batch has.
const KNOWN_BATCH: u32 = 2_000;

/// How many texts a batch reads.
const READ_BATCH: u32 = 50;

/// What pgbench sends for each of its transactions.
const SHORT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";

/// What an application asks of some tables.
const LONG: &str = "SELECT o.id, o.created, c.name, sum(i.price * i.count) AS total FROM orders o \
    JOIN customers c ON c.id = o.customer JOIN items i ON i.\"order\" = o.id \
    WHERE o.created > now() - interval '7 days' AND c.region IN ('north', 'south') \
    GROUP BY o.id, o.created, c.name HAVING sum(i.price * i.count) > 100 ORDER BY total DESC LIMIT 50";

fn main() -> Result<ExitCode> {
    let mut report = Report::from_arguments()?;
    if report.wants_any(&["sql-known", "sql-read", "sql-read-long"]) {
        measure(&mut report)?;
    }
    report.finish()
}

fn measure(report: &mut Report) -> Result<()> {
    let dialect = Dialect::PostgreSql;
    for text in [SHORT, LONG] {
        let found = read_here(dialect, text);
        ensure!(found.parsed && found.classes.has(StatementClass::Read), "the text that is measured is not read");
    }
    let classifier = Classifier::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(classifier.classify(dialect, Arc::from(SHORT)));
    ensure!(classifier.known(dialect, SHORT).is_some(), "the text that is measured is not remembered");

    let found = compare(
        || batch(KNOWN_BATCH, || classifier.known(dialect, SHORT)),
        || batch(READ_BATCH, || read_here(dialect, SHORT)),
    );
    report.add("sql-known", Figure::nanoseconds("what a remembered text of 52 bytes does", Some(500.0), found.a));
    report.add("sql-read", Figure::nanoseconds("the same text, read for the first time", None, found.b));
    let found =
        compare(|| batch(READ_BATCH, || read_here(dialect, LONG)), || batch(READ_BATCH, || read_here(dialect, SHORT)));
    let what = "a text of 400 bytes with two joins, read for the first time";
    report.add("sql-read-long", Figure::nanoseconds(what, None, found.a));
    Ok(())
}
