//! A registered credential, and what links it to an administrator whom the operator trusts.

use der::Encode;
use der::Sequence;
use der::asn1::{OctetStringRef, Utf8StringRef};
use tapgate_model::{Digest, UnixTime, UserName};

use crate::challenge::sha256;
use crate::traits::WireTraits;
use crate::wire::Octets;
use crate::{CredentialKey, Proof, Traits, bytes};

/// A registered credential.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Whose it is.
    pub user: UserName,
    /// Its id.
    #[serde(with = "bytes")]
    pub credential_id: Vec<u8>,
    /// Its public key.
    pub key: CredentialKey,
    /// What the user calls it.
    pub name: String,
    /// When it was registered.
    pub created: UnixTime,
    /// Why it counts.
    pub link: Link,
    /// What else is true of it.
    #[serde(default, skip_serializing_if = "Traits::are_plain")]
    pub traits: Traits,
}

/// Why a registration counts: each but the first kind leads to another registration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Link {
    /// The configuration pins its digest.
    Pinned,
    /// An administrator tapped for an invite, and the user came with it.
    Invite {
        /// The invite.
        invite: Invite,
        /// The administrator's tap: purpose admin, action the invite's digest.
        proof: Proof,
        /// The administrator.
        admin: UserName,
    },
    /// The user tapped for it with another device.
    Device {
        /// The tap: purpose add-device, action the registration's digest.
        proof: Proof,
    },
}

/// An administrator's word that a user may register a first device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Who is invited.
    pub user: UserName,
    /// The digest of the token that the user brings.
    pub token_sha256: Digest,
    /// The SHA-256 of the administrator's request, which also says what roles a new user gets.
    pub request_sha256: Digest,
    /// When it was made.
    pub created: UnixTime,
    /// The last moment at which it can be used.
    pub expires: UnixTime,
}

#[derive(Sequence)]
struct WireRegistration<'a> {
    user: Utf8StringRef<'a>,
    credential_id: &'a OctetStringRef,
    key: Utf8StringRef<'a>,
}

/// The same of a credential with traits.
#[derive(Sequence)]
struct WireRegistrationV2<'a> {
    user: Utf8StringRef<'a>,
    credential_id: &'a OctetStringRef,
    key: Utf8StringRef<'a>,
    traits: WireTraits,
}

#[derive(Sequence)]
struct WireInvite<'a> {
    user: Utf8StringRef<'a>,
    token_sha256: Octets<32>,
    request_sha256: Octets<32>,
    created: u64,
    expires: u64,
}

impl Registration {
    /// The digest of what a tap must vouch for, `SHA-256("tapgate/registration/v1" ‖ DER)`:
    ///
    /// ```text
    /// Registration ::= SEQUENCE { user UTF8String, credentialId OCTET STRING, key UTF8String }
    /// ```
    ///
    /// Where the credential has traits, `SHA-256("tapgate/registration/v2" ‖ DER)` of the same with a fourth
    /// member, `traits Traits`. Name, time and link are not part of it.
    pub fn digest(&self) -> Digest {
        let key = self.key.to_string();
        let der = (|| {
            let (user, key) = (Utf8StringRef::new(self.user.as_str())?, Utf8StringRef::new(&key)?);
            let credential_id = OctetStringRef::new(&self.credential_id)?;
            if self.traits.are_plain() {
                return WireRegistration { user, credential_id, key }.to_der();
            }
            WireRegistrationV2 { user, credential_id, key, traits: WireTraits::from(&self.traits) }.to_der()
        })();
        let domain: &[u8] =
            if self.traits.are_plain() { b"tapgate/registration/v1" } else { b"tapgate/registration/v2" };
        // An id that is too long to be encoded is refused wherever a digest is relied on.
        sha256(&[domain, &der.unwrap_or_default()])
    }

    /// The digest by which the configuration pins a first administrator's credential.
    pub fn pin(&self) -> Digest {
        self.digest()
    }
}

impl Invite {
    /// The digest that the administrator's tap signs, `SHA-256("tapgate/invite/v1" ‖ DER)`:
    ///
    /// ```text
    /// Invite ::= SEQUENCE { user UTF8String, tokenSha256 OCTET STRING, requestSha256 OCTET STRING,
    ///                       created INTEGER, expires INTEGER }
    /// ```
    pub fn digest(&self) -> Digest {
        let der = Utf8StringRef::new(self.user.as_str()).and_then(|user| {
            let (created, expires) = (self.created.as_secs(), self.expires.as_secs());
            let (token_sha256, request_sha256) = (self.token_sha256.into(), self.request_sha256.into());
            WireInvite { user, token_sha256, request_sha256, created, expires }.to_der()
        });
        // A user name has at most 64 characters, so that there always is an encoding.
        sha256(&[b"tapgate/invite/v1", &der.unwrap_or_default()])
    }
}
