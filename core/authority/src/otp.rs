//! One-time codes (RFC 6238): a secret that a user's app shares with the gate, each step good once.
//!
//! They are a second factor for login and for nothing else: nobody can tell afterwards what a code was
//! given for, so that it opens no session, changes nothing, and vouches for no key.

use std::net::IpAddr;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use tapgate_api::{DeviceOutcome, OtpConfirm, OtpSecret};
use tapgate_audit::{Change, Event};
use tapgate_identity::Identity;
use tapgate_model::{UnixTime, UserName};
use tapgate_policy::SecondFactor;
use tapgate_store::{Store, Write};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::ceremony::{Pending, PendingOtp, new_id};
use crate::limits::{CEREMONY_TTL, OTP_CONFIRM_TRIES, OTP_STEP};
use crate::tap::Given;
use crate::{Authority, AuthorityError, Fault, SecretsKey, key, token};

/// A user's one-time codes as they are stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredOtp {
    pub(crate) name: String,
    pub(crate) created: UnixTime,
    /// Sealed: see [`crate::SecretsKey`].
    sealed: String,
    /// The last step of which a code was used: neither it nor an earlier one counts again.
    last_step: u64,
}

/// What became of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// It is right, and spent now.
    Good,
    /// It is not of this time.
    Wrong,
    /// It, or a later one, was used before.
    Used,
}

/// How often a lost compare-and-swap is tried again before it is called used: each loss is another code.
const TRIES: usize = 8;

impl Authority {
    /// Whether one-time codes are a second factor here.
    pub(crate) fn otp_must_be_accepted(&self) -> Result<(), Fault> {
        let accepted = self.state.load().policy.preference().second_factors.contains(&SecondFactor::Otp);
        let refused = || Fault::denied("one-time codes are not accepted here (`second_factors` has no `otp`)");
        accepted.then_some(()).ok_or_else(refused)
    }

    /// The user's codes, and the version of the entry.
    pub(crate) fn otp_of(&self, user: &UserName) -> Result<Option<(StoredOtp, u64)>, Fault> {
        let Some(entry) = self.store.get(&key::otp(user), self.now().as_secs())? else { return Ok(None) };
        Ok(Some((serde_json::from_slice(&entry.value)?, entry.version)))
    }

    /// Makes a secret, which counts once a code of it was shown.
    pub(crate) fn begin_otp(&self, identity: &Identity, given: &Given, name: String) -> Result<OtpSecret, Fault> {
        let secret = Zeroizing::new(token::random::<20>());
        let uri = self.totp(identity.user(), &*secret)?.to_url().map_err(Fault::internal)?;
        let expires = self.now().plus(CEREMONY_TTL).min(identity.login_expires());
        let pending = PendingOtp {
            user: identity.user().clone(),
            expires,
            certificate: *identity.fingerprint(),
            name,
            secret: self.secrets.seal(&key::otp(identity.user()), &*secret).map_err(Fault::internal)?,
            action: given.tap.statement().parts().action.unwrap_or_else(|| given.proof.id()),
            tap: given.record(),
            tries: OTP_CONFIRM_TRIES,
        };
        let id = new_id();
        self.suspend(&id, &Pending::Otp(Box::new(pending)))?;
        Ok(OtpSecret { id, uri, expires: expires.as_secs() })
    }

