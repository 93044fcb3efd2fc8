//! The store's calls as SQLite transactions: one writer, and a reader that never waits for it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params};
use tokio::sync::watch;

use crate::{Entry, Store, StoreError, Write, limits, schema};

/// A store in one SQLite file.
pub struct SqliteStore {
    writer: Mutex<Connection>,
    /// Absent in memory, where a second connection would see another database.
    reader: Option<Mutex<Connection>>,
    revision: watch::Sender<u64>,
}

impl SqliteStore {
    /// Opens the file, or makes it, readable by its owner alone. It is checked for damage first.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        // One thread at a time, so that nobody connects to a file that is just being made.
        static OPENING: Mutex<()> = Mutex::new(());
        let path = path.as_ref();
        let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        schema::prepare_file(path)?;
        let (writer, revision) = schema::open(path)?;
        let reader = schema::open_reader(path)?;
        Ok(Self::with(writer, Some(reader), revision))
    }

    /// A store that is gone with the value, for tests and demonstrations.
    pub fn in_memory() -> Result<Self, StoreError> {
        let (writer, revision) = schema::open_in_memory()?;
        Ok(Self::with(writer, None, revision))
    }

    /// Writes all that the store holds now into a new file, for its owner alone, while others go on reading and
    /// writing.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        crate::backup::copy(&lock(&self.writer), path)
    }

    /// Moves what the write-ahead log holds into the file and empties the log, so that nothing that was replaced
    /// lingers there.
    pub fn settle_log(&self) -> Result<(), StoreError> {
        crate::backup::settle_log(&lock(&self.writer))
    }

    fn with(writer: Connection, reader: Option<Connection>, revision: u64) -> Self {
        Self { writer: Mutex::new(writer), reader: reader.map(Mutex::new), revision: watch::Sender::new(revision) }
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        lock(self.reader.as_ref().unwrap_or(&self.writer))
    }

    /// Runs `change` in a write transaction. Where it gives a version the transaction is committed and watchers are
    /// told, in the order of commits; where it gives none, nothing has changed and
    /// nothing is written.
    fn change<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<(T, Option<u64>), StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (result, version) = change(&transaction)?;
        if let Some(version) = version {
            transaction.commit()?;
            self.revision.send_replace(version);
        }
        Ok(result)
    }
}

impl Store for SqliteStore {
    fn get(&self, key: &str, now: u64) -> Result<Option<Entry>, StoreError> {
        check_key(key)?;
        find(&self.reader(), key, now)
    }

    fn put(&self, key: &str, value: &[u8], expires: Option<u64>) -> Result<u64, StoreError> {
        check(key, value)?;
        self.change(|transaction| {
            let version = advance(transaction)?;
            upsert(transaction, key, value, version, expires)?;
            Ok((version, Some(version)))
        })
    }

    fn cas(
        &self,
        key: &str,
        expected: Option<u64>,
        value: &[u8],
        expires: Option<u64>,
        now: u64,
    ) -> Result<Option<u64>, StoreError> {
        check(key, value)?;
        self.change(|transaction| {
            let held = find(transaction, key, now)?.map(|entry| entry.version);
            if held != expected {
                return Ok((None, None));
            }
            let version = advance(transaction)?;
            upsert(transaction, key, value, version, expires)?;
            Ok((Some(version), Some(version)))
        })
    }

    fn take(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        self.change(|transaction| match find(transaction, key, now)? {
            None => Ok((None, None)),
            Some(entry) => {
                remove(transaction, key)?;
                Ok((Some(entry.value), Some(advance(transaction)?)))
            }
        })
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        check_key(key)?;
        self.change(|transaction| {
            let removed = remove(transaction, key)?;
            let version = removed.then(|| advance(transaction)).transpose()?;
            Ok((removed, version))
        })
    }

