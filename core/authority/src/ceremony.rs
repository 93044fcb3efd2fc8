//! Pending ceremonies: kept in the store, counted, and taken out before anything is verified.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapgate_api::AttestedTerms;
use tapgate_audit::TapRecord;
use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::{Invite, Traits};
use tapgate_store::Write;

use crate::limits::CEREMONIES_MAX;
use crate::{Authority, Fault, key, token};

/// What waits for a client to finish it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "pending", rename_all = "snake_case")]
pub(crate) enum Pending {
    Tap(Box<PendingTap>),
    Enrolment(Box<PendingEnrolment>),
    Device(Box<PendingDevice>),
    Otp(Box<PendingOtp>),
}

/// A tap that was asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingTap {
    pub(crate) user: UserName,
    pub(crate) expires: UnixTime,
    pub(crate) peer: IpAddr,
    /// The certificate with which it was begun; none at login.
    pub(crate) certificate: Option<Digest>,
    /// The 32 random bytes under the challenge.
    pub(crate) random: String,
    /// The statement's DER.
    pub(crate) statement: String,
    /// Whether the key must verify its user.
    pub(crate) verified: bool,
    /// The library's state; none for a decoy, which nobody can finish.
    pub(crate) state: Option<Value>,
    /// What went to the client for its authenticator, for a browser to read too.
    pub(crate) options: Value,
    pub(crate) work: Work,
}

/// What the tap is for.
#[derive(Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub(crate) enum Work {
    Login {
        tls_public_key: String,
        ssh_public_key: String,
    },
    Session {
        public_key: String,
    },
    /// Signing in on a page; the key is that of the web session's certificate.
    WebLogin {
        public_key: String,
    },
    /// Sessions that a web session holds.
    WebSession,
    /// A session that a stock client has asked for within its protocol.
    InBand,
    Admin {
        body: String,
        invite: Option<Invite>,
    },
    /// A further key, which has answered already: it and the tap that vouches for it are finished together.
    AddDevice {
        name: String,
        key: Value,
        #[serde(default)]
        traits: Traits,
    },
    /// A change of the user's own devices.
    Device {
        body: String,
    },
}

impl Work {
    /// What a new key's maker has vouched for, for the client to compare with what the key itself says.
    pub(crate) fn attested(&self) -> Option<AttestedTerms> {
        let Self::AddDevice { traits: Traits { attested: Some(attested), .. }, .. } = self else { return None };
        let (aaguid, ca_sha256) = (token::to_text(&attested.aaguid), attested.ca_sha256.to_string());
        Some(AttestedTerms { aaguid, ca_sha256 })
    }

    /// The word for the log and for counting.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Login { .. } => "login",
            Self::Session { .. } | Self::WebSession => "session",
            Self::InBand => "in-band",
            Self::WebLogin { .. } => "web-login",
            Self::Admin { .. } => "admin",
            Self::AddDevice { .. } => "add-device",
            Self::Device { .. } => "device",
        }
    }
}

/// A first key that was asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingEnrolment {
    pub(crate) user: UserName,
    pub(crate) expires: UnixTime,
    pub(crate) invite: Digest,
    pub(crate) password_hash: String,
    pub(crate) device_name: String,
    #[serde(default)]
    pub(crate) passwordless: bool,
    pub(crate) state: Value,
    /// What went to the client for its authenticator, for a browser to read too.
    pub(crate) options: Value,
}

/// A further key that was asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingDevice {
    pub(crate) user: UserName,
    pub(crate) expires: UnixTime,
    /// The certificate with which it was begun.
    pub(crate) certificate: Digest,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) passwordless: bool,
    pub(crate) state: Value,
    /// What went to the client for its authenticator, for a browser to read too.
    pub(crate) options: Value,
}

/// A secret for one-time codes that no code has been shown of yet.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingOtp {
    pub(crate) user: UserName,
    pub(crate) expires: UnixTime,
    /// The certificate with which it was begun.
    pub(crate) certificate: Digest,
    pub(crate) name: String,
    /// Sealed.
    pub(crate) secret: String,
    /// The tap that asked for it, for the log.
    pub(crate) action: Digest,
    pub(crate) tap: TapRecord,
    /// How many more codes may be tried.
    pub(crate) tries: u8,
}

