//! A store whose private keys are sealed: what is under their names is sealed when it is written and opened when it is
//! read, each for its own name. Everything else passes as it is.

use std::sync::Arc;

use tapgate_model::UnixTime;
use tapgate_store::{Entry, Store, StoreError, Write};
use tokio::sync::watch;

use crate::{AuthorityError, SecretsKey, key, otp};

/// Under which names the secrets are. One-time codes are sealed by themselves.
const SECRETS: [&str; 2] = [key::AUTHORITIES, key::NODE_KEYS];

/// What is sealed to know the key by.
const KNOWN: &[u8] = b"tapgate";

/// A store, and the key that its secrets are sealed with.
pub struct SealedStore {
    store: Arc<dyn Store>,
    secrets: Arc<SecretsKey>,
}

impl SealedStore {
    /// Whether a key has sealed this store already: if so, no other one will do.
    pub fn is_sealed(store: &dyn Store) -> Result<bool, AuthorityError> {
        Ok(store.get(key::SEALED_BY, 0)?.is_some())
    }

    /// The store under this key. One that was written before secrets were sealed is sealed here, at once.
    pub fn open(store: Arc<dyn Store>, secrets: Arc<SecretsKey>) -> Result<Self, AuthorityError> {
        if let Some(entry) = store.get(key::SEALED_BY, 0)? {
            must_have_sealed(&secrets, &entry)?;
        } else {
            let mut writes = Vec::new();
            for (key, entry) in secrets_of(&*store)? {
                writes.push(put(&key, secrets.seal(&key, &entry.value)?));
            }
            writes.push(put(key::SEALED_BY, secrets.seal(key::SEALED_BY, KNOWN)?));
            store.write(&writes)?;
        }
        Ok(Self { store, secrets })
    }

    fn sealed(&self, key: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        if !is_secret(key) {
            return Ok(value.to_vec());
        }
        let sealed = self.secrets.seal(key, value).map_err(|_| StoreError::Sealed { key: key.to_owned() })?;
        Ok(sealed.into_bytes())
    }

    fn opened(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if !is_secret(key) {
            return Ok(value);
        }
        let unopened = || StoreError::Sealed { key: key.to_owned() };
        let text = std::str::from_utf8(&value).map_err(|_| unopened())?;
        Ok(self.secrets.open(key, text).map_err(|_| unopened())?.to_vec())
    }
}

/// Refuses a store that another key has sealed.
pub fn fits(store: &dyn Store, secrets: &SecretsKey) -> Result<(), StoreError> {
    let Some(entry) = store.get(key::SEALED_BY, 0)? else { return Ok(()) };
    must_have_sealed(secrets, &entry).map_err(|_| StoreError::Sealed { key: key::SEALED_BY.to_owned() })
}

/// Seals everything anew with another key, in one write. No gate may run.
pub fn reseal(store: &dyn Store, old: &SecretsKey, new: &SecretsKey, now: UnixTime) -> Result<usize, AuthorityError> {
    if let Some(entry) = store.get(key::SEALED_BY, 0)? {
        must_have_sealed(old, &entry)?;
    }
    let mut writes = Vec::new();
    for (key, entry) in secrets_of(store)? {
        let text = std::str::from_utf8(&entry.value).map_err(AuthorityError::internal)?;
        let secret = old.open(&key, text).map_err(|_| StoreError::Sealed { key: key.clone() })?;
        writes.push(put(&key, new.seal(&key, &secret)?));
    }
    writes.extend(otp::resealed(store, old, new, now)?);
    let count = writes.len();
    writes.push(put(key::SEALED_BY, new.seal(key::SEALED_BY, KNOWN)?));
    store.write(&writes)?;
    Ok(count)
}

/// What of a store is taken over when a backup comes in its place: what was spent stays spent.
pub const CARRIED: [&str; 1] = [key::SPENT];

fn must_have_sealed(secrets: &SecretsKey, entry: &Entry) -> Result<(), AuthorityError> {
    let text = std::str::from_utf8(&entry.value).map_err(|_| AuthorityError::WrongKey)?;
    let known = secrets.open(key::SEALED_BY, text).map_err(|_| AuthorityError::WrongKey)?;
    if known.as_slice() == KNOWN { Ok(()) } else { Err(AuthorityError::WrongKey) }
}

fn secrets_of(store: &dyn Store) -> Result<Vec<(String, Entry)>, StoreError> {
    let mut all = Vec::new();
    for prefix in SECRETS {
        all.extend(store.list(prefix, 0)?);
    }
    Ok(all)
}

fn put(key: &str, sealed: String) -> Write {
    Write::Put { key: key.to_owned(), value: sealed.into_bytes(), expires: None }
}

fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|prefix| key.starts_with(prefix))
}

impl Store for SealedStore {
    fn get(&self, key: &str, now: u64) -> Result<Option<Entry>, StoreError> {
        let Some(entry) = self.store.get(key, now)? else { return Ok(None) };
        Ok(Some(Entry { value: self.opened(key, entry.value)?, version: entry.version }))
    }

