//! The software key: a file that acts as a security key, for tests and demos only.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use url::Url;
use webauthn_authenticator_rs::WebauthnAuthenticator as _;
use webauthn_authenticator_rs::softtoken::{SoftToken, SoftTokenFile};
use webauthn_rs_proto::{
    CreationChallengeResponse, PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse,
    UserVerificationPolicy,
};

use super::Solver;
use super::client_data::WithClientData;
use super::resident::Residents;
use crate::error::{Act as _, Failure, Result};

/// A security key in a file. Whoever can read the file can tap, which is why its choice is announced.
pub struct SoftwareKey {
    path: PathBuf,
}

impl SoftwareKey {
    /// The key in this file.
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Opens the file and holds it locked, so that two taps never count from the same number.
    fn open(&self, create: bool) -> Result<SoftTokenFile> {
        let act = || format!("the software key {} cannot be opened", self.path.display());
        let advice = "make one with tap enrol --software-key";
        let mut file: File = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .act(act)
            .map_err(|failure| failure.advise(advice))?;
        file.lock().act(act)?;
        let mut first = [0; 1];
        if create && file.read(&mut first).act(act)? == 0 {
            // The second argument says that the key also vouches for who is tapping.
            let (token, _attestation_ca) = SoftToken::new(true).act(act)?;
            return Ok(SoftTokenFile::new(token, file));
        }
        file.rewind().act(act)?;
        SoftTokenFile::open(file).act(act)
    }
}

impl Solver for SoftwareKey {
    fn authenticate(&mut self, origin: &Url, mut request: RequestChallengeResponse) -> Result<PublicKeyCredential> {
        let mut key = self.open(false)?;
        // As a key with a PIN does: what is preferred, it does.
        if request.public_key.user_verification == UserVerificationPolicy::Preferred {
            request.public_key.user_verification = UserVerificationPolicy::Required;
        }
        let nameless = request.public_key.allow_credentials.is_empty();
        let residents = nameless.then(|| Residents::beside(&self.path)).transpose()?;
        if let Some(residents) = &residents {
            residents.offer(&mut request.public_key)?;
        }
        let answer = WithClientData(&mut key).do_authentication(origin.clone(), request);
        let mut answer = answer.map_err(|error| refused(&error))?;
        if let Some(residents) = &residents {
            residents.sign(&mut answer)?;
        }
        Ok(answer)
    }

    fn register(
        &mut self,
        origin: &Url,
        mut request: CreationChallengeResponse,
    ) -> Result<RegisterPublicKeyCredential> {
        let mut key = self.open(true)?;
        let resident = Residents::wanted(&mut request);
        let (rp_id, user) = (request.public_key.rp.id.clone(), request.public_key.user.id.clone());
        let answer = WithClientData(&mut key).do_registration(origin.clone(), request);
        let answer = answer.map_err(|error| refused(&error))?;
        if resident {
            Residents::beside(&self.path)?.keep(rp_id, &answer.raw_id, &user)?;
        }
        Ok(answer)
    }
}

fn refused(error: &webauthn_authenticator_rs::error::WebauthnCError) -> Failure {
    Failure::new(format!("the software key did not answer: {error:?}"))
        .advise("is it the key that was enrolled with this gate?")
}