/// A ceremony's number: 256 bits, so that nobody guesses one.
pub(crate) fn new_id() -> String {
    token::to_text(&token::random::<32>())
}

impl Authority {
    /// Lets a ceremony wait.
    pub(crate) fn suspend(&self, id: &str, pending: &Pending) -> Result<(), Fault> {
        let now = self.now().as_secs();
        let (expires, scope) = pending.place();
        let waiting = self.store.list(&key::waiting(&scope, ""), now)?;
        if waiting.len() >= CEREMONIES_MAX {
            return Err(Fault::too_many());
        }
        let put = |key, value| Write::Put { key, value, expires: Some(expires.as_secs()) };
        let ceremony = put(key::ceremony(id), serde_json::to_vec(pending)?);
        self.store.write(&[ceremony, put(key::waiting(&scope, id), Vec::new())])?;
        Ok(())
    }

    /// Takes a ceremony out of the store, so that of all who try to finish it one gets on.
    pub(crate) fn resume(&self, id: &str) -> Result<Option<Pending>, Fault> {
        if !is_id(id) {
            return Ok(None);
        }
        let now = self.now();
        let Some(bytes) = self.store.take(&key::ceremony(id), now.as_secs())? else { return Ok(None) };
        let pending: Pending = serde_json::from_slice(&bytes)?;
        let (expires, scope) = pending.place();
        self.store.delete(&key::waiting(&scope, id))?;
        Ok((now < expires).then_some(pending))
    }

    /// Looks at a ceremony and leaves it where it is.
    pub(crate) fn look_at(&self, id: &str) -> Result<Option<Pending>, Fault> {
        if !is_id(id) {
            return Ok(None);
        }
        let now = self.now();
        let Some(entry) = self.store.get(&key::ceremony(id), now.as_secs())? else { return Ok(None) };
        let pending: Pending = serde_json::from_slice(&entry.value)?;
        Ok((now < pending.expires()).then_some(pending))
    }
}

/// Whether this can be the number of something that waits.
pub(crate) fn is_id(id: &str) -> bool {
    id.len() == 43 && token::from_text(id).is_some_and(|bytes| bytes.len() == 32)
}

impl Pending {
    pub(crate) fn expires(&self) -> UnixTime {
        self.place().0
    }

    pub(crate) fn user(&self) -> &UserName {
        match self {
            Self::Tap(tap) => &tap.user,
            Self::Enrolment(enrolment) => &enrolment.user,
            Self::Device(device) => &device.user,
            Self::Otp(otp) => &otp.user,
        }
    }

    /// The word for the log and the page.
    pub(crate) fn purpose(&self) -> &'static str {
        match self {
            Self::Tap(tap) => tap.work.as_str(),
            Self::Enrolment(_) => "enrol",
            Self::Device(_) => "register",
            Self::Otp(_) => "otp",
        }
    }
}

impl Pending {
    /// When it ends, and among which others it is counted.
    fn place(&self) -> (UnixTime, String) {
        match self {
            Self::Tap(tap) => (tap.expires, tap.scope()),
            Self::Enrolment(enrolment) => (enrolment.expires, format!("enrol/{}", enrolment.user)),
            Self::Device(device) => (device.expires, format!("register/{}", device.user)),
            Self::Otp(otp) => (otp.expires, format!("otp/{}", otp.user)),
        }
    }
}

impl PendingTap {
    /// Among which others it is counted. Logins are counted by address too: whoever knows a name
    /// can begin one, and must not use up what the owner of the name may have waiting. The same holds for a stolen
    /// login certificate, with which a client asks in-band.
    fn scope(&self) -> String {
        match self.work {
            Work::Login { .. } | Work::WebLogin { .. } => format!("login/{}/{}", self.user, self.peer),
            Work::InBand => format!("in-band/{}/{}", self.user, self.peer),
            _ => format!("{}/{}", self.work.as_str(), self.user),
        }
    }
}
