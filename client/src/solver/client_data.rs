//! The client data that a key signs, written as browsers write it: an origin has no final slash.

use serde::Serialize;
use url::Url;
use webauthn_authenticator_rs::error::WebauthnCError;
use webauthn_authenticator_rs::{AuthenticatorBackend, AuthenticatorBackendHashedClientData};
use webauthn_rs_proto::{
    PublicKeyCredential, PublicKeyCredentialCreationOptions, PublicKeyCredentialRequestOptions,
    RegisterPublicKeyCredential,
};

use crate::keys::{sha256, to_base64};

/// A key that gets its client data from us. The library's own has the origin as a URL, with a
/// slash at its end, which no verifier that compares origins accepts.
pub(super) struct WithClientData<'a, T>(pub(super) &'a mut T);

impl<T: AuthenticatorBackendHashedClientData> AuthenticatorBackend for WithClientData<'_, T> {
    fn perform_register(
        &mut self,
        origin: Url,
        options: PublicKeyCredentialCreationOptions,
        timeout_ms: u32,
    ) -> Result<RegisterPublicKeyCredential, WebauthnCError> {
        let json = client_data("webauthn.create", options.challenge.as_slice(), &origin)?;
        let hash = sha256(&json).as_bytes().to_vec();
        let mut answer = self.0.perform_register(hash, options, timeout_ms)?;
        answer.response.client_data_json = json;
        Ok(answer)
    }

    fn perform_auth(
        &mut self,
        origin: Url,
        options: PublicKeyCredentialRequestOptions,
        timeout_ms: u32,
    ) -> Result<PublicKeyCredential, WebauthnCError> {
        let json = client_data("webauthn.get", options.challenge.as_slice(), &origin)?;
        let hash = sha256(&json).as_bytes().to_vec();
        let mut answer = self.0.perform_auth(hash, options, timeout_ms)?;
        answer.response.client_data_json = json;
        Ok(answer)
    }
}

/// The members in the order that `WebAuthn` level 2, section 5.8.1.1, prescribes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientData<'a> {
    r#type: &'a str,
    challenge: String,
    origin: String,
    cross_origin: bool,
}

fn client_data(kind: &str, challenge: &[u8], origin: &Url) -> Result<Vec<u8>, WebauthnCError> {
    let origin = origin.origin().ascii_serialization();
    let data = ClientData { r#type: kind, challenge: to_base64(challenge), origin, cross_origin: false };
    serde_json::to_vec(&data).map_err(|_| WebauthnCError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_browser_writes_it() {
        let check = |origin: &str, expect: &str| {
            let json = client_data("webauthn.get", &[0xfb, 0xff], &Url::parse(origin).unwrap()).unwrap();
            let expect =
                format!(r#"{{"type":"webauthn.get","challenge":"-_8","origin":"{expect}","crossOrigin":false}}"#);
            assert_eq!(String::from_utf8(json).unwrap(), expect);
        };
        check("https://localhost:3080", "https://localhost:3080");
        check("https://gate.example.com:443/x", "https://gate.example.com");
    }
}
