//! What a software key keeps for logins that name no credential: ids and user handles, in a file beside it.
//!
//! The library's key holds no such thing. A security key keeps it within itself, in the same few slots.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use webauthn_rs_proto::{
    AllowCredentials, CreationChallengeResponse, PublicKeyCredential, PublicKeyCredentialRequestOptions,
};

use crate::error::{Act as _, Failure, Result};
use crate::files;
use crate::keys::{from_base64, to_base64};
use crate::limits::RESIDENT_MAX;

/// The credentials that are kept.
pub(super) struct Residents {
    path: PathBuf,
    kept: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    rp_id: String,
    id: String,
    user: String,
}

impl Residents {
    /// Those beside the key in this file.
    pub(super) fn beside(key: &Path) -> Result<Self> {
        let mut name = key.as_os_str().to_owned();
        name.push(".resident");
        let path = std::path::absolute(PathBuf::from(name)).act(|| "the software key has no place".to_owned())?;
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).act(|| format!("{} cannot be read", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).act(|| format!("{} cannot be read", path.display())),
        };
        Ok(Self { path, kept })
    }

    /// Takes the wish out of the request, which the library's key would refuse, and answers whether it was there.
    pub(super) fn wanted(request: &mut CreationChallengeResponse) -> bool {
        let Some(chosen) = &mut request.public_key.authenticator_selection else { return false };
        chosen.resident_key = None;
        std::mem::take(&mut chosen.require_resident_key)
    }

    /// Keeps a new credential.
    pub(super) fn keep(mut self, rp_id: String, id: &[u8], user: &[u8]) -> Result<()> {
        if self.kept.len() >= RESIDENT_MAX {
            return Err(Failure::new("the software key has no room for another login without a password"));
        }
        self.kept.push(Kept { rp_id, id: to_base64(id), user: to_base64(user) });
        let text = serde_json::to_vec(&self.kept).act(|| "the software key cannot be written".to_owned())?;
        files::write_private(&self.path, &text)
    }

    /// Names the credentials of this relying party where the request names none.
    pub(super) fn offer(&self, options: &mut PublicKeyCredentialRequestOptions) -> Result<()> {
        let own = self.kept.iter().filter(|kept| kept.rp_id == options.rp_id);
        let named = |kept: &Kept| {
            Ok(AllowCredentials { type_: "public-key".to_owned(), id: from_base64(&kept.id)?, transports: None })
        };
        options.allow_credentials = own.map(named).collect::<Result<_>>()?;
        if options.allow_credentials.is_empty() {
            return Err(Failure::new("the software key has no login without a password for this gate")
                .advise("log in with a password, then add one with tap mfa add --passwordless"));
        }
        Ok(())
    }

    /// Says whose the credential is that has answered.
    pub(super) fn sign(&self, answer: &mut PublicKeyCredential) -> Result<()> {
        let id = to_base64(&answer.raw_id);
        if let Some(kept) = self.kept.iter().find(|kept| kept.id == id) {
            answer.response.user_handle = Some(from_base64(&kept.user)?);
        }
        Ok(())
    }
}
