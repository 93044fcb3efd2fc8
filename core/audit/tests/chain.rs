//! A log that was altered, cut, reordered or added to is recognised, and at which line.

#![cfg(test)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tapgate_audit::{Break, Event, FileSink, Sink, verify_file};
use tapgate_model::{ManualClock, UnixTime};
use tempfile::TempDir;

/// A log of five records, changed line by line before it is verified.
struct Log {
    _directory: TempDir,
    path: PathBuf,
}

impl Log {
    fn new(tag: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let clock = Arc::new(ManualClock::new(UnixTime::from_secs(1_795_180_333)));
        let sink = FileSink::open(&path, clock.clone()).unwrap();
        for n in 1..=5 {
            clock.advance(Duration::from_secs(1));
            sink.record(Event::security_warning(format!("{tag} {n}")));
        }
        drop(sink);
        Self { _directory: directory, path }
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.path).unwrap().lines().map(str::to_owned).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Vec<String>)) -> &Self {
        let mut lines = self.lines();
        change(&mut lines);
        fs::write(&self.path, lines.join("\n") + "\n").unwrap();
        self
    }

    /// The line at which the chain breaks, and why.
    fn broken(&self) -> (u64, Break) {
        let broken = verify_file(&self.path).unwrap_err();
        (broken.line, broken.what)
    }
}

#[test]
fn a_whole_log_verifies() {
    let log = Log::new("warning");
    let summary = verify_file(&log.path).unwrap();
    assert_eq!((summary.records, summary.unfinished), (5, 0));
    assert!(log.lines()[4].ends_with(&format!(",\"hash\":\"{}\"}}", summary.head)));
    assert!(log.lines()[0].starts_with("{\"seq\":0,\"time\":1795180334,\"event\":\"security.warning\","));
}

#[test]
fn altered() {
    let log = Log::new("warning");
    log.change(|lines| lines[2] = lines[2].replace("warning 3", "warning 8"));
    assert!(matches!(log.broken(), (3, Break::Hash { .. })));
}

#[test]
fn altered_in_what_json_ignores() {
    for (from, to) in [("\"seq\":2,", "\"seq\": 2,"), ("{\"seq\"", "{\"more\":1,\"seq\""), ("\"}", "\" }")] {
        let log = Log::new("warning");
        log.change(|lines| lines[2] = lines[2].replace(from, to));
        assert!(matches!(log.broken(), (3, Break::Hash { .. } | Break::NotARecord)), "{from}");
    }
}

#[test]
fn altered_hash() {
    let log = Log::new("warning");
    let other = verify_file(&log.path).unwrap().head.to_string();
    log.change(|lines| {
        let cut = lines[2].len() - 66;
        lines[2].truncate(cut);
        lines[2].push_str(&other);
        lines[2].push_str("\"}");
    });
    assert!(matches!(log.broken(), (3, Break::Hash { .. })));
}

#[test]
fn removed() {
    let log = Log::new("warning");
    log.change(|lines| drop(lines.remove(2)));
    assert!(matches!(log.broken(), (3, Break::Sequence { due: 2, found: 3 })));
    let log = Log::new("warning");
    log.change(|lines| drop(lines.remove(0)));
    assert!(matches!(log.broken(), (1, Break::Sequence { due: 0, found: 1 })));
}

#[test]
fn reordered() {
    let log = Log::new("warning");
    log.change(|lines| lines.swap(1, 3));
    assert!(matches!(log.broken(), (2, Break::Sequence { due: 1, found: 3 })));
}

#[test]
fn inserted() {
    let log = Log::new("warning");
    log.change(|lines| lines.insert(2, lines[2].clone()));
    assert!(matches!(log.broken(), (4, Break::Sequence { due: 3, found: 2 })), "a copy");
    for text in ["", "{}", "null", "{\"seq\":2}", "\u{0}\u{0}"] {
        let log = Log::new("warning");
        log.change(|lines| lines.insert(2, text.to_owned()));
        assert!(matches!(log.broken(), (3, Break::NotARecord)), "{text:?}");
    }
}

#[test]
fn replaced_by_a_record_that_is_whole_in_itself() {
    let log = Log::new("warning");
    let other = Log::new("forged").lines();
    log.change(|lines| lines[2].clone_from(&other[2]));
    assert!(matches!(log.broken(), (3, Break::Previous { .. })));
    let log = Log::new("warning");
    log.change(|lines| lines[0].clone_from(&other[0]));
    assert!(matches!(log.broken(), (2, Break::Previous { .. })));
}

#[test]
fn a_cut_end_shows_in_the_head() {
    let log = Log::new("warning");
    let before = verify_file(&log.path).unwrap();
    log.change(|lines| lines.truncate(3));
    let after = verify_file(&log.path).unwrap();
    assert_eq!(after.records, 3);
    assert_ne!(after.head, before.head);
}

#[test]
fn a_line_without_end_is_no_memory_bomb() {
    let log = Log::new("warning");
    fs::write(&log.path, vec![b'x'; 4 << 20]).unwrap();
    assert!(matches!(log.broken(), (1, Break::NotARecord)));
}

#[test]
fn the_error_names_the_line() {
    let log = Log::new("warning");
    log.change(|lines| drop(lines.remove(2)));
    let error = verify_file(&log.path).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3: record 3 stands where record 2 is due (records were removed, inserted or reordered)"
    );
}
