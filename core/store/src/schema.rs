//! The tables, their version and the steps between versions, and how a file is recognised as ours before it is read.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::{StoreError, limits};

/// The schema that this program writes.
pub const SCHEMA: u64 = 2;

/// Keys are blobs, so that they compare as bytes and no collation or pattern has a say.
const TABLES: &str = "
    CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO meta VALUES ('schema', 1), ('revision', 0);
    CREATE TABLE entry (
        key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL, expires INTEGER
    ) STRICT;
    CREATE INDEX entry_expires ON entry (expires) WHERE expires IS NOT NULL;
";

/// The steps from each schema to the one after it, from schema 1 on. A new file takes them too: there is one way.
const STEPS: [&str; 1] = [
    // Schema 2: the authority seals its private keys. Who knows nothing of that would take them for damaged.
    "UPDATE meta SET value = 2 WHERE name = 'schema'",
];

/// The schema of a file that is there, which stays as it is.
pub fn schema_of(path: &Path) -> Result<u64, StoreError> {
    let found = || -> Result<Option<u64>, StoreError> { meta(&connect(path)?, "schema") };
    found().map_err(|error| explain(error, path))?.ok_or_else(|| StoreError::Foreign { path: path.into() })
}

/// Makes the file for its owner alone, before SQLite opens it: SQLite gives its journal the same mode. A file that is
/// there is not opened here: closing it would end the locks of this process's other connections to it.
pub(crate) fn prepare_file(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let prepared = match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, Permissions::from_mode(0o600))
        }
        other => other.map(drop),
    };
    prepared.map_err(|source| StoreError::Open { path: path.into(), source })
}

/// Opens the file as one of ours: settings, health, schema. Gives the connection and the revision.
pub(crate) fn open(path: &Path) -> Result<(Connection, u64), StoreError> {
    let opened = || -> Result<(Connection, u64), StoreError> {
        let mut connection = connect(path)?;
        write_ahead(&connection)?;
        let revision = settle(&mut connection, path)?;
        Ok((connection, revision))
    };
    opened().map_err(|error| explain(error, path))
}

/// A second connection to the same file that can only read, so that readers never wait for a writer's disk.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// The name is a path and never a URI, whatever it starts with. Each connection is behind a mutex of our own.
pub(crate) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(limits::BUSY_WAIT_MAX)?;
    // What is removed or replaced shall not linger in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// A store that lives as long as its connection.
pub(crate) fn open_in_memory() -> Result<(Connection, u64), StoreError> {
    let mut connection = Connection::open_in_memory()?;
    let revision = settle(&mut connection, Path::new(":memory:"))?;
    Ok((connection, revision))
}

/// `FULL` makes every commit wait for the disk: what was acknowledged survives a power cut. SQLite does not wait
/// for another process that is just opening or closing the file when it switches to its write-ahead log; we do.
fn write_ahead(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let mut attempts = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL").map_err(StoreError::from) {
            Err(StoreError::Busy) if attempts < limits::OPEN_ATTEMPTS_MAX => attempts += 1,
            done => return done,
        }
        thread::sleep(limits::OPEN_ATTEMPT_WAIT);
    }
}

/// Makes the tables in an empty file, or checks those of an existing one. The transaction is a
/// write from its start, so that two processes do not both find the file empty.
fn settle(connection: &mut Connection, path: &Path) -> Result<u64, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(TABLES)?;
    }
    let foreign = || StoreError::Foreign { path: path.into() };
    let found = meta(&transaction, "schema")?.ok_or_else(foreign)?;
    if found > SCHEMA {
        return Err(StoreError::NewerSchema { path: path.into(), found, known: SCHEMA });
    }
    let detail: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if detail != "ok" {
        return Err(StoreError::Damaged { path: path.into(), detail });
    }
    // All of them or none: a program that is killed meanwhile leaves the file as it was.
    for step in STEPS.iter().skip(usize::try_from(found.saturating_sub(1)).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step)?;
    }
    let revision = meta(&transaction, "revision")?.ok_or_else(foreign)?;
    transaction.commit()?;
    Ok(revision)
}

/// A row of the table `meta`; nothing where another program's database has no such table.
fn meta(connection: &Connection, name: &str) -> Result<Option<u64>, StoreError> {
    if !connection.table_exists(None, "meta")? || !connection.column_exists(None, "meta", "value")? {
        return Ok(None);
    }
    let value: Option<i64> =
        connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    Ok(value.and_then(|value| u64::try_from(value).ok()))
}

/// Says what is wrong with the file in the operator's words.
pub(crate) fn explain(error: StoreError, path: &Path) -> StoreError {
    let path = PathBuf::from(path);
    let StoreError::Sqlite(error) = error else { return error };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path, detail: error.to_string() },
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::Open { path, source: io::Error::other(error) }
        }
        _ => StoreError::Sqlite(error),
    }
}
