//! The terminal comes with its ticket, over the connection that it began with, and gets its certificates.

use std::net::{IpAddr, SocketAddr};

use tapgate_api::{LoginCertificates, SessionCertificates, SsoFinish};
use tapgate_audit::Event;
use tapgate_identity::Identity;
use tapgate_session::Gate;

use super::begin::must_take_sso;
use super::request::Work;
use crate::public_key::LoginKeys;
use crate::{Authority, Fault};

impl Authority {
    /// Finishes a login. The user, the roles and the traits are those that the provider tells at this very sign-in;
    /// the gate's snapshot must be made anew after it.
    pub fn sso_login_finish(&self, finish: &SsoFinish, peer: IpAddr) -> Result<LoginCertificates, Fault> {
        self.rates.anybody(peer)?;
        let done = self.sso_redeem(&finish.id, &finish.ticket)?;
        let Work::Login { tls_public_key, ssh_public_key } = &done.request.work else {
            return Err(Fault::denied("this is none of a login"));
        };
        let keys = LoginKeys::parse(tls_public_key, ssh_public_key)?;
        let connector = self.sso_connector(Some(&done.request.connector))?;
        let failed = |user: &str, why: &str| {
            self.sink.record(Event::login_failed(user, SocketAddr::new(peer, 0), why));
        };
        // Once more: between the page and the terminal a minute may have passed, and the store was in between.
        let verified = self.sso_proven(&connector, &done.request, done.proof).map_err(|why| {
            failed("", &why);
            Fault::unauthenticated(format!("the login failed: {why}"))
        })?;
        let user = self.sso_user(&connector, verified.token.claims()).inspect_err(|fault| {
            failed(&verified.token.claims().subject, &fault.error.message);
        })?;
        self.sso_succeeded(&done.number, &done.request, &verified);
        let refused = |why: &str| {
            failed(user.as_str(), why);
            Fault::unauthenticated(format!("the login failed: {why}"))
        };
        let certificates = self.certify_login(&user, &keys, (done.request.peer, peer), refused)?;
        self.sink.record(Event::login_by(user, SocketAddr::new(peer, 0), "sso"));
        Ok(certificates)
    }

    /// Issues the session certificates for a tap at the identity provider.
    pub fn sso_session_finish(
        &self,
        gate: &Gate,
        identity: &Identity,
        finish: &SsoFinish,
        peer: IpAddr,
    ) -> Result<SessionCertificates, Fault> {
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        let done = self.sso_redeem(&finish.id, &finish.ticket)?;
        let Work::Session { public_key, certificate } = &done.request.work else {
            return Err(Fault::denied("this is none of a session"));
        };
        if *certificate != *identity.fingerprint() || done.request.user != *identity.user() {
            return Err(Fault::unauthenticated("the tap was asked for with another certificate"));
        }
        let connector = self.sso_step_up(identity.user())?;
        let verified = self.sso_proven(&connector, &done.request, done.proof).map_err(|why| {
            self.sso_failed(&done.number, &done.request, &why);
            Fault::unauthenticated(format!("the tap was refused: {why}"))
        })?;
        self.sso_succeeded(&done.number, &done.request, &verified);
        let parts = verified.tap.statement().parts();
        let needed = self.still_due(gate, identity, parts, peer)?;
        must_take_sso(needed.mfa)?;
        self.issue_session(identity, public_key, &verified.proof, parts)
    }
}
