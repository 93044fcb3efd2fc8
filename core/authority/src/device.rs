//! A user's further security keys: each is vouched for by a tap of one that counts already.

use std::net::IpAddr;
use std::sync::PoisonError;

use tapgate_api::{Assertion, Ceremony, Device, DeviceBegin, DeviceChallenge, DeviceOutcome, DeviceRegister, Devices};
use tapgate_identity::Identity;
use tapgate_model::{Digest, UserName};
use tapgate_policy::SessionMfa;
use tapgate_proof::{Link, Purpose, Registration, Statement, StatementParts, Uses};
use tapgate_store::Write;
use webauthn_rs::prelude::SecurityKey;

use crate::ceremony::{Pending, PendingDevice, Work, new_id};
use crate::enrol::{device_name, unfit, usable};
use crate::limits::{CEREMONY_TTL, DEVICES_MAX};
use crate::tap::Wanted;
use crate::{Authority, Fault, key};

impl Authority {
    /// The caller's own devices.
    pub fn devices(&self, identity: &Identity, peer: IpAddr) -> Result<Devices, Fault> {
        self.must_be_owner(identity, peer)?;
        let state = self.state.load();
        let device = |registration: &std::sync::Arc<Registration>| Device {
            name: registration.name.clone(),
            kind: "webauthn".to_owned(),
            added: registration.created.as_secs(),
            vouched_by: link(&registration.link).to_owned(),
        };
        let mut devices: Vec<Device> = state.registrations.of(identity.user()).iter().map(device).collect();
        if let Some((otp, _)) = self.otp_of(identity.user())? {
            let (kind, vouched_by) = ("otp".to_owned(), "tap".to_owned());
            devices.push(Device { name: otp.name, kind, added: otp.created.as_secs(), vouched_by });
        }
        devices.sort_by_key(|device| device.added);
        Ok(Devices { devices })
    }

    /// Asks for a further key, which is none of those that the user has.
    pub fn device_begin(
        &self,
        identity: &Identity,
        begin: &DeviceBegin,
        peer: IpAddr,
    ) -> Result<DeviceChallenge, Fault> {
        self.must_be_owner(identity, peer)?;
        let user = identity.user();
        let keys = self.keys_of(user)?;
        if keys.is_empty() {
            return Err(self.without_keys(user, "add a device"));
        }
        let name = device_name(&begin.name)?;
        self.must_be_new(user, &name)?;
        let registered = keys.iter().map(|key| key.cred_id().clone()).collect();
        let (webauthn, state) =
            self.webauthn.begin_registration(user, self.user_handle(user), registered, begin.passwordless)?;
        let expires = self.now().plus(CEREMONY_TTL).min(identity.login_expires());
        let (id, certificate) = (new_id(), *identity.fingerprint());
        let options = serde_json::to_value(&webauthn)?;
        let pending = PendingDevice { user: user.clone(), expires, certificate, name, state, options };
        self.suspend(&id, &Pending::Device(Box::new(pending)))?;
        Ok(DeviceChallenge { id, webauthn })
    }

    /// Takes the new key's answer, and asks for a tap of a key that counts over exactly this new one.
    /// Until then the new key is nowhere but in that ceremony.
    pub fn device_register(
        &self,
        identity: &Identity,
        answer: &DeviceRegister,
        peer: IpAddr,
    ) -> Result<Ceremony, Fault> {
        self.must_be_owner(identity, peer)?;
        let over = || Fault::expired("nobody waits for this key: it came too late, or was given before", "start again");
        let Some(Pending::Device(pending)) = self.resume(&answer.id)? else { return Err(over()) };
        if pending.user != *identity.user() || pending.certificate != *identity.fingerprint() {
            return Err(over());
        }
        let key = self.webauthn.finish_registration(pending.state.clone(), &answer.webauthn).map_err(|error| {
            tracing::info!(user = %pending.user, %error, "A key was refused");
            unfit("the key was refused")
        })?;
        let action = self.fresh(&pending.user, &key)?;
        let keys = self.keys_of(&pending.user)?;
        if keys.is_empty() {
            return Err(self.without_keys(&pending.user, "add a device"));
        }
        let statement = self.own_statement(identity, Purpose::AddDevice, action)?;
        let work = Work::AddDevice { name: pending.name, key: serde_json::to_value(&key)? };
        let verified = self.must_verify(identity.user());
        let wanted = Wanted { statement: &statement, verified, peer, identity: Some(identity), work };
        self.ask(new_id(), wanted, &keys)
    }

