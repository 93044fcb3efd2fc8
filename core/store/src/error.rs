//! What can go wrong with the store, and what to do about it.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::limits;

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be made or opened.
    #[error(
        "the store {path} cannot be opened: {source} (the directory must exist and belong to the gate's user)",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else than a database.
    #[error("{path} is not a store: it is not an SQLite database (move it away, or name another file)", path = path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database that another program made.
    #[error("{path} is not a store: it is another program's database (name another file)", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was a store and is damaged.
    #[error("the store {path} is damaged: {detail} (restore it from a backup)", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// A newer program has written the file.
    #[error(
        "the store {path} has schema {found}, and this program knows up to {known} (run the newer program, or restore a backup)",
        path = path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: u64,
        /// The newest schema that this program knows.
        known: u64,
    },
    /// A key that is empty or too long.
    #[error("a key has {len} bytes (use 1 to {max})", max = limits::KEY_LEN_MAX)]
    Key {
        /// Its length in bytes.
        len: usize,
    },
    /// A value that is too large.
    #[error("the value for {key:?} has {len} bytes (use at most {max})", max = limits::VALUE_LEN_MAX)]
    Value {
        /// The key it was for.
        key: String,
        /// Its length in bytes.
        len: usize,
    },
    /// A batch that is too long.
    #[error("a batch has {len} writes (use at most {max})", max = limits::BATCH_LEN_MAX)]
    Batch {
        /// The number of writes.
        len: usize,
    },
    /// A secret that another key has sealed, or that was changed.
    #[error("the secret {key} can't be opened (is the secrets' key the one that sealed it?)")]
    Sealed {
        /// The key it is under.
        key: String,
    },
    /// A backup can't be written there.
    #[error("the copy {path} can't be written: {source} (name a file that is not there yet)", path = path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full; nothing was written.
    #[error("the store cannot be written: the disk is full (free some space)")]
    Full,
    /// Another process holds the file for too long; nothing was written.
    #[error("the store is held by another process (end it, or try again)")]
    Busy,
    /// Anything else that SQLite reports.
    #[error("the store failed: {0} (see the file's permissions and the disk's health)")]
    Sqlite(rusqlite::Error),
}

/// The errors that call for different deeds get variants of their own.
impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
}
