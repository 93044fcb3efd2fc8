//! A security key on USB.

use std::thread;

use url::Url;
use webauthn_authenticator_rs::WebauthnAuthenticator as _;
use webauthn_authenticator_rs::ctap2::{CtapAuthenticator, select_one_token};
use webauthn_authenticator_rs::error::WebauthnCError;
use webauthn_authenticator_rs::transport::Transport as _;
use webauthn_authenticator_rs::types::{CableRequestType, CableState, EnrollSampleStatus};
use webauthn_authenticator_rs::ui::UiCallback;
use webauthn_authenticator_rs::usb::{USBToken, USBTransport};
use webauthn_rs_proto::{
    CreationChallengeResponse, PublicKeyCredential, RegisterPublicKeyCredential, RequestChallengeResponse,
};

use super::Solver;
use super::client_data::WithClientData;
use crate::cli::terminal;
use crate::error::{Act as _, Failure, Result};

/// Any security key that is plugged in.
pub struct UsbKey;

type Authenticator<'a> = CtapAuthenticator<'a, USBToken, Terminal>;

impl Solver for UsbKey {
    fn authenticate(&mut self, origin: &Url, request: RequestChallengeResponse) -> Result<PublicKeyCredential> {
        with_key(|key| WithClientData(key).do_authentication(origin.clone(), request))
    }

    fn register(&mut self, origin: &Url, request: CreationChallengeResponse) -> Result<RegisterPublicKeyCredential> {
        with_key(|key| WithClientData(key).do_registration(origin.clone(), request))
    }
}

/// Works with the key that is touched, or with the only one. The library blocks while its own
/// tasks read the device, so it gets a thread and a runtime of its own.
fn with_key<T: Send>(
    work: impl for<'a> FnOnce(&mut Authenticator<'a>) -> std::result::Result<T, WebauthnCError> + Send,
) -> Result<T> {
    let act = || "the security key cannot be reached".to_owned();
    let run = || -> Result<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().act(act)?;
        runtime.block_on(async {
            let transport = USBTransport::new().await.map_err(|error| Failure::new(format!("{}: {error:?}", act())))?;
            let tokens = transport.tokens().await.map_err(|error| Failure::new(format!("{}: {error:?}", act())))?;
            let mut keys = Vec::new();
            for token in tokens {
                keys.extend(CtapAuthenticator::new(token, &Terminal).await);
            }
            let key = if keys.len() > 1 { select_one_token(keys.iter_mut()).await } else { keys.first_mut() };
            let key = key.ok_or_else(|| Failure::new("no security key is plugged in").advise("plug one in"))?;
            work(key).map_err(|error| Failure::new(format!("the security key did not answer: {error:?}")))
        })
    };
    thread::scope(|scope| scope.spawn(run).join()).map_err(|_| Failure::new(act()))?
}

/// The terminal, as the library speaks to it.
#[derive(Debug)]
struct Terminal;

impl UiCallback for Terminal {
    fn request_pin(&self) -> Option<String> {
        terminal::secret("PIN of the security key: ").ok().map(|pin| pin.as_str().to_owned())
    }

    // That a tap is due has been said before the key was asked.
    fn request_touch(&self) {}

    fn processing(&self) {}

    fn fingerprint_enrollment_feedback(&self, _: u32, _: Option<EnrollSampleStatus>) {}

    fn cable_qr_code(&self, _: CableRequestType, _: String) {}

    fn dismiss_qr_code(&self) {}

    fn cable_status_update(&self, _: CableState) {}
}
