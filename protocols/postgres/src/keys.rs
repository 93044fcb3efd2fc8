//! Cancel keys: the gate gives each client one of its own, and knows whose statement it stops.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tapgate_identity::Identity;
use tapgate_model::UserName;
use tokio::sync::{mpsc, oneshot};

use crate::limits::{CANCELS_MAX, WRONG_ADDRESSES_MAX, WRONG_KEYS_MAX, WRONG_KEYS_WINDOW};
use crate::startup::CancelKey;

/// A request to cancel what a session does; answered when that was passed on.
pub(crate) type Order = oneshot::Sender<()>;

/// Every session's cancel key.
#[derive(Default)]
pub(crate) struct Keys {
    sessions: Mutex<HashMap<u32, Vec<Entry>>>,
    wrong: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

struct Entry {
    secret: Vec<u8>,
    user: UserName,
    orders: mpsc::Sender<Order>,
}

/// A session's key; it opens nothing any more once this is dropped.
pub(crate) struct Registered {
    keys: Arc<Keys>,
    key: CancelKey,
    pub(crate) orders: mpsc::Receiver<Order>,
}

impl Keys {
    fn sessions(&self) -> MutexGuard<'_, HashMap<u32, Vec<Entry>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a session's key. Its process number is the target's own, by which clients know their notifications.
    pub(crate) fn register(self: &Arc<Self>, process: u32, long: bool, user: &UserName) -> Registered {
        let (sender, orders) = mpsc::channel(CANCELS_MAX);
        let secret = if long { rand::random::<[u8; 32]>().to_vec() } else { rand::random::<[u8; 4]>().to_vec() };
        let entry = Entry { secret: secret.clone(), user: user.clone(), orders: sender };
        self.sessions().entry(process).or_default().push(entry);
        Registered { keys: Arc::clone(self), key: CancelKey { process, secret }, orders }
    }

    /// Gives the order to the session of this key; what is answered comes when it was passed on. Nothing where no
    /// session has such a key, or too many wrong ones came from this address.
    pub(crate) fn order(
        &self,
        key: &CancelKey,
        from: IpAddr,
        identity: Option<&Identity>,
    ) -> Option<oneshot::Receiver<()>> {
        let from = network(from);
        if !self.may_try(from) {
            return None;
        }
        let (order, passed_on) = oneshot::channel();
        let sessions = self.sessions();
        let entry = sessions.get(&key.process).into_iter().flatten().find(|entry| {
            let same = verify_slices_are_equal(&entry.secret, &key.secret).is_ok();
            same && identity.is_none_or(|identity| *identity.user() == entry.user)
        });
        let Some(entry) = entry else {
            drop(sessions);
            self.count_wrong(from);
            return None;
        };
        entry.orders.try_send(order).is_ok().then_some(passed_on)
    }

    fn wrong(&self) -> MutexGuard<'_, HashMap<IpAddr, (Instant, u32)>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_try(&self, from: IpAddr) -> bool {
        let mut wrong = self.wrong();
        if wrong.len() >= WRONG_ADDRESSES_MAX {
            wrong.retain(|_, (since, _)| since.elapsed() < WRONG_KEYS_WINDOW);
        }
        match wrong.get(&from) {
            Some((since, count)) => *count < WRONG_KEYS_MAX || since.elapsed() >= WRONG_KEYS_WINDOW,
            None => wrong.len() < WRONG_ADDRESSES_MAX,
        }
    }

    fn count_wrong(&self, from: IpAddr) {
        let mut wrong = self.wrong();
        let entry = wrong.entry(from).or_insert_with(|| (Instant::now(), 0));
        if entry.0.elapsed() >= WRONG_KEYS_WINDOW {
            *entry = (Instant::now(), 0);
        }
        entry.1 += 1;
    }
}

impl Registered {
    /// What the client is given.
    pub(crate) const fn key(&self) -> &CancelKey {
        &self.key
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut sessions = self.keys.sessions();
        if let Some(entries) = sessions.get_mut(&self.key.process) {
            entries.retain(|entry| entry.secret != self.key.secret);
            if entries.is_empty() {
                sessions.remove(&self.key.process);
            }
        }
    }
}

/// An IPv6 customer has a whole /64, so that is what is counted.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn user() -> UserName {
        "jerry".parse().unwrap()
    }

    #[test]
    fn a_key_leads_to_its_own_session_and_to_none_when_that_is_over() {
        let keys = Arc::new(Keys::default());
        let (mut one, mut two) = (keys.register(7, true, &user()), keys.register(7, false, &user()));
        assert_eq!((one.key().secret.len(), two.key().secret.len()), (32, 4));
        assert!(keys.order(two.key(), PEER, None).is_some());
        assert!(one.orders.try_recv().is_err());
        assert!(two.orders.try_recv().is_ok());
        let stale = two.key().clone();
        drop(two);
        assert!(keys.order(&stale, PEER, None).is_none());
        assert!(keys.order(one.key(), PEER, None).is_some());
        drop(one);
        assert!(keys.sessions().is_empty());
    }

    #[test]
    fn guessing_is_stopped_and_the_right_key_from_elsewhere_is_not() {
        let keys = Arc::new(Keys::default());
        let session = keys.register(7, false, &user());
        let mut guess = session.key().clone();
        guess.secret[0] ^= 1;
        for _ in 0..WRONG_KEYS_MAX {
            assert!(keys.order(&guess, PEER, None).is_none());
        }
        assert!(keys.order(session.key(), PEER, None).is_none(), "this address has guessed too often");
        assert!(keys.order(session.key(), "192.0.2.2".parse().unwrap(), None).is_some());
    }

    #[test]
    fn a_wrong_process_or_a_cut_secret_is_no_key() {
        let keys = Arc::new(Keys::default());
        let session = keys.register(7, true, &user());
        let CancelKey { process, secret } = session.key().clone();
        for wrong in [
            CancelKey { process: process + 1, secret: secret.clone() },
            CancelKey { process, secret: secret[..4].to_vec() },
            CancelKey { process, secret: Vec::new() },
        ] {
            assert!(keys.order(&wrong, PEER, None).is_none(), "{wrong:?}");
        }
    }
}
