//! Many threads and processes may open one new file at once.

#![cfg(test)]

use std::env;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use tapgate_store::{SqliteStore, Store};

const FILE: &str = "TAPGATE_STORE_OPEN_TEST_FILE";
const OPENERS: usize = 8;

#[test]
fn threads() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let start = Barrier::new(OPENERS);
        thread::scope(|scope| {
            for _ in 0..OPENERS {
                scope.spawn(|| {
                    start.wait();
                    SqliteStore::open(&path).unwrap().put("a", b"", None).unwrap();
                });
            }
        });
        assert_eq!(*SqliteStore::open(&path).unwrap().watch().borrow(), 8);
    }
}

#[test]
fn processes() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let child = || {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "opener"]).env(FILE, &path).spawn().unwrap()
        };
        let children: Vec<_> = (0..OPENERS).map(|_| child()).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(*SqliteStore::open(&path).unwrap().watch().borrow(), 40);
    }
}

/// The process that the test above starts: it opens the file, writes and closes it, again and again.
#[test]
fn opener() {
    let Ok(file) = env::var(FILE) else { return };
    for _ in 0..5 {
        SqliteStore::open(&file).unwrap().put("a", b"", None).unwrap();
    }
}
