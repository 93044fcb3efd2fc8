//! Login with a password and a one-time code, for whoever has no security key at hand.

use std::net::{IpAddr, SocketAddr};

use tapgate_api::{LoginCertificates, OtpLogin};
use tapgate_audit::Event;
use tapgate_model::{NameError, UserName};

use crate::limits::OTP_TRIES;
use crate::otp::Code;
use crate::public_key::LoginKeys;
use crate::{Authority, Fault, key};

/// How often a lost compare-and-swap is tried again: as many logins of one user do not come at once.
const SWAPS: usize = 32;

impl Authority {
    /// Logs in with a password and a code. A stranger, a wrong password, a wrong code, one that was used
    /// and one too many get one answer, after as much work.
    pub fn login_otp(&self, login: &OtpLogin, peer: IpAddr) -> Result<LoginCertificates, Fault> {
        self.rates.claims(&login.user, peer)?;
        self.otp_must_be_accepted()?;
        let keys = LoginKeys::parse(&login.tls_public_key, &login.ssh_public_key)?;
        let user: UserName = login
            .user
            .parse()
            .map_err(|e: NameError| Fault::invalid(e.to_string(), "give the name as your administrator wrote it"))?;
        let failed = |reason: &str| self.otp_failed(&user, peer, reason);
        let known = self.recognise(&user, &login.password)?.is_some();
        self.check_code(&user, known, &login.code)?.map_err(failed)?;
        let certificates = self.certify_login(&user, &keys, (peer, peer), failed)?;
        self.sink.record(Event::login_by(user, SocketAddr::new(peer, 0), "otp"));
        Ok(certificates)
    }

    /// Counts the try before the code is looked at, so that many at once are no more than one by one;
    /// a right code gives its try back.
    pub(crate) fn check_code(
        &self,
        user: &UserName,
        known: bool,
        code: &str,
    ) -> Result<Result<(), &'static str>, Fault> {
        let real = known && self.otp_of(user)?.is_some();
        let tries = key::otp_tries(user, real);
        if !self.count_try(&tries)? {
            return Ok(Err("too many wrong codes"));
        }
        if !real {
            return Ok(Err("there is no such user, or no code or key, or the password is wrong"));
        }
        Ok(match self.spend_code(user, code)? {
            Code::Good => {
                self.return_try(&tries)?;
                Ok(())
            }
            Code::Wrong => Err("the code is wrong"),
            Code::Used => Err("the code was used before"),
        })
    }

    /// Notes a try; `false` where there were too many of late.
    fn count_try(&self, key: &str) -> Result<bool, Fault> {
        let (most, _) = OTP_TRIES;
        let now = self.now().as_secs();
        self.change_tries(key, |times| {
            let free = times.len() < most;
            if free {
                times.push(now);
            }
            free
        })
    }

    fn return_try(&self, key: &str) -> Result<(), Fault> {
        self.change_tries(key, |times| times.pop().is_some()).map(drop)
    }

    /// Changes the times of the last tries, all of them within the span; answers what `change` says.
    fn change_tries(&self, key: &str, change: impl Fn(&mut Vec<u64>) -> bool) -> Result<bool, Fault> {
        let (_, span) = OTP_TRIES;
        let now = self.now();
        for _ in 0..SWAPS {
            let entry = self.store.get(key, now.as_secs())?;
            let version = entry.as_ref().map(|entry| entry.version);
            let mut times: Vec<u64> =
                entry.map(|entry| serde_json::from_slice(&entry.value)).transpose()?.unwrap_or_default();
            times.retain(|time| time.saturating_add(span.as_secs()) > now.as_secs());
            if !change(&mut times) {
                return Ok(false);
            }
            let (value, expires) = (serde_json::to_vec(&times)?, Some(now.plus(span).as_secs()));
            if self.store.cas(key, version, &value, expires, now.as_secs())?.is_some() {
                return Ok(true);
            }
        }
        Err(Fault::too_many())
    }

    /// One answer for all that can be wrong: what is told apart is a help for guessing.
    pub(crate) fn otp_failed(&self, user: &UserName, peer: IpAddr, reason: &str) -> Fault {
        self.sink.record(Event::login_failed(user.as_str(), SocketAddr::new(peer, 0), reason));
        Fault::unauthenticated(
            "the login failed: the user name, the password or the code is wrong, the code was used before, or \
             there were too many wrong ones (wait for the next code, or log in with a security key)",
        )
    }
}
