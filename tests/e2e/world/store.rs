//! The gate's store, as somebody who holds its file reads and writes it.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_authority::{SealedStore, SecretsKey};
use tapgate_identity::{CaKind, SshCa};
use tapgate_proof::Registration;
use tapgate_store::{SqliteStore, Store};

use super::World;

/// The store, by whoever has its key too; only while the gate is down.
pub(crate) fn open_store(world: &World) -> Result<SealedStore> {
    let file = SqliteStore::open(world.database()).context("the store cannot be opened")?;
    let key = SecretsKey::in_file(&world.database().with_file_name("secrets.key"))?;
    Ok(SealedStore::open(Arc::new(file), Arc::new(key))?)
}

/// All registrations, with their keys in the store.
pub(crate) fn registrations(store: &dyn Store) -> Result<Vec<(String, Registration)>> {
    let all = store.list("registration/", 0)?;
    all.into_iter().map(|(key, entry)| Ok((key, serde_json::from_slice(&entry.value)?))).collect()
}

/// An SSH authority with its private key.
pub(crate) fn authority(store: &dyn Store, kind: CaKind) -> Result<SshCa> {
    let entry = store.get(&format!("ca/{}", kind.as_str()), 0)?.context("there is no such authority")?;
    Ok(SshCa::from_parts(kind, std::str::from_utf8(&entry.value)?)?)
}
