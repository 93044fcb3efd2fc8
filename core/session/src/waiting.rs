//! Those who wait for a tap over their connection: one challenge a holder, and nobody else's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapgate_model::{Login, TargetUid, UserName};
use tapgate_proof::Holder;
use tokio::sync::watch;

use crate::evidence::Tap;
use crate::limits::{HELD_MAX, HELD_PER_USER_AND_ADDRESS_MAX};
use crate::prompt::Keep;
use crate::{Denial, Invitation};

/// What a tap must name to free a waiting ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WaitKey {
    /// Whose tap.
    pub user: UserName,
    /// For which key or connection.
    pub holder: Holder,
    /// For which target.
    pub target: TargetUid,
    /// Under which login.
    pub login: Login,
}

/// How far a ceremony has come.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// It is being begun.
    Asking,
    /// The person may tap here.
    Asked(Invitation),
    /// There is a tap.
    Tapped(Arc<Tap>),
    /// There will be none, and why.
    Over(String),
}

/// One ceremony, and those who wait for it.
struct Slot {
    news: watch::Sender<News>,
    address: IpAddr,
    /// Ends the ceremony when nobody waits any more.
    keep: Option<Keep>,
}

/// All who wait.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<HashMap<WaitKey, Slot>>);

/// A place in the queue. It is left by dropping it.
pub(crate) struct Place<'a> {
    all: &'a Waiting,
    key: WaitKey,
    /// Whether this is the first ask of its holder: that one begins the ceremony.
    pub(crate) first: bool,
    news: watch::Receiver<News>,
}

impl Waiting {
    fn slots(&self) -> MutexGuard<'_, HashMap<WaitKey, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; asks of one holder for one target and login share one ceremony. Whoever has somebody's
    /// certificate can only use up what that person may have waiting from the same address.
    pub(crate) fn join(&self, key: WaitKey, address: IpAddr) -> Result<Place<'_>, Denial> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key) {
            return Ok(Place { all: self, news: slot.news.subscribe(), key, first: false });
        }
        if slots.len() >= HELD_MAX {
            return Err(Denial::limit("too many connections wait for a tap"));
        }
        let own = slots.iter().filter(|(other, slot)| other.user == key.user && slot.address == address);
        if own.count() >= HELD_PER_USER_AND_ADDRESS_MAX {
            return Err(Denial::limit("too many of your connections wait for a tap"));
        }
        let (sender, news) = watch::channel(News::Asking);
        slots.insert(key.clone(), Slot { news: sender, address, keep: None });
        Ok(Place { all: self, key, first: true, news })
    }

    /// Frees those, and only those, whom the tap names.
    pub(crate) fn deposit(&self, tap: &Arc<Tap>) -> usize {
        let slots = self.slots();
        let parts = tap.verified().statement().parts();
        let named = parts.targets.iter().map(|entry| WaitKey {
            user: parts.user.clone(),
            holder: entry.holder.clone(),
            target: entry.target.uid,
            login: entry.login.clone(),
        });
        let mut freed = 0;
        for slot in named.filter_map(|key| slots.get(&key)) {
            slot.news.send_replace(News::Tapped(Arc::clone(tap)));
            freed += 1;
        }
        freed
    }

    /// Tells those who wait for this tap that there will be none; whether anybody did.
    pub(crate) fn turn_down(&self, key: &WaitKey, why: &str) -> bool {
        let slots = self.slots();
        let slot = slots.get(key);
        slot.inspect(|slot| drop(slot.news.send_replace(News::Over(why.to_owned())))).is_some()
    }
}

impl Waiting {
    /// Tells everybody that there will be none.
    pub(crate) fn turn_all_down(&self, why: &str) {
        for slot in self.slots().values() {
            slot.news.send_replace(News::Over(why.to_owned()));
        }
    }
}

impl Place<'_> {
    /// The ceremony has begun. It ends when nobody waits for it any more.
    pub(crate) fn begun(&self, invitation: Invitation, keep: Option<Keep>) {
        let mut slots = self.all.slots();
        let Some(slot) = slots.get_mut(&self.key) else { return };
        slot.keep = keep;
        slot.news.send_if_modified(|news| {
            let asking = matches!(news, News::Asking);
            if asking {
                *news = News::Asked(invitation);
            }
            asking
        });
    }

    /// The ceremony could not be begun; whoever waits for it is told.
    pub(crate) fn give_up(&self, why: &str) {
        self.all.turn_down(&self.key, why);
    }

    /// What becomes known next: where to tap, or how it ended already.
    pub(crate) async fn asked(&mut self) -> News {
        self.until(|news| !matches!(news, News::Asking)).await
    }

    /// Waits for the tap, or for the word that there will be none.
    pub(crate) async fn answer(&mut self) -> Result<Arc<Tap>, String> {
        match self.until(|news| matches!(news, News::Tapped(_) | News::Over(_))).await {
            News::Tapped(tap) => Ok(tap),
            News::Over(why) => Err(why),
            News::Asking | News::Asked(_) => Err("the ceremony was given up; try again".to_owned()),
        }
    }

    async fn until(&mut self, fits: impl FnMut(&News) -> bool) -> News {
        match self.news.wait_for(fits).await {
            Ok(news) => news.clone(),
            Err(_) => News::Over("the ceremony was given up; try again".to_owned()),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut slots = self.all.slots();
        // One receiver is this very place's: it is dropped after this.
        let left = if slots.get(&self.key).is_some_and(|slot| slot.news.receiver_count() <= 1) {
            slots.remove(&self.key)
        } else {
            None
        };
        // What it keeps has a lock of its own: not within this one.
        drop(slots);
        drop(left);
    }
}
