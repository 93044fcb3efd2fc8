//! What each call of the store promises, on disk and in memory alike.

#![cfg(test)]

use std::fs;
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tapgate_store::{Entry, SqliteStore, Store, StoreError, Write, limits};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    (directory, path)
}

/// Runs the check on a store on disk and on one in memory.
fn both(check: impl Fn(&dyn Store)) {
    let (_directory, path) = place();
    check(&SqliteStore::open(&path).unwrap());
    check(&SqliteStore::in_memory().unwrap());
}

fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.list(prefix, 0).unwrap().into_iter().map(|(key, _)| key).collect()
}

fn error(path: &Path) -> StoreError {
    SqliteStore::open(path).err().unwrap()
}

#[test]
fn put_get_delete() {
    both(|store| {
        assert_eq!(store.get("a", 0).unwrap(), None);
        let first = store.put("a", b"1", None).unwrap();
        assert_eq!(store.get("a", 0).unwrap(), Some(Entry { value: b"1".to_vec(), version: first }));
        let second = store.put("a", &[0, 255], None).unwrap();
        assert!(second > first);
        assert_eq!(store.get("a", 0).unwrap(), Some(Entry { value: vec![0, 255], version: second }));
        assert!(store.delete("a").unwrap());
        assert!(!store.delete("a").unwrap());
        assert_eq!(store.get("a", 0).unwrap(), None);
        assert!(store.put("a", b"", None).unwrap() > second, "no version comes back");
    });
}

#[test]
fn cas_grants_one() {
    both(|store| {
        let version = store.cas("a", None, b"1", None, 0).unwrap().unwrap();
        assert_eq!(store.cas("a", None, b"2", None, 0).unwrap(), None);
        assert_eq!(store.cas("a", Some(version + 1), b"2", None, 0).unwrap(), None);
        assert_eq!(store.cas("b", Some(version), b"2", None, 0).unwrap(), None, "absent");
        let next = store.cas("a", Some(version), b"3", None, 0).unwrap().unwrap();
        assert_eq!(store.get("a", 0).unwrap(), Some(Entry { value: b"3".to_vec(), version: next }));
        store.delete("a").unwrap();
        store.put("a", b"4", None).unwrap();
        assert_eq!(store.cas("a", Some(next), b"5", None, 0).unwrap(), None, "another life of the same key");
    });
}

#[test]
fn what_has_expired_is_absent_to_every_call() {
    both(|store| {
        let version = store.put("a", b"1", Some(100)).unwrap();
        assert!(store.get("a", 99).unwrap().is_some());
        assert_eq!(store.list("", 99).unwrap().len(), 1);
        assert_eq!(store.get("a", 100).unwrap(), None);
        assert!(store.list("", 100).unwrap().is_empty());
        assert_eq!(store.take("a", 100).unwrap(), None);
        assert_eq!(store.cas("a", Some(version), b"2", None, 100).unwrap(), None);
        assert!(store.cas("a", None, b"2", Some(u64::MAX), 100).unwrap().is_some());
        assert!(store.get("a", u64::from(u32::MAX)).unwrap().is_some());
    });
}

#[test]
fn sweep_takes_the_expired_only() {
    both(|store| {
        for (key, expires) in [("a", Some(10)), ("b", Some(11)), ("c", None)] {
            store.put(key, b"", expires).unwrap();
        }
        let revision = *store.watch().borrow();
        assert_eq!(store.sweep(10).unwrap(), 1);
        assert_eq!(store.sweep(10).unwrap(), 0);
        assert_eq!(keys(store, ""), ["b", "c"]);
        assert_eq!(*store.watch().borrow(), revision);
    });
}

#[test]
fn a_prefix_is_literal() {
    both(|store| {
        let all = ["a%b", "a%c", "aXb", "a_b", "a_c", "a", "A%b", "a%", "ä/1", "ä/2", "a\u{10ffff}", "a\u{10ffff}z"];
        for key in all {
            store.put(key, key.as_bytes(), None).unwrap();
        }
        assert_eq!(keys(store, "a%"), ["a%", "a%b", "a%c"]);
        assert_eq!(keys(store, "a_"), ["a_b", "a_c"]);
        assert_eq!(keys(store, "ä/"), ["ä/1", "ä/2"]);
        assert_eq!(keys(store, "a\u{10ffff}"), ["a\u{10ffff}", "a\u{10ffff}z"]);
        assert_eq!(keys(store, "*"), [""; 0]);
        assert_eq!(keys(store, "b' OR 1=1 --"), [""; 0]);
        assert_eq!(store.list("", 0).unwrap().len(), all.len());
        assert!(store.list("", 0).unwrap().iter().all(|(key, entry)| key.as_bytes() == entry.value));
    });
}

#[test]
fn a_batch_is_made_whole_or_not_at_all() {
    both(|store| {
        let put = |key: &str| Write::Put { key: key.to_owned(), value: b"1".to_vec(), expires: Some(5) };
        let delete = |key: &str| Write::Delete { key: key.to_owned() };
        let version = store.write(&[put("a"), put("b"), put("c"), delete("b"), delete("none")]).unwrap();
        assert_eq!(keys(store, ""), ["a", "c"]);
        assert_eq!(store.get("c", 4).unwrap().map(|entry| entry.version), Some(version));
        assert_eq!(store.get("c", 5).unwrap(), None);
        assert!(matches!(store.write(&[put("d"), put("")]), Err(StoreError::Key { len: 0 })));
        assert_eq!(keys(store, ""), ["a", "c"]);
        assert!(store.write(&vec![delete("a"); limits::BATCH_LEN_MAX + 1]).is_err());
    });
}

