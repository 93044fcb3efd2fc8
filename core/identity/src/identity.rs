//! An identity: what a verified certificate says, and the proof that it was verified.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::{Proof, SshKeys, SshTouch};

use crate::payload::Payload;
use crate::{IdentityError, limits};

/// Which certificate was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A login certificate: it says who somebody is, and opens nothing that requires a tap.
    Login,
    /// A session certificate: it carries a tap.
    Session,
    /// A registered SSH key, shown as it is: it says who somebody is, as a login certificate does.
    SshKey,
}

impl Credential {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
            Self::SshKey => "ssh-key",
        }
    }

    /// The longest life of such a certificate, from its issue.
    const fn life_max(self) -> Duration {
        match self {
            Self::Login | Self::SshKey => limits::LOGIN_MAX,
            Self::Session => limits::SESSION_MAX,
        }
    }
}

/// Somebody whose certificate one of our authorities signed, at a moment when it was valid, or whose registered SSH key
/// counts. Only [`Trust`](crate::Trust) and [`Identity::of_ssh_key`] make one. That the peer holds the certificate's key is the handshake's to show,
/// and the tap inside is the gate's to verify.
#[derive(Debug)]
pub struct Identity {
    user: UserName,
    credential: Credential,
    fingerprint: Digest,
    key: Digest,
    proof: Option<Arc<Proof>>,
    login_expires: UnixTime,
    not_after: UnixTime,
    source_ip: Option<IpAddr>,
    touch: Option<Arc<SshTouch>>,
}

impl Identity {
    /// Whoever has shown that they hold this SSH key, if it is registered and counts. A key has no end of its own, so
    /// each connection has that of a login.
    pub fn of_ssh_key(keys: &SshKeys, id: &Digest, now: UnixTime) -> Option<Self> {
        let known = keys.find(id)?;
        let not_after = now.plus(limits::LOGIN_MAX);
        Some(Self {
            user: known.user.clone(),
            credential: Credential::SshKey,
            fingerprint: *id,
            key: *id,
            proof: None,
            login_expires: not_after,
            not_after,
            source_ip: None,
            touch: None,
        })
    }

    /// The same, whose security key was touched for this connection, as it says; the gate verifies it.
    #[must_use]
    pub fn with_touch(self, touch: Option<SshTouch>) -> Self {
        Self { touch: touch.map(Arc::new), ..self }
    }

    /// What the peer's `sk-` key has signed, not verified yet.
    pub const fn touch(&self) -> Option<&Arc<SshTouch>> {
        self.touch.as_ref()
    }

    /// Whose certificate it is.
    pub const fn user(&self) -> &UserName {
        &self.user
    }

    /// Which certificate it is.
    pub const fn credential(&self) -> Credential {
        self.credential
    }

    /// SHA-256 of the certificate; of a registered SSH key its own, as OpenSSH counts it.
    pub const fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo`, the same in both certificate formats; of a registered SSH key, and of
    /// an `sk-` key in a certificate, of its SSH form.
    pub const fn key(&self) -> &Digest {
        &self.key
    }

    /// The tap inside a session certificate, not verified yet; `None` for a login certificate.
    pub const fn proof(&self) -> Option<&Arc<Proof>> {
        self.proof.as_ref()
    }

    /// When the login behind the certificate ends.
    pub const fn login_expires(&self) -> UnixTime {
        self.login_expires
    }

    /// When the certificate ends: it opens nothing afterwards.
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// The only address that the certificate may be used from, if it is pinned to one.
    pub const fn source_ip(&self) -> Option<IpAddr> {
        self.source_ip
    }
}

/// What a certificate says outside its payload, once its signature is verified.
pub(crate) struct Facts {
    pub(crate) credential: Credential,
    pub(crate) fingerprint: Digest,
    pub(crate) key: Digest,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

impl Facts {
    /// The identity, when payload and certificate agree and the payload is for this gate.
    pub(crate) fn identify(self, payload: Payload, gate: &Digest) -> Result<Identity, IdentityError> {
        let credential = self.credential;
        if payload.gate != *gate {
            return Err(IdentityError::OtherGate);
        }
        if self.not_after.since(self.not_before) > credential.life_max() + limits::SKEW {
            return Err(IdentityError::Lifetime(credential.as_str()));
        }
        match credential {
            Credential::Login if payload.proof.is_some() => {
                return Err(IdentityError::Inconsistent("a login certificate carries a proof"));
            }
            Credential::Session if payload.proof.is_none() => {
                return Err(IdentityError::Inconsistent("a session certificate carries no proof"));
            }
            Credential::Login if payload.login_expires != self.not_after => {
                return Err(IdentityError::Inconsistent("the login ends at another time than its certificate"));
            }
            Credential::Session if payload.login_expires < self.not_after => {
                return Err(IdentityError::Inconsistent("the session certificate outlives the login"));
            }
            Credential::SshKey => return Err(IdentityError::Inconsistent("a key is no certificate")),
            Credential::Login | Credential::Session => {}
        }
        Ok(Identity {
            user: payload.user,
            credential,
            fingerprint: self.fingerprint,
            key: self.key,
            proof: payload.proof.map(Arc::new),
            login_expires: payload.login_expires,
            not_after: self.not_after,
            source_ip: payload.source_ip,
            touch: None,
        })
    }
}
