//! A security key's state, and its count of taps: a key whose count goes backwards has a copy.

use tapgate_proof::Registration;
use webauthn_rs::prelude::{AuthenticationResult, SecurityKey};

use crate::{Authority, Fault, key, webauthn};

/// How often a lost compare-and-swap is tried again: as many taps of one key do not come at once.
const TRIES: usize = 8;

/// The key's state and the version of it.
pub(crate) fn load(authority: &Authority, registration: &Registration) -> Result<Option<(SecurityKey, u64)>, Fault> {
    let key = key::credential_state(&registration.user, &registration.credential_id);
    let Some(entry) = authority.store.get(&key, authority.now().as_secs())? else { return Ok(None) };
    let state: SecurityKey = serde_json::from_slice(&entry.value)?;
    let agrees = webauthn::credential_key(&state).is_some_and(|key| key == registration.key);
    if !agrees {
        let (user, name) = (&registration.user, &registration.name);
        authority
            .warn_once(format!("the stored state of the key \"{name}\" of {user} is another key's; it is not used"));
    }
    Ok(agrees.then_some((state, entry.version)))
}

/// Moves the count on. The library compared it with the count at the ceremony's begin; what counts
/// is the present one, so that of two copies tapped side by side only one gets on.
pub(crate) fn advance(
    authority: &Authority,
    registration: &Registration,
    result: &AuthenticationResult,
) -> Result<(), String> {
    for _ in 0..TRIES {
        let loaded = load(authority, registration).map_err(|fault| fault.to_string())?;
        let (mut state, version) = loaded.ok_or("the key's state is gone")?;
        let before = webauthn::counter(&state).ok_or("the key's state has no counter")?;
        if (before > 0 || result.counter() > 0) && result.counter() <= before {
            flag(authority, registration);
            return Err(webauthn::TapError::Cloned.to_string());
        }
        if state.update_credential(result) != Some(true) {
            return Ok(());
        }
        let key = key::credential_state(&registration.user, &registration.credential_id);
        let bytes = serde_json::to_vec(&state).map_err(|e| e.to_string())?;
        let now = authority.now().as_secs();
        if authority.store.cas(&key, Some(version), &bytes, None, now).map_err(|e| e.to_string())?.is_some() {
            return Ok(());
        }
    }
    Err("the key is tapped too often at once".to_owned())
}

/// Notes that a key has counted backwards: its owner sees it in the list of devices, the log has it, and it vouches
/// for no further key. It goes on tapping: which of the two is the copy nobody knows, and a thief must not take the
/// owner's own key away by using a copy of it.
pub(crate) fn flag(authority: &Authority, registration: &Registration) {
    let (user, name, now) = (&registration.user, &registration.name, authority.now());
    let key = key::flagged(user, &registration.credential_id);
    let noted = authority.store.put(&key, now.as_secs().to_string().as_bytes(), None);
    if let Err(error) = noted {
        tracing::error!(%error, "A key that counted backwards can't be noted");
    }
    authority.warn(format!("the key \"{name}\" of {user} counted backwards: there may be a copy of it"));
}

/// Whether the key has counted backwards; where that can't be read, it is taken to have.
pub(crate) fn is_flagged(authority: &Authority, registration: &Registration) -> bool {
    let key = key::flagged(&registration.user, &registration.credential_id);
    authority.store.get(&key, authority.now().as_secs()).map_or(true, |entry| entry.is_some())
}
