//! Proofs that are good for one session, spent by compare-and-swap in the store.

use std::sync::Arc;

use futures::future::BoxFuture;
use tapgate_model::{Digest, UnixTime};
use tapgate_session::{SpendError, Spender};

use crate::limits::SPENT_MARGIN;
use crate::{Authority, key};

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
}
