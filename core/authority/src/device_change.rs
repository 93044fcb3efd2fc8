//! Changes of a user's own devices, each signed by a tap over its exact bytes.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use tapgate_api::{Assertion, Ceremony, DeviceAction, DeviceOutcome};
use tapgate_audit::{Change, Event};
use tapgate_identity::Identity;
use tapgate_model::UserName;
use tapgate_proof::{Purpose, Registration, SshRegistration};
use tapgate_store::Write;

use crate::ceremony::{Pending, Work, new_id};
use crate::chain::retiring;
use crate::demand::Demanded;
use crate::enrol::device_name;
use crate::limits::PUBLIC_KEY_MAX;
use crate::otp::StoredOtp;
use crate::ssh_key::NewSshKey;
use crate::tap::{Given, Wanted};
use crate::{Authority, Fault, key, token};

/// A device that is there.
enum Known {
    Key(Arc<Registration>),
    Otp(StoredOtp),
}

/// What is to be done, checked against what is there.
enum Plan {
    Remove(Known),
    Rename(Known, String),
    AddOtp(String),
    AddSshKey(NewSshKey),
    RemoveSshKey(Box<SshRegistration>),
}

impl Authority {
    /// Checks whether the change may be made, and asks for the tap.
    pub fn device_change_begin(&self, identity: &Identity, body: &[u8], peer: IpAddr) -> Result<Ceremony, Fault> {
        self.must_be_owner(identity, peer)?;
        let user = identity.user();
        let (Demanded { keys, verified }, purpose, action) =
            if let Plan::AddSshKey(new) = self.device_plan(user, body)? {
                let action = SshRegistration::digest_of(user, &new.key);
                (self.vouchers(user)?, Purpose::AddDevice, action)
            } else {
                let demanded = self.demanded(user, self.own_mfa(user), "change your devices")?;
                (demanded, Purpose::Admin, token::sha256(&[body]))
            };
        let statement = self.own_statement(identity, purpose, action)?;
        let work = Work::Device { body: token::to_text(body) };
        let wanted = Wanted { statement: &statement, verified, peer, identity: Some(identity), work };
        self.ask(new_id(), wanted, &keys)
    }

    /// Makes the change. Everything is checked again: of two keys that are removed at once, one stays.
    pub fn device_change_finish(
        &self,
        identity: &Identity,
        answer: &Assertion,
        peer: IpAddr,
    ) -> Result<DeviceOutcome, Fault> {
        self.must_be_owner(identity, peer)?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let given = self.receive(answer, self.purpose_of_change(&answer.id)?, Some(identity))?;
        self.record_success(&given);
        self.must_satisfy(self.own_mfa(identity.user()), &given)?;
        let Work::Device { body } = &given.pending.work else {
            return Err(Fault::internal("a tap for a device was asked for something else"));
        };
        let body = token::from_text(body).ok_or_else(|| Fault::internal("the pending change is damaged"))?;
        let plan = self.device_plan(identity.user(), &body)?;
        let outcome = match plan {
            Plan::Remove(device) => self.remove_device(identity.user(), &given, &device),
            Plan::Rename(device, to) => self.rename_device(identity.user(), &given, device, &to),
            Plan::AddOtp(name) => {
                let otp = Some(self.begin_otp(identity, &given, name)?);
                return Ok(DeviceOutcome { lines: Vec::new(), otp });
            }
            Plan::AddSshKey(new) => self.add_ssh_key(identity.user(), &given, new),
            Plan::RemoveSshKey(registration) => self.remove_ssh_key(&given, *registration),
        }?;
        self.refresh();
        Ok(DeviceOutcome { lines: vec![outcome], otp: None })
    }

    /// What waits says what its tap is for; what the tap has signed must be the same.
    fn purpose_of_change(&self, ceremony: &str) -> Result<Purpose, Fault> {
        let Some(Pending::Tap(pending)) = self.look_at(ceremony)? else { return Ok(Purpose::Admin) };
        Ok(pending.work.purpose())
    }

