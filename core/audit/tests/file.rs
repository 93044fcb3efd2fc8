//! The log on disk: its mode, its end after a crash, its one writer, and that no text can forge a line.

#![cfg(test)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tapgate_audit::{AuditError, Event, FileSink, MemorySink, Record, Sink, read_file, verify_file};
use tapgate_model::SystemClock;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    (directory, path)
}

fn open(path: &Path) -> FileSink {
    FileSink::open(path, Arc::new(SystemClock)).unwrap()
}

fn error(path: &Path) -> AuditError {
    FileSink::open(path, Arc::new(SystemClock)).err().unwrap()
}

fn records(path: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    read_file(path, |record| records.push(record)).unwrap();
    records
}

fn names(path: &Path) -> Vec<&'static str> {
    records(path).iter().map(|record| record.event.name()).collect()
}

#[test]
fn the_chain_goes_on_over_restarts() {
    let (_directory, path) = place();
    for run in 0..3 {
        let sink = open(&path);
        assert_eq!(sink.summary().records, run * 2);
        sink.record(Event::gate_started("1.0"));
        sink.record(Event::gate_stopped("1.0"));
        sink.flush().unwrap();
        assert_eq!(verify_file(&path).unwrap(), sink.summary());
    }
    assert_eq!(verify_file(&path).unwrap().records, 6);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_torn_line_is_moved_away_and_reported() {
    let (_directory, path) = place();
    let sink = open(&path);
    sink.record(Event::gate_started("1.0"));
    drop(sink);
    let whole = fs::read(&path).unwrap();
    let torn_path = path.with_extension("log.torn");
    let mut aside = Vec::new();
    for torn in [b"{\"seq\":1,\"ti".as_slice(), &whole[..whole.len() - 1], &[0; 10_000]] {
        let before = names(&path).len();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
        let len = u64::try_from(torn.len()).unwrap();
        assert_eq!(verify_file(&path).unwrap().unfinished, len);
        drop(open(&path));
        let last = records(&path).pop().unwrap();
        assert_eq!(last.event, Event::AuditTorn { bytes: len });
        assert_eq!(names(&path).len(), before + 1);
        aside.extend_from_slice(torn);
        aside.push(b'\n');
        assert_eq!(fs::read(&torn_path).unwrap(), aside);
    }
    assert_eq!(fs::metadata(&torn_path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_torn_first_line() {
    let (_directory, path) = place();
    fs::write(&path, "{\"se").unwrap();
    drop(open(&path));
    assert_eq!(names(&path), ["audit.torn"]);
}

#[test]
fn what_is_no_log_is_left_alone() {
    let (_directory, path) = place();
    let sink = open(&path);
    sink.record(Event::gate_started("1.0"));
    drop(sink);
    let altered = fs::read_to_string(&path).unwrap().replace("1.0", "2.0");
    for text in ["root:x:0:0\n", "\n", "root:x:0:0\nhalf", &altered, &format!("{}\n", "x".repeat(1 << 20))] {
        fs::write(&path, text).unwrap();
        assert!(matches!(error(&path), AuditError::Broken { .. }), "{text:.20}");
        assert_eq!(fs::read_to_string(&path).unwrap(), *text);
    }
    assert!(!path.with_extension("log.torn").exists());
}

#[test]
fn one_writer_at_a_time() {
    let (_directory, path) = place();
    let sink = open(&path);
    assert!(matches!(error(&path), AuditError::InUse { .. }));
    drop(sink);
    drop(open(&path));
}

#[test]
fn a_missing_directory_is_named() {
    let (_directory, path) = place();
    let message = error(&path.join("deeper")).to_string();
    assert!(message.contains("deeper cannot be opened") && message.contains("directory must exist"), "{message}");
}

#[test]
fn texts_from_a_peer_forge_no_line() {
    let (_directory, path) = place();
    let sink = open(&path);
    sink.record(Event::gate_started("1.0"));
    sink.flush().unwrap();
    let forged = fs::read_to_string(&path).unwrap();
    let peer = "[2001:db8::1]:22".parse().unwrap();
    for user in [
        format!("x\n{forged}"),
        format!("x\"}}\n{forged}"),
        format!("x\\\"}}\r\n{forged}"),
        "x\",\"event\":\"auth.login\",\"user\":\"root".to_owned(),
        "\u{85}\u{2028}\u{0}\u{1b}[2J".to_owned(),
    ] {
        sink.record(Event::login_failed(user, peer, "no such user"));
    }
    sink.flush().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 6);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    assert_eq!(names(&path)[1..], ["auth.login_failed"; 5]);
}

#[test]
fn many_threads_one_chain() {
    let (_directory, path) = place();
    let sink = open(&path);
    thread::scope(|scope| {
        for n in 0..8 {
            let sink = &sink;
            scope.spawn(move || (0..500).for_each(|m| sink.record(Event::security_warning(format!("{n} {m}")))));
        }
    });
    sink.flush().unwrap();
    assert_eq!(verify_file(&path).unwrap().records, 4000);
    let records = records(&path);
    assert!(records.is_sorted_by_key(|record| record.time), "times do not run backwards");
}

#[test]
fn more_than_the_queue_holds_is_counted() {
    let (_directory, path) = place();
    let sink = open(&path);
    for n in 0..50_000 {
        sink.record(Event::security_warning(n.to_string()));
    }
    sink.flush().unwrap();
    let (mut there, mut lost) = (0, 0);
    for record in records(&path) {
        match record.event {
            Event::AuditLost { count } => lost += count,
            _ => there += 1,
        }
    }
    assert_eq!(there + lost, 50_000, "{lost} were lost");
}

#[test]
fn the_memory_sink_keeps_order() {
    let sink = Arc::new(MemorySink::new());
    let shared: Arc<dyn Sink> = sink.clone();
    shared.record(Event::gate_started("1.0"));
    shared.record(Event::gate_stopped("1.0"));
    assert_eq!(sink.names(), ["gate.started", "gate.stopped"]);
    assert_eq!(sink.events()[1], Event::gate_stopped("1.0"));
}
