//! How many connections have not said who they are: few of one address, and of all together as many as there is room
//! for, the oldest of which gives way.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::limits::{HANDSHAKES_ALL_MAX, HANDSHAKES_PER_ADDRESS_MAX, REFUSALS_TOLD_EVERY};

/// All handshakes.
#[derive(Default)]
pub(crate) struct Handshakes {
    all: Mutex<All>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct All {
    of: HashMap<IpAddr, usize>,
    /// In the order in which they began.
    by_age: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// What the log was told of refusals.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    since: u64,
}

/// A handshake under way; dropped when it is over.
pub(crate) struct Handshake {
    all: Arc<Handshakes>,
    address: IpAddr,
    place: u64,
    pushed_out: CancellationToken,
}

impl Handshakes {
    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless its address has too many.
    pub(crate) fn begin(self: &Arc<Self>, address: IpAddr) -> Option<Handshake> {
        let mut all = self.all();
        let count = all.of.entry(address).or_insert(0);
        if *count >= HANDSHAKES_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        if all.by_age.len() >= HANDSHAKES_ALL_MAX
            && let Some((_, oldest)) = all.by_age.pop_first()
        {
            oldest.cancel();
        }
        let (place, pushed_out) = (all.next, CancellationToken::new());
        all.next += 1;
        all.by_age.insert(place, pushed_out.clone());
        Some(Handshake { all: Arc::clone(self), address, place, pushed_out })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all().by_age.len()
    }

    /// Says in the log that a connection was refused, now and then, and how many were since.
    pub(crate) fn refuse(&self, what: &'static str, peer: SocketAddr) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| last.elapsed() < REFUSALS_TOLD_EVERY) {
            told.since += 1;
            return;
        }
        tracing::warn!(%peer, others = told.since, "{what}");
        *told = Told { last: Some(Instant::now()), since: 0 };
    }
}

impl Handshake {
    /// What ends it where another one needs its place. Never once it is over.
    pub(crate) fn pushed_out(&self) -> CancellationToken {
        self.pushed_out.clone()
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut all = self.all.all();
        all.by_age.remove(&self.place);
        if let Some(count) = all.of.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.of.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_its_limit_and_gets_its_places_back() {
        let all = Arc::new(Handshakes::default());
        let address = IpAddr::from([192, 0, 2, 7]);
        let mut held: Vec<_> = (0..HANDSHAKES_PER_ADDRESS_MAX).map(|_| all.begin(address).unwrap()).collect();
        assert!(all.begin(address).is_none());
        assert!(all.begin(IpAddr::from([192, 0, 2, 8])).is_some());
        held.pop();
        held.push(all.begin(address).unwrap());
        drop(held);
        assert_eq!((all.count(), all.all().of.len()), (0, 0));
    }

    #[test]
    fn in_a_crowd_the_oldest_gives_way_and_what_is_over_is_left_alone() {
        let all = Arc::new(Handshakes::default());
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        let over = all.begin(address(0)).unwrap();
        let watch = over.pushed_out();
        drop(over);
        let held: Vec<_> = (0..HANDSHAKES_ALL_MAX).map(|n| all.begin(address(n)).unwrap()).collect();
        let further: Vec<_> = (0..3).map(|n| all.begin(address(1_000_000 + n)).unwrap()).collect();
        let gone: Vec<bool> = held.iter().map(|one| one.pushed_out().is_cancelled()).collect();
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 3);
        assert!(gone[..3].iter().all(|gone| *gone) && !watch.is_cancelled());
        assert!(further.iter().all(|one| !one.pushed_out().is_cancelled()));
        assert_eq!(all.count(), HANDSHAKES_ALL_MAX);
        drop((held, further));
        assert_eq!((all.count(), all.all().of.len()), (0, 0));
    }
}
