//! Signing in with a passkey alone: the key itself knows whose it is, and has verified its user.
//!
//! Who taps is not known when the challenge is made, so there is no statement yet. The challenge is over words that
//! no statement's encoding begins with, so that this tap is a proof of nothing else.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapgate_api::{Assertion, PasskeyChallenge};
use tapgate_model::UnixTime;
use tapgate_policy::SecondFactor;
use tapgate_store::Write;

use super::sign_in::{action, throwaway_key};
use super::{Entrant, Method, SignedIn};
use crate::ceremony::{is_id, new_id};
use crate::limits::{CEREMONY_TTL, PASSKEY_CHALLENGES_MAX};
use crate::{Authority, Fault, counter, key, token};

/// A challenge for any passkey, as it is stored.
#[derive(Serialize, Deserialize)]
struct Pending {
    peer: IpAddr,
    expires: UnixTime,
    public_key: String,
    state: Value,
}

impl Authority {
    /// Asks for any passkey that the gate knows.
    pub fn web_passkey_begin(&self, peer: IpAddr) -> Result<PasskeyChallenge, Fault> {
        self.rates.anybody(peer)?;
        self.passkeys_must_be_accepted()?;
        let (now, spki) = (self.now(), throwaway_key()?);
        let place = key::passkeys(peer);
        if self.store.list(&place, now.as_secs())?.len() >= PASSKEY_CHALLENGES_MAX {
            return Err(Fault::too_many());
        }
        let message = [b"tapgate/passkey/v1".as_slice(), self.gate.as_bytes(), action(&spki).as_bytes()].concat();
        let (webauthn, state) = self.webauthn.begin_passkey(&message)?;
        let (id, expires) = (new_id(), now.plus(CEREMONY_TTL));
        let pending = Pending { peer, expires, public_key: token::to_text(&spki), state };
        let put = |key, value| Write::Put { key, value, expires: Some(expires.as_secs()) };
        let waiting = format!("{place}{}", token::to_text(&token::sha256(&[id.as_bytes()]).as_bytes()[..12]));
        self.store.write(&[put(key::passkey(&id), serde_json::to_vec(&pending)?), put(waiting, Vec::new())])?;
        Ok(PasskeyChallenge { id, webauthn })
    }

    /// Signs in whose passkey it is. The challenge is spent before the answer is looked at.
    pub fn web_passkey_finish(&self, answer: &Assertion, peer: IpAddr) -> Result<SignedIn, Fault> {
        self.rates.anybody(peer)?;
        self.passkeys_must_be_accepted()?;
        let now = self.now();
        let failed = |reason: &str| self.web_sign_in_failed("", peer, reason);
        let taken = if is_id(&answer.id) { self.store.take(&key::passkey(&answer.id), now.as_secs())? } else { None };
        let bytes = taken.ok_or_else(|| failed("nobody waits for this passkey"))?;
        let pending: Pending = serde_json::from_slice(&bytes)?;
        if now >= pending.expires {
            return Err(failed("the passkey came too late"));
        }
        let state = self.state.load();
        let handle = self.webauthn.handle_of(&answer.webauthn).ok_or_else(|| failed("the passkey names nobody"))?;
        let mine = |registration: &&std::sync::Arc<tapgate_proof::Registration>| {
            registration.credential_id.as_slice() == answer.webauthn.raw_id.as_slice()
        };
        let registration = state.registrations.iter().find(mine).ok_or_else(|| failed("no such key is registered"))?;
        let user = &registration.user;
        let failed = |reason: &str| self.web_sign_in_failed(user.as_str(), peer, reason);
        if self.user_handle(user) != handle {
            return Err(failed("the passkey names another user than its registration"));
        }
        let (known, _) = counter::load(self, registration)?.ok_or_else(|| failed("the key's state is gone"))?;
        let result = self.webauthn.finish_passkey(pending.state, &answer.webauthn, &known);
        let result = result.map_err(|error| failed(&error.to_string()))?;
        if !result.user_verified() {
            return Err(failed("the passkey has not verified its user"));
        }
        counter::advance(self, registration, &result).map_err(|reason| failed(&reason))?;
        let damaged = || Fault::internal("the pending sign-in is damaged");
        let spki = token::from_text(&pending.public_key).ok_or_else(damaged)?;
        let credential = Some(registration.credential_id.as_slice());
        let peers = (pending.peer, peer);
        self.open_web_session(&Entrant { user, method: Method::Passkey, credential, spki: &spki, peers }, failed)
    }

    fn passkeys_must_be_accepted(&self) -> Result<(), Fault> {
        let accepted = self.state.load().policy.preference().second_factors.contains(&SecondFactor::WebAuthn);
        let refused = || Fault::denied("passkeys are not accepted here (`second_factors` has no `webauthn`)");
        accepted.then_some(()).ok_or_else(refused)
    }
}
