//! Taps that were made before their session is asked for: on a web page, by a holder that carries no proof itself.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tapgate_model::{Login, TargetUid};
use tapgate_proof::Holder;

use crate::Ask;
use crate::evidence::Tap;
use crate::limits::{BROUGHT_MAX, WINDOW_MAX};
use crate::snapshot::Record;

/// For whom, where to and as whom.
type Key = (Holder, TargetUid, Login);

/// The taps at hand. What each is worth is weighed at every ask; the cache's own expiry only collects.
pub(crate) struct Brought(Cache<Key, Arc<Tap>>);

impl Brought {
    pub(crate) fn new() -> Self {
        Self(Cache::builder().max_capacity(BROUGHT_MAX).time_to_live(WINDOW_MAX + Duration::from_secs(1)).build())
    }

    /// Keeps the tap for each session that it names; a newer one takes an older one's place.
    pub(crate) fn put(&self, tap: &Arc<Tap>) {
        for entry in &tap.verified().statement().parts().targets {
            self.0.insert((entry.holder.clone(), entry.target.uid, entry.login.clone()), Arc::clone(tap));
        }
    }

    /// The tap that was brought for this ask's holder, or for its login key. A certificate brings its own.
    pub(crate) fn find(&self, ask: &Ask<'_>, record: &Record) -> Option<Arc<Tap>> {
        let by = |holder| self.0.get(&(holder, record.target.uid, ask.login.clone()));
        ask.connection.holder.clone().and_then(by).or_else(|| ask.login_key().and_then(by))
    }

    /// Lets go of a tap for once that a client came again for, or a page's connection: the next time it is asked anew.
    pub(crate) fn taken(&self, tap: &Tap) {
        for entry in &tap.verified().statement().parts().targets {
            if matches!(entry.holder, Holder::LoginKey { .. } | Holder::WebConnection { .. }) {
                self.0.invalidate(&(entry.holder.clone(), entry.target.uid, entry.login.clone()));
            }
        }
    }
}
