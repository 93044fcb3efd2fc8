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
};

use super::Solver;
use super::client_data::WithClientData;
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
    fn authenticate(&mut self, origin: &Url, request: RequestChallengeResponse) -> Result<PublicKeyCredential> {
        WithClientData(&mut self.open(false)?)
            .do_authentication(origin.clone(), request)
            .map_err(|error| refused(&error))
    }

    fn register(&mut self, origin: &Url, request: CreationChallengeResponse) -> Result<RegisterPublicKeyCredential> {
        WithClientData(&mut self.open(true)?).do_registration(origin.clone(), request).map_err(|error| refused(&error))
    }
}

fn refused(error: &webauthn_authenticator_rs::error::WebauthnCError) -> Failure {
    Failure::new(format!("the software key did not answer: {error:?}"))
        .advise("is it the key that was enrolled with this gate?")
}
