//! Recordings in a store of objects: brought there in parts, read from there by ranges, removed there.

#![cfg(all(test, feature = "s3"))]
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::memory::InMemory;
use tapgate_audit::{Recorder as _, TapeFacts, Taped};
use tapgate_model::{Kind, SessionId, UnixTime};
use tapgate_record::{Deck, Remote, RemoteParts, Shelf, frames, list, page};

const KEY: [u8; 32] = [7; 32];

fn facts(n: u8) -> TapeFacts {
    TapeFacts {
        session: SessionId::from_bytes([n; 16]),
        user: "ann".parse().unwrap(),
        kind: Kind::Node,
        target: "prod3".parse().unwrap(),
        login: "root".into(),
        protocol: "ssh".into(),
        started: UnixTime::from_secs(1_795_180_333 + u64::from(n)),
    }
}

fn open(folder: &Path, store: &Arc<InMemory>, waiting_max: u64) -> Arc<Remote> {
    let store: Arc<dyn tapgate_record::Store> = store.clone();
    Arc::new(Remote::open(RemoteParts { folder, store, prefix: "gate/one", waiting_max }).unwrap())
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn left(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".tgrec")).count()
}

/// Bytes that no compression makes shorter.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// How many bytes of output a recording has.
fn output(shelf: &dyn Shelf, n: u8) -> usize {
    let (mut at, mut sum) = (None, 0);
    loop {
        let piece = page(shelf, &KEY, facts(n).session, at).unwrap();
        sum += frames(&piece.bytes)
            .unwrap()
            .iter()
            .filter(|frame| frame.channel == 1)
            .map(|f| f.data.len())
            .sum::<usize>();
        match piece.next {
            Some(next) => at = Some(next),
            None => return sum,
        }
    }
}

#[test]
fn a_recording_goes_there_and_comes_back_whole() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let shelf = open(dir.path(), &store, u64::MAX);
    let deck = Deck::new(shelf.clone(), &KEY).unwrap();
    let short = deck.begin(&facts(1), Box::new(|why| panic!("{why}"))).unwrap();
    let long = deck.begin(&facts(2), Box::new(|why| panic!("{why}"))).unwrap();
    short.write(1, Taped::Output(b"short"));
    short.end("over");
    let piece = noise(1 << 20);
    for _ in 0..9 {
        long.write(1, Taped::Output(&piece));
        until("its writing", || output(&*shelf, 2).is_multiple_of(piece.len()) && output(&*shelf, 2) > 0);
    }
    long.end("over");
    until("their leaving", || left(dir.path()) == 0);
    assert_eq!((output(&*shelf, 1), output(&*shelf, 2)), (5, 9 * piece.len()));
    let listed: Vec<_> = list(&*shelf, &KEY).unwrap().into_iter().map(|listed| listed.facts).collect();
    assert_eq!(listed, [facts(2), facts(1)]);
    // Somewhere else there are no beginnings, and all of it is found.
    let other = tempfile::tempdir().unwrap();
    let elsewhere = open(other.path(), &store, u64::MAX);
    assert_eq!(list(&*elsewhere, &KEY).unwrap().len(), 2);
    assert_eq!(output(&*elsewhere, 2), 9 * piece.len());
    elsewhere.remove(facts(2).session).unwrap();
    assert_eq!(shelf.all().unwrap().len(), 1);
    assert!(page(&*elsewhere, &KEY, facts(2).session, None).is_err());
}

#[test]
fn what_an_earlier_run_has_left_is_brought_there() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let deck = Deck::new(Arc::new(tapgate_record::Folder::new(dir.path()).unwrap()), &KEY).unwrap();
    deck.begin(&facts(1), Box::new(|_| {})).unwrap().write(1, Taped::Output(b"left"));
    drop(deck);
    let shelf = open(dir.path(), &store, u64::MAX);
    until("its leaving", || left(dir.path()) == 0);
    assert_eq!(output(&*shelf, 1), 4);
    shelf.close();
}

#[test]
fn no_more_waits_than_may() {
    let (dir, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let shelf = open(dir.path(), &store, 64);
    let deck = Deck::new(shelf, &KEY).unwrap();
    let refused = deck.begin(&facts(1), Box::new(|_| {})).err().unwrap();
    assert!(refused.contains("no more may wait"), "{refused}");
}
