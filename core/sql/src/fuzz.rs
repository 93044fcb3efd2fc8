//! The bodies of the fuzz targets: whatever the text, it is read, and what is said of it holds together.

use crate::{AUDIT_TEXT_MAX, Classified, Dialect, redact, threads};

/// Reads bytes as a text of both dialects.
pub fn classify(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for dialect in [Dialect::PostgreSql, Dialect::MySql] {
        let found = threads::aside(|| Classified::read(dialect, &text));
        let Some(found) = found else { unreachable!("reading {dialect:?} panicked") };
        assert_eq!(found.parsed, !found.classes.has(tapgate_model::StatementClass::Unparsed));
        assert!(found.statements == 0 || !found.classes.is_empty());
    }
}

/// Redacts bytes as a text of both dialects. What is left holds no literal: redacting it again changes nothing.
pub fn redacted(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for dialect in [Dialect::PostgreSql, Dialect::MySql] {
        let once = redact(dialect, &text);
        assert!(once.len() <= AUDIT_TEXT_MAX);
        // What was cut off may have been the end of a comment.
        if once.len() < AUDIT_TEXT_MAX / 2 {
            assert_eq!(redact(dialect, &once), once);
        }
    }
}