    fn put(&self, key: &str, value: &[u8], expires: Option<u64>) -> Result<u64, StoreError> {
        self.store.put(key, &self.sealed(key, value)?, expires)
    }

    fn cas(
        &self,
        key: &str,
        expected: Option<u64>,
        value: &[u8],
        expires: Option<u64>,
        now: u64,
    ) -> Result<Option<u64>, StoreError> {
        self.store.cas(key, expected, &self.sealed(key, value)?, expires, now)
    }

    fn take(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.take(key, now)?.map(|value| self.opened(key, value)).transpose()
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.store.delete(key)
    }

    fn list(&self, prefix: &str, now: u64) -> Result<Vec<(String, Entry)>, StoreError> {
        let open = |(key, entry): (String, Entry)| {
            let value = self.opened(&key, entry.value)?;
            Ok((key, Entry { value, version: entry.version }))
        };
        self.store.list(prefix, now)?.into_iter().map(open).collect()
    }

    fn sweep(&self, now: u64) -> Result<usize, StoreError> {
        self.store.sweep(now)
    }

    fn write(&self, batch: &[Write]) -> Result<u64, StoreError> {
        let sealed = |write: &Write| match write {
            Write::Put { key, value, expires } => {
                Ok(Write::Put { key: key.clone(), value: self.sealed(key, value)?, expires: *expires })
            }
            Write::Delete { key } => Ok(Write::Delete { key: key.clone() }),
        };
        self.store.write(&batch.iter().map(sealed).collect::<Result<Vec<_>, StoreError>>()?)
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.store.watch()
    }
}

/// Never prints keys.
impl std::fmt::Debug for SealedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedStore")
    }
}

#[cfg(test)]
mod tests {
    use tapgate_store::SqliteStore;

    use super::*;

    fn fresh() -> (Arc<SqliteStore>, Arc<SecretsKey>) {
        (Arc::new(SqliteStore::in_memory().unwrap()), Arc::new(SecretsKey::fresh().unwrap()))
    }

    fn raw(store: &SqliteStore, key: &str) -> Vec<u8> {
        store.get(key, 0).unwrap().unwrap().value
    }

    #[test]
    fn secrets_are_sealed_for_their_names_and_the_rest_is_as_it_was() {
        let (plain, key) = fresh();
        let store = SealedStore::open(plain.clone(), key.clone()).unwrap();
        store.put("ca/login", b"private", None).unwrap();
        assert!(store.cas("node-key/old", None, b"private", None, 0).unwrap().is_some());
        let put = Write::Put { key: "ca/host".to_owned(), value: b"private".to_vec(), expires: None };
        store.write(&[put]).unwrap();
        store.put("role/dev", b"public", None).unwrap();
        for name in ["ca/login", "node-key/old", "ca/host"] {
            assert!(raw(&plain, name).starts_with(b"v1."), "{name}");
            assert_eq!(store.get(name, 0).unwrap().unwrap().value, b"private", "{name}");
        }
        assert_eq!(raw(&plain, "role/dev"), b"public");
        assert_eq!(store.list("ca/", 0).unwrap().len(), 2);
        // Moved under another name, it is nobody's.
        plain.put("ca/session", &raw(&plain, "ca/login"), None).unwrap();
        assert!(matches!(store.get("ca/session", 0), Err(StoreError::Sealed { .. })));
        plain.put("ca/session", b"in the open", None).unwrap();
        assert!(matches!(store.get("ca/session", 0), Err(StoreError::Sealed { .. })));
        assert_eq!(store.take("ca/login", 0).unwrap().unwrap(), b"private");
    }

    #[test]
    fn an_older_store_is_sealed_once_and_opens_with_that_key_alone() {
        let (plain, key) = fresh();
        plain.put("ca/login", b"v1.looks like it", None).unwrap();
        assert!(!SealedStore::is_sealed(&*plain).unwrap());
        for _ in 0..2 {
            let store = SealedStore::open(plain.clone(), key.clone()).unwrap();
            assert_eq!(store.get("ca/login", 0).unwrap().unwrap().value, b"v1.looks like it");
        }
        assert!(SealedStore::is_sealed(&*plain).unwrap());
        let other = Arc::new(SecretsKey::fresh().unwrap());
        assert!(matches!(SealedStore::open(plain.clone(), other.clone()), Err(AuthorityError::WrongKey)));

        assert!(matches!(reseal(&*plain, &other, &key, UnixTime::from_secs(0)), Err(AuthorityError::WrongKey)));
        assert_eq!(reseal(&*plain, &key, &other, UnixTime::from_secs(0)).unwrap(), 1);
        assert!(matches!(SealedStore::open(plain.clone(), key), Err(AuthorityError::WrongKey)));
        let store = SealedStore::open(plain, other).unwrap();
        assert_eq!(store.get("ca/login", 0).unwrap().unwrap().value, b"v1.looks like it");
    }
}
