//! Proofs that are good for one session, spent by compare-and-swap in the store.

use std::sync::Arc;

use futures::future::BoxFuture;
use tapgate_model::{Digest, UnixTime};
use tapgate_session::{SpendError, Spender};
use tapgate_store::Store;

use crate::limits::SPENT_MARGIN;
use crate::{Authority, key};

/// How often a lost compare-and-swap is tried again: nobody touches one key that often at once.
const TRIES: usize = 8;

impl Spender for Authority {
    fn spend(&self, proof: Digest, until: UnixTime) -> BoxFuture<'_, Result<bool, SpendError>> {
        let (store, now) = (Arc::clone(&self.store), self.now().as_secs());
        let expires = Some(until.plus(SPENT_MARGIN).as_secs());
        let swap = move || store.cas(&key::spent(&proof), None, &[], expires, now);
        Box::pin(async move {
            let spent = tokio::task::spawn_blocking(swap).await.map_err(|e| SpendError(e.to_string()))?;
            spent.map(|version| version.is_some()).map_err(|e| SpendError(e.to_string()))
        })
    }

    fn count(&self, id: Digest, to: u32) -> BoxFuture<'_, Result<bool, SpendError>> {
        let (store, now) = (Arc::clone(&self.store), self.now().as_secs());
        Box::pin(async move {
            let advance = move || advance(&*store, &id, to, now);
            let forward = tokio::task::spawn_blocking(advance).await.map_err(|e| SpendError(e.to_string()))??;
            if !forward {
                self.warn(format!("the SSH key sha256:{id} counted backwards: there may be a copy of it"));
            }
            Ok(forward)
        })
    }
}

/// Moves the count on; `false` where it would stand still or go back. Keys that never count stay at 0.
fn advance(store: &dyn Store, id: &Digest, to: u32, now: u64) -> Result<bool, SpendError> {
    let fault = |error: &dyn std::fmt::Display| SpendError(error.to_string());
    let key = key::ssh_key_count(id);
    for _ in 0..TRIES {
        let entry = store.get(&key, now).map_err(|e| fault(&e))?;
        let before = match &entry {
            None => 0,
            Some(entry) => {
                let bytes = entry.value.as_slice().try_into().map_err(|_| fault(&"the count of a key is damaged"))?;
                u32::from_be_bytes(bytes)
            }
        };
        if (before, to) == (0, 0) {
            return Ok(true);
        }
        if to <= before {
            return Ok(false);
        }
        let version = entry.map(|entry| entry.version);
        if store.cas(&key, version, &to.to_be_bytes(), None, now).map_err(|e| fault(&e))?.is_some() {
            return Ok(true);
        }
    }
    Err(fault(&"the key is touched too often at once"))
}