    /// Registers the new key with the tap that vouches for it.
    pub fn device_finish(&self, identity: &Identity, answer: &Assertion, peer: IpAddr) -> Result<DeviceOutcome, Fault> {
        self.must_be_owner(identity, peer)?;
        // Held from here, so that a key which is being removed vouches for no other.
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let given = self.receive(answer, Purpose::AddDevice, Some(identity))?;
        self.record_success(&given);
        let Work::AddDevice { name, key } = &given.pending.work else {
            return Err(Fault::internal("a tap for a device was asked for something else"));
        };
        let key: SecurityKey = serde_json::from_value(key.clone())?;
        let user = identity.user();
        self.must_be_new(user, name)?;
        let action = self.fresh(user, &key)?;
        let (credential_id, public) = usable(&key)?;
        let (name, link) = (name.clone(), Link::Device { proof: given.proof.clone() });
        let registration =
            Registration { user: user.clone(), credential_id, key: public, name, created: self.now(), link };
        let signed = given.tap.statement().parts().action == Some(action);
        if !signed || !self.would_chain(&registration).map_err(Fault::internal)? {
            return Err(Fault::conflict("the tap does not vouch for this key", "start again"));
        }
        let put = |key, value| Write::Put { key, value, expires: None };
        self.store.write(&[
            put(key::registration(user, &registration.credential_id), serde_json::to_vec(&registration)?),
            put(key::credential_state(user, &registration.credential_id), serde_json::to_vec(&key)?),
        ])?;
        self.refresh();
        self.record_enrolled(&registration);
        Ok(DeviceOutcome { lines: vec![format!("security key \"{}\" has been added", registration.name)], otp: None })
    }

    /// The digest that a tap signs for this key, if nobody has it and nobody had it: a key that was
    /// removed stays removed.
    fn fresh(&self, user: &UserName, key: &SecurityKey) -> Result<Digest, Fault> {
        let (credential_id, public) = usable(key)?;
        for prefix in [key::REGISTRATIONS, key::RETIRED] {
            let known = self.registrations(prefix).map_err(Fault::internal)?;
            if known.iter().any(|other| other.credential_id == credential_id) {
                return Err(unfit("the key is registered already, or was removed"));
            }
        }
        let (name, created, link) = (String::new(), self.now(), Link::Pinned);
        Ok(Registration { user: user.clone(), credential_id, key: public, name, created, link }.digest())
    }

    /// There is room for one more key, and the name is no other device's.
    fn must_be_new(&self, user: &UserName, name: &str) -> Result<(), Fault> {
        if self.state.load().registrations.of(user).len() >= DEVICES_MAX {
            return Err(Fault::conflict(
                format!("you have {DEVICES_MAX} security keys already"),
                "remove one with `tap mfa rm`",
            ));
        }
        self.must_be_free_name(user, name)
    }

    /// The name is no other device's.
    pub(crate) fn must_be_free_name(&self, user: &UserName, name: &str) -> Result<(), Fault> {
        let state = self.state.load();
        let keys = state.registrations.of(user);
        let taken =
            keys.iter().any(|key| key.name == name) || self.otp_of(user)?.is_some_and(|(otp, _)| otp.name == name);
        if taken {
            return Err(Fault::conflict(format!("you have a device \"{name}\" already"), "choose another name"));
        }
        Ok(())
    }

    /// The statement of an act that opens no session: a user's about their own devices, an administrator's.
    pub(crate) fn own_statement(
        &self,
        identity: &Identity,
        purpose: Purpose,
        action: Digest,
    ) -> Result<Statement, Fault> {
        let now = self.now();
        Statement::new(StatementParts {
            gate: self.gate,
            purpose,
            user: identity.user().clone(),
            uses: Uses::Once,
            source_ip: None,
            action: Some(action),
            targets: Vec::new(),
            created: now,
            expires: now.plus(CEREMONY_TTL).min(identity.login_expires()),
        })
        .map_err(Fault::internal)
    }

    /// Whoever adds or removes a key taps as strictly as for the strictest session that the user may
    /// open: a stolen key whose PIN nobody knows must not bring in another one.
    pub(crate) fn must_verify(&self, user: &UserName) -> bool {
        self.state.load().policy.strictest_mfa(user) == SessionMfa::RequiredVerified
    }

    /// Only the owner changes devices: with the login certificate, and not while locked.
    pub(crate) fn must_be_owner(&self, identity: &Identity, peer: IpAddr) -> Result<(), Fault> {
        self.rates.known(identity.user())?;
        self.must_be_login(identity, peer)?;
        self.must_be_free(identity.user())
    }

    /// Why somebody without a security key may not do what needs one: one-time codes are none.
    pub(crate) fn without_keys(&self, user: &UserName, what: &str) -> Fault {
        match self.otp_of(user) {
            Ok(Some(_)) => Fault::denied("per-session MFA is not satisfied by 'otp' devices"),
            Ok(None) => Fault::denied(format!(
                "MFA is required to {what} but user has no MFA devices \
                 (ask your administrator for an invite, then run `tap enrol`)"
            )),
            Err(fault) => fault,
        }
    }
}

const fn link(link: &Link) -> &'static str {
    match link {
        Link::Pinned => "pinned",
        Link::Invite { .. } => "invite",
        Link::Device { .. } => "device",
    }
}
