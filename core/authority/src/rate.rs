//! Rate limits: how often one user or one address may try.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tapgate_model::{Digest, UserName};
pub(crate) use tapgate_session::network;

use crate::limits::{RATE_ADDRESS, RATE_CERTIFICATE, RATE_KEYS_MAX, RATE_USER, RATE_USER_ADDRESS};
use crate::{Fault, token};

/// The limiters. User names are kept as hashes: whoever asks chooses their length.
pub(crate) struct Rates {
    address: DefaultKeyedRateLimiter<IpAddr>,
    user_address: DefaultKeyedRateLimiter<(Digest, IpAddr)>,
    user: DefaultKeyedRateLimiter<Digest>,
    certificate: DefaultKeyedRateLimiter<Digest>,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self {
            address: RateLimiter::keyed(quota(RATE_ADDRESS)),
            user_address: RateLimiter::keyed(quota(RATE_USER_ADDRESS)),
            user: RateLimiter::keyed(quota(RATE_USER)),
            certificate: RateLimiter::keyed(quota(RATE_CERTIFICATE)),
        }
    }

    /// Somebody at this address, of whom nothing is known.
    pub(crate) fn anybody(&self, peer: IpAddr) -> Result<(), Fault> {
        check(&self.address, &network(peer))
    }

    /// Somebody at this address who says to be this user.
    pub(crate) fn claims(&self, user: &str, peer: IpAddr) -> Result<(), Fault> {
        self.anybody(peer)?;
        check(&self.user_address, &(token::sha256(&[user.as_bytes()]), network(peer)))
    }

    /// Somebody at an address that is new to this user. To be asked after the narrower limits, so that what they
    /// refuse does not count here.
    pub(crate) fn anywhere(&self, user: &str) -> Result<(), Fault> {
        check(&self.user, &token::sha256(&[user.as_bytes()]))
    }

    /// A user who has shown a certificate.
    pub(crate) fn known(&self, user: &UserName) -> Result<(), Fault> {
        check(&self.certificate, &token::sha256(&[user.as_str().as_bytes()]))
    }
}

fn quota((burst, seconds): (u32, u64)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let each = Duration::from_secs(seconds.max(1));
    Quota::with_period(each).map_or_else(|| Quota::per_second(burst), |quota| quota.allow_burst(burst))
}

fn check<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Fault> {
    if limiter.len() > RATE_KEYS_MAX {
        limiter.retain_recent();
    }
    limiter.check_key(key).map_err(|_| Fault::too_many())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_lock_a_user_out() {
        let rates = Rates::new();
        let (bad, good): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let claims = |peer| rates.claims("jerry", peer).and_then(|()| rates.anywhere("jerry"));
        let refused = (0..60).filter(|_| claims(bad).is_err()).count();
        assert!(refused >= 48, "{refused}");
        assert_eq!(claims(good), Ok(()));
    }

    #[test]
    fn one_address_has_a_limit_whatever_names_it_tries() {
        let rates = Rates::new();
        let peer = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        assert!((0..60).any(|n| rates.claims(&format!("user{n}"), peer).is_err()));
        assert!(rates.anybody(same).is_err());
        assert!(rates.anybody("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }
}