    /// What the body asks for, if it can be done.
    fn device_plan(&self, user: &UserName, body: &[u8]) -> Result<Plan, Fault> {
        if body.len() > PUBLIC_KEY_MAX {
            return Err(Fault::invalid(format!("the body is larger than {PUBLIC_KEY_MAX} bytes"), "see the API"));
        }
        let action: DeviceAction = serde_json::from_slice(body)
            .map_err(|e| Fault::invalid(format!("the body is no change of a device: {e}"), "see the API"))?;
        match action {
            DeviceAction::RemoveDevice { name } => {
                let device = self.device(user, &name)?;
                // Without a key there is no tap, and without a tap no new key: only an invite would help.
                if matches!(device, Known::Key(_)) && self.keys_of(user)?.len() <= 1 {
                    return Err(Fault::conflict(
                        format!("\"{name}\" is your last security key"),
                        "add another one first, with `tap mfa add`",
                    ));
                }
                Ok(Plan::Remove(device))
            }
            DeviceAction::RenameDevice { name, to } => {
                let (device, to) = (self.device(user, &name)?, device_name(&to)?);
                self.must_be_free_name(user, &to)?;
                Ok(Plan::Rename(device, to))
            }
            DeviceAction::AddSshKey { name, key } => Ok(Plan::AddSshKey(self.new_ssh_key(user, &name, &key)?)),
            DeviceAction::RemoveSshKey { name } => Ok(Plan::RemoveSshKey(Box::new(self.ssh_key_named(user, &name)?))),
            DeviceAction::AddOtp { name } => {
                self.otp_must_be_accepted()?;
                let name = device_name(&name)?;
                self.must_be_free_name(user, &name)?;
                if let Some((otp, _)) = self.otp_of(user)? {
                    let what = format!("you have one-time codes already: \"{}\"", otp.name);
                    return Err(Fault::conflict(what, "remove them first, with `tap mfa rm`"));
                }
                Ok(Plan::AddOtp(name))
            }
        }
    }

    /// The user's device of this name.
    fn device(&self, user: &UserName, name: &str) -> Result<Known, Fault> {
        let state = self.state.load();
        if let Some(key) = state.registrations.of(user).iter().find(|key| key.name == name) {
            return Ok(Known::Key(Arc::clone(key)));
        }
        let otp = self.otp_of(user)?.map(|(otp, _)| otp).filter(|otp| otp.name == name);
        let unknown = || Fault::not_found(format!("you have no device \"{name}\" (see `tap mfa ls`)"));
        otp.map(Known::Otp).ok_or_else(unknown)
    }

    /// A removed key is retired: it opens nothing any more, and what it vouched for stays vouched for.
    fn remove_device(&self, user: &UserName, given: &Given, device: &Known) -> Result<String, Fault> {
        let writes = match device {
            Known::Key(registration) => {
                let id = &registration.credential_id;
                let value = serde_json::to_vec(&**registration)?;
                let mut writes = Vec::from(retiring(key::registration(user, id), value, self.now()));
                writes.push(Write::Delete { key: key::credential_state(user, id) });
                writes.push(Write::Delete { key: key::flagged(user, id) });
                writes
            }
            Known::Otp(_) => vec![Write::Delete { key: key::otp(user) }],
        };
        self.store.write(&writes)?;
        self.record_device(given, device.kind(), device.name(), Change::Deleted);
        Ok(format!("{} has been removed", device.title()))
    }

    /// The name is not part of what a tap vouched for, so that another one breaks no chain.
    fn rename_device(&self, user: &UserName, given: &Given, device: Known, to: &str) -> Result<String, Fault> {
        let (title, kind) = (device.title(), device.kind());
        let (key, value) = match device {
            Known::Key(registration) => {
                let renamed = Registration { name: to.to_owned(), ..(*registration).clone() };
                (key::registration(user, &renamed.credential_id), serde_json::to_vec(&renamed)?)
            }
            Known::Otp(_) => {
                self.rename_otp(user, to)?;
                self.record_device(given, kind, to, Change::Updated);
                return Ok(format!("{title} is called \"{to}\" now"));
            }
        };
        self.store.put(&key, &value, None)?;
        self.record_device(given, kind, to, Change::Updated);
        Ok(format!("{title} is called \"{to}\" now"))
    }

    pub(crate) fn record_device(&self, given: &Given, kind: &str, name: &str, change: Change) {
        let action = given.tap.statement().parts().action.unwrap_or_else(|| given.proof.id());
        let user = given.pending.user.clone();
        self.sink.record(Event::device_changed(user, kind, name, change, action, given.record()));
    }
}

impl Known {
    fn name(&self) -> &str {
        match self {
            Self::Key(registration) => &registration.name,
            Self::Otp(otp) => &otp.name,
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "webauthn",
            Self::Otp(_) => "otp",
        }
    }

    fn title(&self) -> String {
        match self {
            Self::Key(registration) => format!("security key \"{}\"", registration.name),
            Self::Otp(otp) => format!("one-time codes \"{}\"", otp.name),
        }
    }
}
