//! Copies of a store: written while it is in use, and put in its place again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::{SCHEMA, SqliteStore, StoreError, schema};

/// What became of the file that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where it is now, if there was one.
    pub before: Option<PathBuf>,
    /// Whether what must not be forgotten was taken over from it.
    pub carried: bool,
}

/// Copies through this connection into a file that is not there yet.
pub(crate) fn copy(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Copy { path: path.into(), source };
    // SQLite fills an empty file and leaves its mode as it is.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let copied = connection.execute("VACUUM INTO ?1", [path.to_string_lossy()]).map_err(StoreError::from);
    let copied = copied.and_then(|_| File::open(path).and_then(|file| file.sync_all()).map_err(failed));
    if copied.is_err() {
        // Half a backup is worse than none; that it is gone is all that can be done here.
        fs::remove_file(path).ok();
    }
    copied
}

pub(crate) fn settle_log(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA main.wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Puts a backup in the place of the store, whose gate must not run. What expires is left out, as web sessions that have
/// ended since would be there again; but entries under `carried`, such as taps that were spent, are kept, and taken over
/// from the file that was there before. That file stays beside the new one, under the name with `suffix`. What `fits`
/// refuses takes nobody's place.
pub fn restore(
    backup: &Path,
    store: &Path,
    carried: &[&str],
    suffix: &str,
    fits: impl FnOnce(&SqliteStore) -> Result<(), StoreError>,
) -> Result<Restored, StoreError> {
    let found = schema::schema_of(backup)?;
    if found > SCHEMA {
        return Err(StoreError::NewerSchema { path: backup.into(), found, known: SCHEMA });
    }
    let fresh = beside(store, ".restoring");
    let failed = |source| StoreError::Copy { path: fresh.clone(), source };
    for path in [fresh.clone(), beside(&fresh, "-wal"), beside(&fresh, "-shm")] {
        gone(&path).map_err(failed)?;
    }
    copy(&schema::connect(backup)?, &fresh).map_err(|error| schema::explain(error, backup))?;
    // Opened as a store: it is looked through for damage, and brought to the schema of this program.
    fits(&SqliteStore::open(&fresh)?)?;
    let connection = schema::connect(&fresh)?;
    let kept = carried.iter().map(|prefix| format!("{prefix}*")).collect::<Vec<_>>();
    forget(&connection, &kept)?;
    let carried = store.exists() && take_over(&connection, store, &kept).is_ok();
    settle_log(&connection)?;
    drop(connection);
    let before = put_aside(store, suffix).map_err(failed)?;
    fs::rename(&fresh, store).map_err(failed)?;
    store.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()).map_err(failed)?;
    Ok(Restored { before, carried })
}

fn forget(connection: &Connection, kept: &[String]) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT key FROM entry WHERE expires IS NOT NULL")?;
    let keys = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?.collect::<Result<Vec<_>, _>>()?;
    let is_kept = |key: &[u8]| kept.iter().any(|glob| key.starts_with(glob.trim_end_matches('*').as_bytes()));
    for key in keys.iter().filter(|key| !is_kept(key)) {
        connection.execute("DELETE FROM entry WHERE key = ?1", [key])?;
    }
    Ok(())
}

/// Takes entries over from the old file, which may be too damaged for it.
fn take_over(connection: &Connection, old: &Path, globs: &[String]) -> Result<(), StoreError> {
    connection.execute("ATTACH DATABASE ?1 AS old", [old.to_string_lossy()])?;
    let sql = "INSERT OR IGNORE INTO entry SELECT key, value, version, expires FROM old.entry
               WHERE CAST(key AS TEXT) GLOB ?1";
    let taken = globs.iter().try_for_each(|glob| connection.execute(sql, [glob]).map(drop));
    connection.execute("DETACH DATABASE old", [])?;
    Ok(taken?)
}

/// Gives the old file, with its log, a second name; the first is replaced in one step by what follows.
fn put_aside(store: &Path, suffix: &str) -> io::Result<Option<PathBuf>> {
    if !store.exists() {
        return Ok(None);
    }
    // An old file that can be read is made whole, so that it needs no log beside it.
    if let Ok(connection) = schema::connect(store) {
        settle_log(&connection).ok();
    }
    let before = beside(store, suffix);
    for end in ["-wal", "-shm"] {
        match fs::rename(beside(store, end), beside(&before, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::hard_link(store, &before)?;
    Ok(Some(before))
}

fn gone(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store as _;

    #[test]
    fn a_backup_comes_back_without_what_has_ended_and_with_what_was_spent() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
        let store = SqliteStore::open(&path).unwrap();
        store.put("user/jerry", b"1", None).unwrap();
        store.put("web-session/jerry", b"1", Some(1000)).unwrap();
        store.put("spent/old", b"1", Some(1000)).unwrap();
        store.copy_to(&copy).unwrap();
        assert!(store.copy_to(&copy).unwrap_err().to_string().contains("name a file that is not there yet"));
        store.put("user/jerry", b"2", None).unwrap();
        store.put("spent/new", b"1", Some(1000)).unwrap();
        drop(store);

        let restored = restore(&copy, &path, &["spent/"], ".before", |_| Ok(())).unwrap();
        assert!(restored.carried);
        let keys = |path: &Path| {
            let store = SqliteStore::open(path).unwrap();
            store.list("", 0).unwrap().into_iter().map(|(key, entry)| (key, entry.value)).collect::<Vec<_>>()
        };
        let entry = |key: &str, value: &[u8]| (key.to_owned(), value.to_vec());
        assert_eq!(keys(&path), [entry("spent/new", b"1"), entry("spent/old", b"1"), entry("user/jerry", b"1")]);
        assert_eq!(keys(&restored.before.unwrap()).len(), 4);
    }

    #[test]
    fn a_damaged_store_is_replaced_and_a_damaged_backup_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("store.db"), dir.path().join("copy.db"));
        let store = SqliteStore::open(&path).unwrap();
        store.put("user/jerry", b"1", None).unwrap();
        store.copy_to(&copy).unwrap();
        drop(store);
        fs::write(&path, "no database").unwrap();
        assert!(!restore(&copy, &path, &["spent/"], ".before", |_| Ok(())).unwrap().carried);
        assert!(SqliteStore::open(&path).unwrap().get("user/jerry", 0).unwrap().is_some());

        let unfit = |_: &SqliteStore| Err(StoreError::Full);
        assert!(matches!(restore(&copy, &path, &[], ".again", unfit), Err(StoreError::Full)));
        fs::write(&copy, "no database either, and long enough that nobody takes it for one. ".repeat(50)).unwrap();
        assert!(matches!(restore(&copy, &path, &[], ".again", |_| Ok(())), Err(StoreError::NotADatabase { .. })));
        assert!(SqliteStore::open(&path).unwrap().get("user/jerry", 0).unwrap().is_some());
        let newer = SqliteStore::open(dir.path().join("newer.db")).unwrap();
        drop(newer);
        let newer = dir.path().join("newer.db");
        Connection::open(&newer).unwrap().execute("UPDATE meta SET value = 9 WHERE name = 'schema'", []).unwrap();
        assert!(matches!(
            restore(&newer, &path, &[], ".again", |_| Ok(())),
            Err(StoreError::NewerSchema { found: 9, .. })
        ));
    }
}
