//! One classifier for all tests, asked as a protocol asks it.

use std::sync::{Arc, LazyLock};

use tapgate_sql::{Classified, Classifier, Dialect};
use tokio::runtime::Runtime;

pub(crate) static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(Classifier::new);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

pub(crate) fn classified(dialect: Dialect, text: &str) -> Arc<Classified> {
    run(CLASSIFIER.classify(dialect, Arc::from(text)))
}

/// Each line is the classes, a bar, and a text. All that is wrong is told at once.
pub(crate) fn table(dialect: Dialect, table: &str) {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut wrong = Vec::new();
    for line in lines {
        let (want, text) = line.split_once('|').unwrap();
        let mut want: Vec<&str> = want.split_whitespace().collect();
        let found = classified(dialect, text.trim());
        let mut names: Vec<&str> = found.classes.iter().map(tapgate_model::StatementClass::name).collect();
        want.sort_unstable();
        names.sort_unstable();
        if want != names {
            wrong.push(format!("{}\n    found {names:?}", line.trim()));
        }
    }
    assert!(wrong.is_empty(), "{} texts:\n{}", wrong.len(), wrong.join("\n"));
}

pub(crate) fn tables(dialect: Dialect, text: &str) -> String {
    classified(dialect, text).tables.join(" ")
}
