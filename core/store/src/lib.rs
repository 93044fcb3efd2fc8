//! A key-value store with compare-and-swap, expiry and watch; SQLite behind it.

mod backup;
mod error;
pub mod limits;
mod schema;
mod sqlite;

pub use backup::{Restored, restore};
pub use error::StoreError;
pub use schema::{SCHEMA, schema_of};
pub use sqlite::SqliteStore;
use tokio::sync::watch;

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes that were put.
    pub value: Vec<u8>,
    /// The store's revision at the write that put them. No two writes share one, so a key that was
    /// deleted and put again never shows an old version.
    pub version: u64,
}

/// One step of an atomic batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Puts a value, whatever the key held before.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: Vec<u8>,
        /// When the entry ceases to exist, in seconds since the epoch.
        expires: Option<u64>,
    },
    /// Removes a key; that it was absent is no error.
    Delete {
        /// The key.
        key: String,
    },
}

/// Keys and values that outlive the process. A call that has returned `Ok` has reached the disk.
///
/// Calls block for as long as a disk takes: on an async runtime, make them on a blocking thread.
/// Times are seconds since the epoch, given by the caller; an entry is gone from its `expires` on.
pub trait Store: Send + Sync {
    /// What the key holds at `now`.
    fn get(&self, key: &str, now: u64) -> Result<Option<Entry>, StoreError>;

    /// Puts a value, whatever the key held before, and gives its version.
    fn put(&self, key: &str, value: &[u8], expires: Option<u64>) -> Result<u64, StoreError>;

    /// Puts a value only where the key still holds version `expected`, or, for `None`, where it is
    /// absent or expired. Gives the new version to the one winner and `None` to all others.
    fn cas(
        &self,
        key: &str,
        expected: Option<u64>,
        value: &[u8],
        expires: Option<u64>,
        now: u64,
    ) -> Result<Option<u64>, StoreError>;

    /// Removes the key and gives what it held: of all callers, to one.
    fn take(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Removes the key; says whether there was anything.
    fn delete(&self, key: &str) -> Result<bool, StoreError>;

    /// Every key that starts with `prefix`, letter by letter, in byte order.
    fn list(&self, prefix: &str, now: u64) -> Result<Vec<(String, Entry)>, StoreError>;

    /// Frees the space of entries that have expired; says how many there were.
    fn sweep(&self, now: u64) -> Result<usize, StoreError>;

    /// Makes all of these writes or none, and gives the version that they share.
    fn write(&self, batch: &[Write]) -> Result<u64, StoreError>;

    /// The revision, which every write through this handle moves on. Expiry and `sweep` do not.
    fn watch(&self) -> watch::Receiver<u64>;
}
