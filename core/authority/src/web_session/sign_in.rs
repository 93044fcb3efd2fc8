//! Signing in on a page: a password, and a tap or a one-time code.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use tapgate_api::{Assertion, Ceremony, WebOtp, WebSignIn};
use tapgate_audit::Event;
use tapgate_model::{Digest, NameError, UserName};
use tapgate_proof::Purpose;

use super::{Entrant, Method, SignedIn};
use crate::ceremony::{Work, new_id};
use crate::tap::Wanted;
use crate::{Authority, Fault, token};

impl Authority {
    /// Starts signing in. A stranger and a wrong password get a challenge too, which nobody can answer.
    pub fn web_sign_in_begin(&self, begin: &WebSignIn, peer: IpAddr) -> Result<Ceremony, Fault> {
        self.admit(&begin.user, peer)?;
        let user = name(&begin.user)?;
        let known = self.recognise(&user, &begin.password)?;
        let spki = throwaway_key()?;
        let statement = self.login_statement(user, action(&spki))?;
        let work = Work::WebLogin { public_key: token::to_text(&spki) };
        let wanted = Wanted { statement: &statement, verified: false, peer, identity: None, work };
        match known {
            Some(keys) => self.ask(new_id(), wanted, &keys),
            None => self.ask_in_vain(new_id(), wanted),
        }
    }

    /// Finishes signing in with the tap.
    pub fn web_sign_in_finish(&self, answer: &Assertion, peer: IpAddr) -> Result<SignedIn, Fault> {
        self.rates.anybody(peer)?;
        let given = self.receive(answer, Purpose::Login, None).map_err(|fault| match fault.status {
            500.. => fault,
            _ => self.web_sign_in_failed("", peer, &fault.to_string()),
        })?;
        let user = &given.pending.user;
        let failed = |reason: &str| self.web_sign_in_failed(user.as_str(), peer, reason);
        let Work::WebLogin { public_key } = &given.pending.work else {
            return Err(failed("the tap was asked for at a terminal"));
        };
        self.record_success(&given);
        let spki = token::from_text(public_key).ok_or_else(|| Fault::internal("the pending sign-in is damaged"))?;
        let credential = Some(given.proof.credential_id.as_slice());
        let peers = (given.pending.peer, peer);
        self.admitted(user.as_str(), given.pending.peer)?;
        self.open_web_session(&Entrant { user, method: Method::WebAuthn, credential, spki: &spki, peers }, failed)
    }

    /// Signs in with a one-time code, where the cluster accepts them.
    pub fn web_sign_in_otp(&self, login: &WebOtp, peer: IpAddr) -> Result<SignedIn, Fault> {
        self.admit(&login.user, peer)?;
        self.otp_must_be_accepted()?;
        let user = name(&login.user)?;
        let failed = |reason: &str| self.otp_failed(&user, peer, reason);
        let known = self.recognise(&user, &login.password)?.is_some();
        self.check_code(&user, known, &login.code)?.map_err(failed)?;
        self.admitted(user.as_str(), peer)?;
        let spki = throwaway_key()?;
        let entrant = Entrant { user: &user, method: Method::Otp, credential: None, spki: &spki, peers: (peer, peer) };
        self.open_web_session(&entrant, failed)
    }

    /// Signs in whom an identity provider has just named.
    pub fn web_sign_in_sso(&self, user: &UserName, peer: IpAddr) -> Result<SignedIn, Fault> {
        let spki = throwaway_key()?;
        let entrant = Entrant { user, method: Method::Sso, credential: None, spki: &spki, peers: (peer, peer) };
        self.open_web_session(&entrant, |reason| self.web_sign_in_failed(user.as_str(), peer, reason))
    }

    /// One answer for all that can be wrong.
    pub(super) fn web_sign_in_failed(&self, user: &str, peer: IpAddr, reason: &str) -> Fault {
        self.sink.record(Event::login_failed(user, SocketAddr::new(peer, 0), reason));
        Fault::unauthenticated(
            "Signing in failed: the user name, the password or the key is wrong, or the tap came too late.",
        )
    }
}

/// A key whose private half is thrown away here: the certificate that names it is for this gate's own eyes.
pub(crate) fn throwaway_key() -> Result<Vec<u8>, Fault> {
    let pair = Ed25519KeyPair::generate().map_err(Fault::internal)?;
    Ok(pair.public_key().as_der().map_err(Fault::internal)?.as_ref().to_vec())
}

/// What the tap of a sign-in signs: the key of the session that it makes.
pub(super) fn action(spki: &[u8]) -> Digest {
    token::sha256(&[b"tapgate/web-session/v1", spki])
}

fn name(text: &str) -> Result<UserName, Fault> {
    text.parse().map_err(|e: NameError| Fault::invalid(e.to_string(), "give the name as your administrator wrote it"))
}