#[test]
fn keys_and_values_have_limits() {
    both(|store| {
        let (long, large) = ("k".repeat(limits::KEY_LEN_MAX), vec![7; limits::VALUE_LEN_MAX]);
        store.put(&long, &large, None).unwrap();
        assert_eq!(store.take(&long, 0).unwrap(), Some(large.clone()));
        let (too_long, too_large) = (long + "k", [large, vec![7]].concat());
        for key in ["", &too_long] {
            assert!(matches!(store.put(key, b"", None), Err(StoreError::Key { .. })));
            assert!(matches!(store.get(key, 0), Err(StoreError::Key { .. })));
            assert!(matches!(store.take(key, 0), Err(StoreError::Key { .. })));
            assert!(matches!(store.delete(key), Err(StoreError::Key { .. })));
            assert!(matches!(store.cas(key, None, b"", None, 0), Err(StoreError::Key { .. })));
        }
        let error = store.put("k", &too_large, None).unwrap_err();
        assert_eq!(error.to_string(), "the value for \"k\" has 1048577 bytes (use at most 1048576)");
    });
}

#[test]
fn watchers_learn_of_every_write() {
    both(|store| {
        let mut watch = store.watch();
        assert!(!watch.has_changed().unwrap());
        let mut last = *watch.borrow_and_update();
        let mut moved = |expect: bool| {
            assert_eq!(watch.has_changed().unwrap(), expect);
            let now = *watch.borrow_and_update();
            assert_eq!(now > last, expect);
            last = now;
        };
        assert_eq!(store.put("a", b"", None).unwrap(), *store.watch().borrow());
        moved(true);
        store.cas("a", None, b"", None, 0).unwrap();
        store.take("b", 0).unwrap();
        store.delete("b").unwrap();
        store.get("a", 0).unwrap();
        moved(false);
        store.take("a", 0).unwrap();
        moved(true);
        store.cas("a", None, b"", None, 0).unwrap();
        moved(true);
        store.delete("a").unwrap();
        moved(true);
    });
}

#[test]
fn the_file_is_the_owners_and_is_found_again() {
    let (directory, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let version = store.put("a", b"1", None).unwrap();
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().metadata().unwrap()).collect();
    assert_eq!(files.len(), 3, "the database, its log and its index");
    assert!(files.iter().all(|file| file.permissions().mode() & 0o777 == 0o600));
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(*store.watch().borrow(), version);
    assert_eq!(store.get("a", 0).unwrap(), Some(Entry { value: b"1".to_vec(), version }));
}

#[test]
fn a_newer_schema_is_refused() {
    let (_directory, path) = place();
    drop(SqliteStore::open(&path).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("UPDATE meta SET value = 3 WHERE name = 'schema'", []).unwrap();
    drop(other);
    let error = error(&path);
    assert!(matches!(error, StoreError::NewerSchema { found: 3, known: 2, .. }));
    assert!(
        error
            .to_string()
            .ends_with("has schema 3, and this program knows up to 2 (run the newer program, or restore a backup)")
    );
}

#[test]
fn an_older_schema_is_brought_forward_with_all_that_it_holds() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let version = store.put("a", b"1", None).unwrap();
    drop(store);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("UPDATE meta SET value = 1 WHERE name = 'schema'", []).unwrap();
    drop(other);
    assert_eq!(tapgate_store::schema_of(&path).unwrap(), 1, "to look changes nothing");
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.get("a", 0).unwrap(), Some(Entry { value: b"1".to_vec(), version }));
    assert_eq!(tapgate_store::schema_of(&path).unwrap(), tapgate_store::SCHEMA);
}

#[test]
fn what_is_no_store_is_refused() {
    let (_directory, path) = place();
    fs::write(&path, "this is a text that somebody wrote, and no database at all. ".repeat(100)).unwrap();
    let error_text = error(&path);
    assert!(matches!(error_text, StoreError::NotADatabase { .. }), "{error_text}");
    for tables in ["CREATE TABLE users (id)", "CREATE TABLE meta (id)", "CREATE TABLE meta (name TEXT, value INTEGER)"]
    {
        fs::remove_file(&path).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(tables).unwrap();
        let foreign = error(&path);
        assert!(matches!(foreign, StoreError::Foreign { .. }), "{foreign}");
    }
    let missing = error(&path.join("deeper"));
    assert!(matches!(missing, StoreError::Open { .. }), "{missing}");
}

#[test]
fn a_damaged_store_is_refused() {
    for (place_of_damage, len) in [(100, 4000), (4096 * 2, 4096), (4096 * 5, 4096)] {
        let (_directory, path) = place();
        let store = SqliteStore::open(&path).unwrap();
        for n in 0..200 {
            store.put(&format!("key/{n}"), &[7; 500], None).unwrap();
        }
        drop(store);
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(place_of_damage)).unwrap();
        file.write_all(&vec![0x5a; len]).unwrap();
        drop(file);
        let damaged = error(&path);
        assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged}");
        assert!(damaged.to_string().contains("(restore it from a backup)"));
    }
}
