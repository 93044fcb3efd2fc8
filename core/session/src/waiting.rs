//! Those who wait for a tap over their connection: one challenge a holder, and nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tapgate_model::{Login, TargetUid, UserName};
use tapgate_proof::Holder;
use tokio::sync::watch;

use crate::Denial;
use crate::evidence::Tap;
use crate::limits::{HELD_MAX, HELD_PER_USER_MAX};

/// What a tap must name to free a waiting ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct WaitKey {
    pub(crate) user: UserName,
    pub(crate) holder: Holder,
    pub(crate) target: TargetUid,
    pub(crate) login: Login,
}

/// A tap, once it is there.
type Slot = watch::Sender<Option<Arc<Tap>>>;

/// All who wait.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<HashMap<WaitKey, Slot>>);

/// A place in the queue. It is left by dropping it.
pub(crate) struct Place<'a> {
    all: &'a Waiting,
    key: WaitKey,
    /// Whether this is the first ask of its holder: that one begins the ceremony.
    pub(crate) first: bool,
    tap: watch::Receiver<Option<Arc<Tap>>>,
}

impl Waiting {
    /// Takes a place; asks of one holder for one target and login share one ceremony.
    pub(crate) fn join(&self, key: WaitKey) -> Result<Place<'_>, Denial> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return Ok(Place { all: self, tap: slot.subscribe(), key, first: false });
        }
        if slots.len() >= HELD_MAX {
            return Err(Denial::limit("too many connections wait for a tap"));
        }
        if slots.keys().filter(|k| k.user == key.user).count() >= HELD_PER_USER_MAX {
            return Err(Denial::limit("too many of your connections wait for a tap"));
        }
        let (slot, tap) = watch::channel(None);
        slots.insert(key.clone(), slot);
        Ok(Place { all: self, key, first: true, tap })
    }

    /// Frees those, and only those, whom the tap names.
    pub(crate) fn deposit(&self, tap: &Arc<Tap>) -> usize {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = tap.verified().statement().parts();
        let named = parts.targets.iter().map(|entry| WaitKey {
            user: parts.user.clone(),
            holder: entry.holder.clone(),
            target: entry.target.uid,
            login: entry.login.clone(),
        });
        let mut freed = 0;
        for slot in named.filter_map(|key| slots.get(&key)) {
            slot.send_replace(Some(Arc::clone(tap)));
            freed += 1;
        }
        freed
    }
}

impl Place<'_> {
    /// Waits for the tap; `None` when nobody can bring it any more.
    pub(crate) async fn tap(&mut self) -> Option<Arc<Tap>> {
        self.tap.wait_for(Option::is_some).await.ok().and_then(|tap| tap.clone())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut slots = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One receiver is this very place's: it is dropped after this.
        if slots.get(&self.key).is_some_and(|slot| slot.receiver_count() <= 1) {
            slots.remove(&self.key);
        }
    }
}
