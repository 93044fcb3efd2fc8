//! Those who wait for a tap over their connection: one challenge a holder, and nobody else's.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tapgate_model::{Login, TargetUid, UserName};
use tapgate_proof::Holder;
use tokio::sync::watch;

use crate::evidence::Tap;
use crate::limits::{HELD_MAX, HELD_PER_USER_AND_ADDRESS_MAX};
use crate::prompt::Keep;
use crate::{Denial, Invitation, network};

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
    since: Instant,
    /// Ends the ceremony when nobody waits any more.
    keep: Option<Keep>,
}

impl Slot {
    /// Whether there is neither a tap yet nor the word that there will be none.
    fn is_open(&self) -> bool {
        matches!(*self.news.borrow(), News::Asking | News::Asked(_))
    }
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
    /// certificate can only use up what that person may have waiting from the same address, and where all places are
    /// taken, whoever has most of them gives one up.
    pub(crate) fn join(&self, key: WaitKey, address: IpAddr) -> Result<Place<'_>, Denial> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key) {
            return Ok(Place { all: self, news: slot.news.subscribe(), key, first: false });
        }
        let address = network(address);
        let own = slots.iter().filter(|(other, slot)| other.user == key.user && slot.address == address);
        if own.count() >= HELD_PER_USER_AND_ADDRESS_MAX {
            return Err(Denial::limit("too many of your connections wait for a tap"));
        }
        make_room(&slots);
        let (sender, news) = watch::channel(News::Asking);
        slots.insert(key.clone(), Slot { news: sender, address, since: Instant::now(), keep: None });
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

/// Where the gate holds as many as it may, one is turned away: of the user who has most of them, at the address where
/// that user has most, the one that has waited longest. So a flood takes its own places, and not those of others.
fn make_room(slots: &HashMap<WaitKey, Slot>) {
    let open = || slots.iter().filter(|(_, slot)| slot.is_open());
    // Those that are over are few, and are counted where it matters alone.
    if slots.len() < HELD_MAX || open().count() < HELD_MAX {
        return;
    }
    let (mut of_user, mut of_address) = (HashMap::new(), HashMap::new());
    for (key, slot) in open() {
        *of_user.entry(&key.user).or_insert(0_usize) += 1;
        *of_address.entry((&key.user, slot.address)).or_insert(0_usize) += 1;
    }
    let most = open().max_by_key(|(key, slot)| {
        (of_user.get(&key.user), of_address.get(&(&key.user, slot.address)), Reverse(slot.since))
    });
    if let Some((_, slot)) = most {
        slot.news.send_replace(News::Over("too many connections wait for a tap, most of them yours".to_owned()));
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

#[cfg(test)]
mod tests {
    use tapgate_model::Digest;

    use super::*;

    fn key(user: &str, number: usize) -> WaitKey {
        let mut connection = [0; 32];
        connection[..8].copy_from_slice(&number.to_le_bytes());
        WaitKey {
            user: user.parse().unwrap(),
            holder: Holder::SshSession(Digest::from_bytes(connection)),
            target: TargetUid::from_bytes([1; 16]),
            login: Login::Unix("root".parse().unwrap()),
        }
    }

    fn address(number: usize) -> IpAddr {
        IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()])
    }

    #[test]
    fn a_flood_from_everywhere_takes_its_own_places_and_not_those_of_others() {
        let all = Waiting::default();
        let join = |user, number, from| all.join(key(user, number), address(from)).unwrap();
        let early = join("ann", 0, 200);
        // The thief has jerry's key and two hundred addresses, at one of which he has one more than elsewhere.
        let flood: Vec<_> = (1..HELD_MAX).map(|n| join("jerry", n, n % 200)).collect();
        let over = |place: &Place<'_>| matches!(*place.news.borrow(), News::Over(_));
        assert!(!flood.iter().any(over));
        let (owner, late) = (join("jerry", HELD_MAX, 201), join("carl", HELD_MAX + 1, 202));
        let again = join("jerry", HELD_MAX + 2, 203);
        assert_eq!(flood.iter().filter(|place| over(place)).count(), 3);
        assert!(![&early, &owner, &late, &again].into_iter().any(over));
    }

    #[test]
    fn a_whole_network_of_ipv6_counts_as_one_address() {
        let all = Waiting::default();
        let from = |host: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host]);
        let join = |number: usize| all.join(key("jerry", number), from(u16::try_from(number).unwrap()));
        let held: Vec<_> = (0..HELD_PER_USER_AND_ADDRESS_MAX).map(|n| join(n).unwrap()).collect();
        assert!(join(held.len()).is_err());
        assert!(all.join(key("jerry", 99), "2001:db8:0:2::1".parse().unwrap()).is_ok());
    }
}
