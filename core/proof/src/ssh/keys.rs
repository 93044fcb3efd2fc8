//! Which SSH keys count: those for which a device of their owner's has tapped.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use der::asn1::{OctetStringRef, Utf8StringRef};
use der::{Encode, Sequence};
use tapgate_model::{Digest, UnixTime, UserName};

use super::SshKey;
use crate::chain::ChainError;
use crate::challenge::sha256;
use crate::limits::REGISTRATIONS_MAX;
use crate::{Chained, Expected, KnownParty, Proof, Purpose, RelyingParty, verify};

/// A registered SSH key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshRegistration {
    /// Whose it is.
    pub user: UserName,
    /// The key.
    pub key: SshKey,
    /// What the user calls it.
    pub name: String,
    /// When it was registered.
    pub created: UnixTime,
    /// The tap that vouches for it: purpose add-device, action the registration's digest.
    pub proof: Proof,
}

#[derive(Sequence)]
struct WireSshRegistration<'a> {
    user: Utf8StringRef<'a>,
    key: &'a OctetStringRef,
}

impl SshRegistration {
    /// The digest that the tap signs; see [`SshRegistration::digest_of`].
    pub fn digest(&self) -> Digest {
        Self::digest_of(&self.user, &self.key)
    }

    /// `SHA-256("tapgate/ssh-key/v1" ‖ DER)`:
    ///
    /// ```text
    /// SshKey ::= SEQUENCE { user UTF8String, key OCTET STRING }     -- the key in SSH's wire form
    /// ```
    pub fn digest_of(user: &UserName, key: &SshKey) -> Digest {
        let der = Utf8StringRef::new(user.as_str())
            .and_then(|user| WireSshRegistration { user, key: OctetStringRef::new(key.blob())? }.to_der());
        // A user's name and a key have their limits, so that there always is an encoding.
        sha256(&[b"tapgate/ssh-key/v1", &der.unwrap_or_default()])
    }
}

/// The SSH keys that count; [`verify_ssh_keys`] alone makes one that is not empty.
#[derive(Debug, Clone, Default)]
pub struct SshKeys(HashMap<Digest, Arc<SshRegistration>>);

impl SshKeys {
    /// The registration of the key with this id.
    pub fn find(&self, id: &Digest) -> Option<&Arc<SshRegistration>> {
        self.0.get(id)
    }

    /// The user's registration of the key that is named so in a proof.
    pub fn credential(&self, user: &UserName, credential_id: &[u8]) -> Option<&Arc<SshRegistration>> {
        let id = Digest::from_bytes(credential_id.try_into().ok()?);
        self.find(&id).filter(|known| known.user == *user)
    }

    /// The user's keys, the oldest first.
    pub fn of(&self, user: &UserName) -> Vec<&Arc<SshRegistration>> {
        let mut own: Vec<_> = self.0.values().filter(|known| known.user == *user).collect();
        own.sort_by_key(|known| (known.created, known.key.id()));
        own
    }
}

/// Splits SSH keys into those that count and those that do not. A key counts for the user who registered it first, when
/// a device among `vouchers`, which may be one that was removed since, has tapped for it.
pub fn verify_ssh_keys(
    mut registrations: Vec<SshRegistration>,
    vouchers: &Chained,
    rp: &RelyingParty,
    gate: &Digest,
) -> (SshKeys, Vec<(SshRegistration, ChainError)>) {
    registrations.sort_by_cached_key(|registration| (registration.created, registration.digest()));
    let surplus = registrations.split_off(registrations.len().min(REGISTRATIONS_MAX));
    let mut refused: Vec<_> = surplus.into_iter().map(|surplus| (surplus, ChainError::TooMany)).collect();
    let (party, mut keys, mut taken) = (KnownParty::from(rp.clone()), HashMap::new(), HashSet::new());
    for registration in registrations {
        let id = registration.key.id();
        match vouched(&registration, vouchers, &party, gate) {
            Ok(()) if taken.insert(id) => drop(keys.insert(id, Arc::new(registration))),
            Ok(()) => refused.push((registration, ChainError::Duplicate)),
            Err(why) => refused.push((registration, why)),
        }
    }
    (SshKeys(keys), refused)
}

fn vouched(new: &SshRegistration, vouchers: &Chained, party: &KnownParty, gate: &Digest) -> Result<(), ChainError> {
    let voucher = vouchers.credential(&new.user, &new.proof.credential_id).ok_or(ChainError::NoVoucher)?;
    let expected = Expected {
        key: &voucher.key,
        relying_party: party,
        gate,
        purpose: Purpose::AddDevice,
        user: &new.user,
        user_verification: false,
        at: new.created,
    };
    let tap = verify(&new.proof, &expected)?;
    if tap.statement().parts().action == Some(new.digest()) { Ok(()) } else { Err(ChainError::OtherAction) }
}
