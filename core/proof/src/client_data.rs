//! What the browser says of the tap, read strictly.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;

use crate::{ProofError, RelyingParty};

/// The members that decide. Browsers may add others; one of these given twice is an error.
#[derive(serde::Deserialize)]
struct ClientData<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    challenge: Cow<'a, str>,
    #[serde(borrow)]
    origin: Cow<'a, str>,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
    /// Stands there only when the page was inside another site's.
    #[serde(rename = "topOrigin", default)]
    top_origin: Option<IgnoredAny>,
}

/// The client's data is of an authentication, with this challenge, asked for by the relying party itself.
pub(crate) fn check(json: &[u8], challenge: &[u8; 32], relying_party: &RelyingParty) -> Result<(), ProofError> {
    // The derived reader would take an array of the members as well; a browser writes an object.
    if json.first() != Some(&b'{') {
        return Err(ProofError::ClientData("not a JSON object".to_owned()));
    }
    let data: ClientData<'_> = serde_json::from_slice(json).map_err(|e| ProofError::ClientData(e.to_string()))?;
    if data.kind != "webauthn.get" {
        return Err(ProofError::Type);
    }
    if !relying_party.origins.iter().any(|origin| *origin == data.origin) {
        return Err(ProofError::Origin(data.origin.into_owned()));
    }
    if data.cross_origin || data.top_origin.is_some() {
        return Err(ProofError::CrossOrigin);
    }
    // 32 bytes make 43 characters without padding.
    let mut expected = [0; 43];
    let written = URL_SAFE_NO_PAD.encode_slice(challenge, &mut expected);
    if written == Ok(expected.len()) && data.challenge.as_bytes() == expected {
        Ok(())
    } else {
        Err(ProofError::Challenge)
    }
}
