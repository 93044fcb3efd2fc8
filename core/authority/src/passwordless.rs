//! Login without a user name and a password: the key says whose it is, and asks for its PIN or finger.
//!
//! The challenge names no credential, so that the authenticator offers those that it keeps itself. Its statement
//! names [`PASSWORDLESS_USER`], for nobody is known yet; all else is as in every login, and it is finished as one.
//! A key counts only if its user chose so when it was registered, and that choice is part of what was vouched for.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use tapgate_api::{Ceremony, PASSWORDLESS_USER, PasswordlessBegin};
use tapgate_proof::Registration;
use webauthn_rs::prelude::PublicKeyCredential;

use crate::ceremony::{PendingTap, Work, new_id};
use crate::public_key::LoginKeys;
use crate::tap::{GONE, Wanted};
use crate::webauthn::Ceremonies;
use crate::{Authority, Fault, counter};

impl Authority {
    /// Starts a login without a user name. [`Authority::login_finish`] ends it.
    pub fn passwordless_begin(&self, begin: &PasswordlessBegin, peer: IpAddr) -> Result<Ceremony, Fault> {
        self.rates.anybody(peer)?;
        if !self.state.load().policy.preference().allow_passwordless {
            return Err(Fault::denied(
                "this cluster does not allow logins without a password (log in with your user name and password)",
            ));
        }
        let keys = LoginKeys::parse(&begin.tls_public_key, &begin.ssh_public_key)?;
        let anybody = PASSWORDLESS_USER.parse().map_err(Fault::internal)?;
        let statement = self.login_statement(anybody, keys.action()?)?;
        let (tls_public_key, ssh_public_key) = (begin.tls_public_key.clone(), begin.ssh_public_key.clone());
        let work = Work::Login { tls_public_key, ssh_public_key };
        // The PIN or finger is the second factor, so that it is due always.
        self.ask(new_id(), Wanted { statement: &statement, verified: true, peer, identity: None, work }, &[])
    }

    /// The registration of the key that has answered: one of the user's own, or, where nobody was named, the one
    /// of that credential. An id is registered for one user only.
    pub(crate) fn signer(&self, tap: &PendingTap, answer: &PublicKeyCredential) -> Result<Arc<Registration>, String> {
        let state = self.state.load();
        let id = answer.raw_id.as_slice();
        if !tap.is_passwordless() {
            return state.registrations.credential(&tap.user, id).cloned().ok_or_else(|| GONE.to_owned());
        }
        if !state.policy.preference().allow_passwordless {
            return Err("logins without a password are not allowed any more".to_owned());
        }
        let mut known = state.registrations.iter().filter(|registration| registration.credential_id == id);
        let (Some(registration), None) = (known.next(), known.next()) else { return Err(GONE.to_owned()) };
        // Some clients leave it away; one that says whose the key is must say the right one.
        let handle = self.user_handle(&registration.user);
        if answer.response.user_handle.as_ref().is_some_and(|said| said.as_slice() != handle) {
            return Err("the key says that it is another user's".to_owned());
        }
        if !registration.traits.passwordless {
            return Err("the key was not registered for logins without a password".to_owned());
        }
        Ok(Arc::clone(registration))
    }

    /// The library's state, with the one key that has answered.
    pub(crate) fn narrowed(&self, state: Value, registration: &Registration) -> Result<Value, String> {
        let loaded = counter::load(self, registration).map_err(|fault| fault.to_string())?;
        let (key, _) = loaded.ok_or("the key's state is gone")?;
        Ceremonies::narrow(state, &key).map_err(|fault| fault.to_string())
    }
}

impl PendingTap {
    /// Whether nobody was named when it was asked for.
    pub(crate) fn is_passwordless(&self) -> bool {
        matches!(self.work, Work::Login { .. }) && self.user.as_str() == PASSWORDLESS_USER
    }
}
