//! Of many threads and handles that want the same thing, one gets it.

#![cfg(test)]

use std::sync::Barrier;
use std::thread;

use tapgate_store::{SqliteStore, Store};

const THREADS: usize = 16;

/// Runs the deed on all threads at once, some on a second handle to the same file, and counts those that succeed.
fn winners(deed: impl Fn(&SqliteStore, usize) -> bool + Sync, prepare: impl Fn(&SqliteStore)) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let stores = [SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap()];
    prepare(&stores[0]);
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let (deed, start, stores) = (&deed, &start, &stores);
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                scope.spawn(move || {
                    start.wait();
                    deed(&stores[n % 2], n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    })
}

#[test]
fn cas_on_an_absent_key_has_one_winner() {
    let spend = |store: &SqliteStore, n: usize| {
        store.cas("spent/1", None, n.to_string().as_bytes(), Some(100), 1).unwrap().is_some()
    };
    for _ in 0..5 {
        assert_eq!(winners(spend, |_| ()), 1);
    }
}

#[test]
fn cas_on_a_version_has_one_winner() {
    let spend = |store: &SqliteStore, _: usize| store.cas("a", Some(1), b"x", None, 0).unwrap().is_some();
    let prepare = |store: &SqliteStore| assert_eq!(store.put("a", b"", None).unwrap(), 1);
    assert_eq!(winners(spend, prepare), 1);
}

#[test]
fn take_gives_to_one() {
    let take = |store: &SqliteStore, _: usize| store.take("ceremony/1", 1).unwrap().is_some();
    for _ in 0..5 {
        let prepare = |store: &SqliteStore| assert_eq!(store.put("ceremony/1", b"x", Some(100)).unwrap(), 1);
        assert_eq!(winners(take, prepare), 1);
    }
}

#[test]
fn counting_by_cas_loses_nothing() {
    let count = |store: &SqliteStore, _: usize| {
        for _ in 0..10 {
            loop {
                let entry = store.get("n", 0).unwrap();
                let n = entry.as_ref().map_or(0, |entry| entry.value[0]);
                if store.cas("n", entry.map(|entry| entry.version), &[n + 1], None, 0).unwrap().is_some() {
                    break;
                }
            }
        }
        store.get("n", 0).unwrap().is_some_and(|entry| usize::from(entry.value[0]) <= THREADS * 10)
    };
    assert_eq!(winners(count, |_| ()), THREADS);
    let last = |store: &SqliteStore, n: usize| {
        count(store, n);
        store.get("n", 0).unwrap().is_some_and(|entry| usize::from(entry.value[0]) == THREADS * 10)
    };
    assert!(winners(last, |_| ()) >= 1, "whoever comes last sees every count");
}
