//! An identity: what a verified certificate says, and the proof that it was verified.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::Proof;

use crate::payload::Payload;
use crate::{IdentityError, limits};

/// Which certificate was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A login certificate: it says who somebody is, and opens nothing that requires a tap.
    Login,
    /// A session certificate: it carries a tap.
    Session,
}

impl Credential {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
        }
    }

    /// The longest life of such a certificate, from its issue.
    const fn life_max(self) -> Duration {
        match self {
            Self::Login => limits::LOGIN_MAX,
            Self::Session => limits::SESSION_MAX,
        }
    }
}

/// Somebody whose certificate one of our authorities signed, at a moment when it was valid. Only
/// [`Trust`](crate::Trust) makes one. That the peer holds the certificate's key is the handshake's to show,
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
}

impl Identity {
    /// Whose certificate it is.
    pub const fn user(&self) -> &UserName {
        &self.user
    }

    /// Which certificate it is.
    pub const fn credential(&self) -> Credential {
        self.credential
    }

    /// SHA-256 of the certificate.
    pub const fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo`, the same in both certificate formats.
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
        })
    }
}