    fn list(&self, prefix: &str, now: u64) -> Result<Vec<(String, Entry)>, StoreError> {
        // No UTF-8 text holds the byte 0xff: this bound lies behind every key with the prefix.
        let mut end = prefix.as_bytes().to_vec();
        end.push(0xff);
        let reader = self.reader();
        let mut statement = reader.prepare_cached(
            "SELECT value, version, key FROM entry
             WHERE key >= :start AND key < :end AND (expires IS NULL OR expires > :now) ORDER BY key",
        )?;
        let found = statement
            .query_map(named_params! { ":start": prefix.as_bytes(), ":end": end, ":now": to_sql(now) }, |row| {
                Ok((String::from_utf8_lossy(row.get_ref(2)?.as_blob()?).into_owned(), entry(row)?))
            })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn sweep(&self, now: u64) -> Result<usize, StoreError> {
        let writer = lock(&self.writer);
        let mut statement = writer.prepare_cached("DELETE FROM entry WHERE expires <= ?1")?;
        Ok(statement.execute([to_sql(now)])?)
    }

    fn write(&self, batch: &[Write]) -> Result<u64, StoreError> {
        if batch.len() > limits::BATCH_LEN_MAX {
            return Err(StoreError::Batch { len: batch.len() });
        }
        for write in batch {
            match write {
                Write::Put { key, value, .. } => check(key, value)?,
                Write::Delete { key } => check_key(key)?,
            }
        }
        self.change(|transaction| {
            let version = advance(transaction)?;
            for write in batch {
                match write {
                    Write::Put { key, value, expires } => upsert(transaction, key, value, version, *expires)?,
                    Write::Delete { key } => {
                        remove(transaction, key)?;
                    }
                }
            }
            Ok((version, Some(version)))
        })
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}

/// A thread that panicked has left no half a change behind: its transaction was rolled back.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_key(key: &str) -> Result<(), StoreError> {
    match key.len() {
        1..=limits::KEY_LEN_MAX => Ok(()),
        len => Err(StoreError::Key { len }),
    }
}

fn check(key: &str, value: &[u8]) -> Result<(), StoreError> {
    check_key(key)?;
    match value.len() {
        0..=limits::VALUE_LEN_MAX => Ok(()),
        len => Err(StoreError::Value { key: key.to_owned(), len }),
    }
}

/// SQLite's integers are signed; what does not fit lies after the end of all time anyway.
fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn find(connection: &Connection, key: &str, now: u64) -> Result<Option<Entry>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT value, version FROM entry WHERE key = :key AND (expires IS NULL OR expires > :now)")?;
    let found = statement.query_row(named_params! { ":key": key.as_bytes(), ":now": to_sql(now) }, entry);
    Ok(found.optional()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let version: i64 = row.get(1)?;
    let version = u64::try_from(version).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, version))?;
    Ok(Entry { value: row.get(0)?, version })
}

/// Counts the revision on by one. It is kept in the file, so it never goes back.
fn advance(transaction: &Transaction<'_>) -> Result<u64, StoreError> {
    let mut statement =
        transaction.prepare_cached("UPDATE meta SET value = value + 1 WHERE name = 'revision' RETURNING value")?;
    let revision: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(revision).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, revision))?)
}

fn upsert(
    transaction: &Transaction<'_>,
    key: &str,
    value: &[u8],
    version: u64,
    expires: Option<u64>,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO entry (key, value, version, expires) VALUES (:key, :value, :version, :expires)
         ON CONFLICT (key) DO UPDATE SET value = :value, version = :version, expires = :expires",
    )?;
    statement.execute(named_params! {
        ":key": key.as_bytes(), ":value": value, ":version": to_sql(version), ":expires": expires.map(to_sql),
    })?;
    Ok(())
}

fn remove(transaction: &Transaction<'_>, key: &str) -> Result<bool, StoreError> {
    let mut statement = transaction.prepare_cached("DELETE FROM entry WHERE key = ?1")?;
    Ok(statement.execute([key.as_bytes()])? > 0)
}
