//! How strict a tap must be: which of a user's keys may make it, and whether they must verify their user.

use tapgate_model::UserName;
use tapgate_policy::SessionMfa;
use tapgate_proof::Registration;
use webauthn_rs::prelude::SecurityKey;

use crate::tap::Given;
use crate::{Authority, Fault, counter};

/// Which keys may make a tap.
pub(crate) struct Demanded {
    pub(crate) keys: Vec<SecurityKey>,
    /// Whether they must ask for their PIN or finger.
    pub(crate) verified: bool,
}

impl Authority {
    /// The keys that a tap may be asked of where so much is demanded; `what` says what for, where there is none.
    pub(crate) fn demanded(&self, user: &UserName, mfa: SessionMfa, what: &str) -> Result<Demanded, Fault> {
        let keys = self.keys_where(user, |key| mfa != SessionMfa::RequiredAttested || self.is_attested(key))?;
        if keys.is_empty() {
            if self.keys_of(user)?.is_empty() {
                return Err(self.without_keys(user, what));
            }
            return Err(Fault::denied(
                "MFA by an attested security key is required, and nobody whose word counts here has vouched for any of \
                 yours (add one that your administrator names, with `tap mfa add`)",
            ));
        }
        // Of an attested key a touch is enough where either will do; which one answers is not known yet.
        let any_attested = || self.state.load().registrations.of(user).iter().any(|key| self.is_attested(key));
        let verified = match mfa {
            SessionMfa::Off | SessionMfa::Required | SessionMfa::RequiredWebAuthn => false,
            SessionMfa::RequiredHardware => !any_attested(),
            SessionMfa::RequiredVerified | SessionMfa::RequiredAttested => true,
        };
        Ok(Demanded { keys, verified })
    }

    /// The keys that may vouch for a further one. One that has counted backwards may not: its copy would bring in
    /// a key of its own, which stays when the copied one goes.
    pub(crate) fn vouchers(&self, user: &UserName) -> Result<Demanded, Fault> {
        let demanded = self.demanded(user, self.own_mfa(user), "add a device")?;
        let sound = self.keys_where(user, |key| !counter::is_flagged(self, key))?;
        let keys: Vec<_> = demanded.keys.into_iter().filter(|key| sound.contains(key)).collect();
        if keys.is_empty() { Err(flagged()) } else { Ok(Demanded { keys, ..demanded }) }
    }

    /// The key of the tap may still vouch for another one.
    pub(crate) fn must_vouch(&self, given: &Given) -> Result<(), Fault> {
        let state = self.state.load();
        let key = state.registrations.credential(&given.pending.user, &given.proof.credential_id);
        if key.is_some_and(|key| !counter::is_flagged(self, key)) { Ok(()) } else { Err(flagged()) }
    }

    /// Whoever adds or removes a key taps as strictly as for the strictest session that the user may open: a
    /// stolen key whose PIN nobody knows must not bring in another one. Where that is an attested key and the user
    /// has none yet, a PIN does: how else would they come to one.
    pub(crate) fn own_mfa(&self, user: &UserName) -> SessionMfa {
        let state = self.state.load();
        let attested = state.registrations.of(user).iter().any(|key| self.is_attested(key));
        let strictest = state.policy.strictest_mfa(user);
        if attested { strictest } else { strictest.min(SessionMfa::RequiredVerified) }
    }

    /// The tap that was given is as strict as what is demanded now.
    pub(crate) fn must_satisfy(&self, mfa: SessionMfa, given: &Given) -> Result<(), Fault> {
        let state = self.state.load();
        let key = state.registrations.credential(&given.pending.user, &given.proof.credential_id);
        let attested = key.is_some_and(|key| self.is_attested(key));
        if mfa.takes(given.tap.user_verified(), attested) {
            return Ok(());
        }
        Err(Fault::denied("the tap is not strict enough (tap with the key's PIN or finger, or with an attested key)"))
    }

    /// The keys of these registrations: those whose chain holds and whose state is there.
    pub(crate) fn keys_where(
        &self,
        user: &UserName,
        fits: impl Fn(&Registration) -> bool,
    ) -> Result<Vec<SecurityKey>, Fault> {
        let state = self.state.load();
        let mut keys = Vec::new();
        for registration in state.registrations.of(user).iter().filter(|registration| fits(registration)) {
            keys.extend(counter::load(self, registration)?.map(|(key, _)| key));
        }
        Ok(keys)
    }
}

fn flagged() -> Fault {
    Fault::denied(
        "your security key counted backwards, so there may be a copy of it, and it vouches for no other \
         (ask your administrator for a reset)",
    )
}
