//! The store of a process that may hand it over: from then on it reads, and writes nothing.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tapgate_store::{Entry, Store, StoreError, Write};
use tokio::sync::watch;

/// The store.
pub(crate) struct Lent {
    store: Arc<dyn Store>,
    /// Whether another process writes now. Held while a write is under way, so that none is when this turns.
    away: RwLock<bool>,
}

impl Lent {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, away: RwLock::new(false) }
    }

    /// From here on nothing is written, or is again.
    pub(crate) fn set_away(&self, away: bool) {
        *self.away.write().unwrap_or_else(PoisonError::into_inner) = away;
    }

    fn writing(&self) -> Result<RwLockReadGuard<'_, bool>, StoreError> {
        let away = self.away.read().unwrap_or_else(PoisonError::into_inner);
        if *away { Err(StoreError::Busy) } else { Ok(away) }
    }
}

impl Store for Lent {
    fn get(&self, key: &str, now: u64) -> Result<Option<Entry>, StoreError> {
        self.store.get(key, now)
    }

    fn put(&self, key: &str, value: &[u8], expires: Option<u64>) -> Result<u64, StoreError> {
        let _writing = self.writing()?;
        self.store.put(key, value, expires)
    }

    fn cas(
        &self,
        key: &str,
        expected: Option<u64>,
        value: &[u8],
        expires: Option<u64>,
        now: u64,
    ) -> Result<Option<u64>, StoreError> {
        let _writing = self.writing()?;
        self.store.cas(key, expected, value, expires, now)
    }

    fn take(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let _writing = self.writing()?;
        self.store.take(key, now)
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        let _writing = self.writing()?;
        self.store.delete(key)
    }

    fn list(&self, prefix: &str, now: u64) -> Result<Vec<(String, Entry)>, StoreError> {
        self.store.list(prefix, now)
    }

    fn sweep(&self, now: u64) -> Result<usize, StoreError> {
        let _writing = self.writing()?;
        self.store.sweep(now)
    }

    fn write(&self, batch: &[Write]) -> Result<u64, StoreError> {
        let _writing = self.writing()?;
        self.store.write(batch)
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.store.watch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapgate_store::SqliteStore;

    #[test]
    fn a_store_that_is_lent_is_read_and_not_written() {
        let lent = Lent::new(Arc::new(SqliteStore::in_memory().unwrap()));
        lent.put("a", b"1", None).unwrap();
        lent.set_away(true);
        let refused = [
            lent.put("a", b"2", None).map(drop),
            lent.cas("b", None, b"2", None, 1).map(drop),
            lent.take("a", 1).map(drop),
            lent.delete("a").map(drop),
            lent.sweep(1).map(drop),
            lent.write(&[]).map(drop),
        ];
        assert!(refused.iter().all(|written| matches!(written, Err(StoreError::Busy))), "{refused:?}");
        assert_eq!(lent.get("a", 1).unwrap().unwrap().value, b"1");
        assert_eq!(lent.list("", 1).unwrap().len(), 1);
        lent.set_away(false);
        assert!(lent.delete("a").unwrap());
    }
}
