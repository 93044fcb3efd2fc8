//! Who made a new key: its maker's word, followed to an authority that the operator named.

use serde_json::json;
use tapgate_model::Digest;
use tapgate_policy::{Attestation, AttestationCa};
use tapgate_proof::{Attested, Registration};
use webauthn_rs::prelude::{
    AttestationCa as Ca, AttestationCaList, AttestationMetadata, AttestedPasskey, SecurityKey, WebauthnError,
};

use crate::{Authority, Fault};

/// Why a key's maker does not do; for the person who holds the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unattested {
    #[error("the maker of this key is not accepted here")]
    Denied,
    #[error("nobody whose word counts here vouches for this key (passkeys of a platform have no maker's word)")]
    Untrusted,
    #[error("keys of this model are not accepted here")]
    Model,
    #[error("the gate's list of makers can't be read")]
    List,
}

impl Authority {
    /// Who vouches for the new key, where the operator asks; a key that is not to be had here is refused.
    pub(crate) fn attested(&self, key: &SecurityKey) -> Result<Option<Attested>, Fault> {
        let state = self.state.load();
        judge(&state.policy.preference().attestation, key).map_err(|why| {
            tracing::info!(%why, "A key was refused for its maker");
            match why {
                Unattested::List => Fault::internal(why),
                _ => Fault::invalid(why.to_string(), "use a security key that your administrator names"),
            }
        })
    }

    /// Whether a new key is asked who made it.
    pub(crate) fn asks_for_makers(&self) -> bool {
        self.state.load().policy.preference().attestation.is_asked_for()
    }

    /// Whether a maker whose word counts now has vouched for the key.
    pub(crate) fn is_attested(&self, registration: &Registration) -> bool {
        let state = self.state.load();
        let lists = &state.policy.preference().attestation;
        registration.traits.attested.as_ref().is_some_and(|by| lists.accepts(&by.aaguid, &by.ca_sha256))
    }
}

/// The maker's word for a key, weighed against the operator's lists. That its signature is right, over this very
/// credential, was verified when the key answered.
pub(crate) fn judge(lists: &Attestation, key: &SecurityKey) -> Result<Option<Attested>, Unattested> {
    if !lists.is_asked_for() {
        return Ok(None);
    }
    // The library follows the chain for keys of this type alone; both are the same within.
    let within = serde_json::to_value(key).map_err(|_| Unattested::List)?;
    let key: AttestedPasskey = serde_json::from_value(within).map_err(|_| Unattested::List)?;
    if !lists.denied.is_empty() && key.verify_attestation(&list(&lists.denied)?).is_ok() {
        return Err(Unattested::Denied);
    }
    if lists.allowed.is_empty() {
        return Ok(None);
    }
    let allowed = list(&lists.allowed)?;
    let ca = key.verify_attestation(&allowed).map_err(|error| refused(&error))?;
    let aaguid = match &key.attestation().metadata {
        AttestationMetadata::Packed { aaguid } | AttestationMetadata::Tpm { aaguid, .. } => *aaguid.as_bytes(),
        // Keys older than the models' numbers: they have none, and pass where none is asked for.
        _ => [0; 16],
    };
    if !lists.takes_model(&aaguid) {
        return Err(Unattested::Model);
    }
    let digest = ca.get_kid().map_err(|_| Unattested::List)?;
    let bytes = <[u8; 32]>::try_from(digest.as_slice()).map_err(|_| Unattested::List)?;
    Ok(Some(Attested { aaguid, ca_sha256: Digest::from_bytes(bytes) }))
}

fn refused(error: &WebauthnError) -> Unattested {
    tracing::debug!(%error, "An attestation leads to no authority of the list");
    Unattested::Untrusted
}

/// The authorities as the library reads them: each for all of its models, which are looked at apart.
pub(crate) fn list(authorities: &[AttestationCa]) -> Result<AttestationCaList, Unattested> {
    let mut list = AttestationCaList::default();
    for authority in authorities {
        let ca = json!({ "ca": crate::token::to_text(&authority.der), "aaguids": {}, "blanket_allow": true });
        let ca: Ca = serde_json::from_value(ca).map_err(|_| Unattested::List)?;
        list.insert(ca).map_err(|_| Unattested::List)?;
    }
    Ok(list)
}
