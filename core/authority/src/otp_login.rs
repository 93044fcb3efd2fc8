//! Login with a password and a one-time code, for whoever has no security key at hand.

use std::net::{IpAddr, SocketAddr};

use tapgate_api::{LoginCertificates, OtpLogin};
use tapgate_audit::Event;
use tapgate_model::{NameError, UserName};

use crate::limits::OTP_TRIES;
use crate::lockout::Counted;
use crate::otp::Code;
use crate::public_key::LoginKeys;
use crate::{Authority, Fault, key};

impl Authority {
    /// Logs in with a password and a code. A stranger, a wrong password, a wrong code, one that was used
    /// and one too many get one answer, after as much work.
    pub fn login_otp(&self, login: &OtpLogin, peer: IpAddr) -> Result<LoginCertificates, Fault> {
        self.admit(&login.user, peer)?;
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
        self.admitted(user.as_str(), peer)?;
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
        if self.count_try(&tries, OTP_TRIES)? == Counted::Full {
            return Ok(Err("too many wrong codes"));
        }
        if !real {
            return Ok(Err("there is no such user, or no code or key, or the password is wrong"));
        }
        Ok(match self.spend_code(user, code)? {
            Code::Good => {
                self.return_try(&tries, OTP_TRIES)?;
                Ok(())
            }
            Code::Wrong => Err("the code is wrong"),
            Code::Used => Err("the code was used before"),
        })
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