    /// Makes the codes count, if the user's app shows the right one.
    pub fn device_otp(&self, identity: &Identity, confirm: &OtpConfirm, peer: IpAddr) -> Result<DeviceOutcome, Fault> {
        self.must_be_owner(identity, peer)?;
        self.otp_must_be_accepted()?;
        let over =
            || Fault::expired("nobody waits for this code: it came too late, or was given before", "start again");
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Pending::Otp(mut pending)) = self.resume(&confirm.id)? else { return Err(over()) };
        if pending.user != *identity.user() || pending.certificate != *identity.fingerprint() {
            return Err(over());
        }
        let secret = self.otp_secret(&pending.user, &pending.secret)?;
        let Some(step) = self.totp(&pending.user, &secret)?.check(&confirm.code, self.now().as_secs()) else {
            pending.tries = pending.tries.saturating_sub(1);
            if pending.tries == 0 {
                return Err(Fault::denied("the code is wrong, too often (start again)"));
            }
            self.suspend(&confirm.id, &Pending::Otp(pending))?;
            return Err(Fault::invalid("the code is wrong", "is the clock of the device with the app right?"));
        };
        self.must_be_free_name(&pending.user, &pending.name)?;
        let otp = StoredOtp {
            name: pending.name.clone(),
            created: self.now(),
            sealed: pending.secret.clone(),
            // The code that was shown just now is spent: somebody may have read along.
            last_step: step,
        };
        let (value, now) = (serde_json::to_vec(&otp)?, self.now().as_secs());
        if self.store.cas(&key::otp(&pending.user), None, &value, None, now)?.is_none() {
            return Err(Fault::conflict("you have one-time codes already", "remove them first, with `tap mfa rm`"));
        }
        let (user, name, action) = (pending.user, pending.name, pending.action);
        let line =
            format!("one-time codes \"{name}\" have been added; they are good for `tap login --mfa-mode=otp` alone");
        self.sink.record(Event::device_changed(user, "otp", name, Change::Created, action, pending.tap));
        Ok(DeviceOutcome { lines: vec![line], otp: None })
    }

    /// Tries a code, and spends its step: of all who come with one code, one gets on.
    pub(crate) fn spend_code(&self, user: &UserName, code: &str) -> Result<Code, Fault> {
        for _ in 0..TRIES {
            let Some((mut otp, version)) = self.otp_of(user)? else { return Ok(Code::Wrong) };
            let secret = self.otp_secret(user, &otp.sealed)?;
            let Some(step) = self.totp(user, &secret)?.check(code, self.now().as_secs()) else {
                return Ok(Code::Wrong);
            };
            if step <= otp.last_step {
                return Ok(Code::Used);
            }
            otp.last_step = step;
            let (value, now) = (serde_json::to_vec(&otp)?, self.now().as_secs());
            if self.store.cas(&key::otp(user), Some(version), &value, None, now)?.is_some() {
                return Ok(Code::Good);
            }
        }
        Ok(Code::Used)
    }

    /// The secret under the codes of this user.
    fn otp_secret(&self, user: &UserName, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.secrets.open(&key::otp(user), sealed).map_err(Fault::internal)
    }

    /// SHA-1, six digits, thirty seconds: what every authenticator app can do, and some do whatever they
    /// are told. The library compares in constant time.
    fn totp(&self, user: &UserName, secret: &[u8]) -> Result<Totp, Fault> {
        let (step, skew) = OTP_STEP;
        let builder = Builder::new().with_secret(secret).with_step_duration(step).with_skew(skew);
        let builder = builder.with_account_name(user.as_str()).with_issuer(Some(self.cluster.replace(':', " ")));
        builder.build().map_err(Fault::internal)
    }

    /// Gives the codes another name. A code that is used meanwhile stays used.
    pub(crate) fn rename_otp(&self, user: &UserName, to: &str) -> Result<(), Fault> {
        for _ in 0..TRIES {
            let gone = || Fault::not_found("the one-time codes are gone (see `tap mfa ls`)");
            let (otp, version) = self.otp_of(user)?.ok_or_else(gone)?;
            let value = serde_json::to_vec(&StoredOtp { name: to.to_owned(), ..otp })?;
            if self.store.cas(&key::otp(user), Some(version), &value, None, self.now().as_secs())?.is_some() {
                return Ok(());
            }
        }
        Err(Fault::too_many())
    }
}

/// Codes as they were stored before secrets were sealed.
#[derive(Deserialize)]
struct PlainOtp {
    name: String,
    created: UnixTime,
    secret: String,
    last_step: u64,
}

/// Seals the secrets that an older gate has left in the open. Afterwards no plain one is read any more.
pub(crate) fn seal_plain(store: &dyn Store, secrets: &SecretsKey, now: UnixTime) -> Result<(), AuthorityError> {
    for (key, entry) in store.list(key::OTPS, now.as_secs())? {
        let Ok(PlainOtp { name, created, secret, last_step }) = serde_json::from_slice(&entry.value) else { continue };
        let secret = token::from_text(&secret).map(Zeroizing::new);
        let secret = secret.ok_or_else(|| AuthorityError::internal("a stored one-time secret is damaged"))?;
        let sealed = secrets.seal(&key, &secret)?;
        let value = serde_json::to_vec(&StoredOtp { name, created, sealed, last_step })?;
        // Whoever has changed it meanwhile has sealed it.
        store.cas(&key, Some(entry.version), &value, None, now.as_secs())?;
    }
    Ok(())
}

/// The writes that seal all codes with another key.
pub(crate) fn resealed(
    store: &dyn Store,
    old: &SecretsKey,
    new: &SecretsKey,
    now: UnixTime,
) -> Result<Vec<Write>, AuthorityError> {
    let mut writes = Vec::new();
    for (key, entry) in store.list(key::OTPS, now.as_secs())? {
        let mut otp: StoredOtp = serde_json::from_slice(&entry.value)?;
        let secret = old.open(&key, &otp.sealed).map_err(AuthorityError::internal)?;
        otp.sealed = new.seal(&key, &secret)?;
        writes.push(Write::Put { key, value: serde_json::to_vec(&otp)?, expires: None });
    }
    Ok(writes)
}
