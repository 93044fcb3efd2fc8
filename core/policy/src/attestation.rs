//! Whose hardware counts as such: the makers' authorities, and the models that an operator accepts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tapgate_model::Digest;

use crate::at::At;
use crate::limits::{AAGUIDS_MAX, ATTESTATION_CAS_MAX};
use crate::section::Section;

/// Whose hardware counts as such. Without anything here, nobody is asked who made a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attestation {
    /// The authorities whose word counts; where there is any, a key that none of them vouches for is refused.
    pub allowed: Vec<AttestationCa>,
    /// The authorities whose keys are refused.
    pub denied: Vec<AttestationCa>,
    /// The models (AAGUIDs) that are accepted; every one of the authorities' where there is none.
    pub aaguids: Vec<[u8; 16]>,
}

/// A maker's authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationCa {
    /// Its certificate, DER.
    pub der: Vec<u8>,
    /// The SHA-256 of that.
    pub sha256: Digest,
}

impl Attestation {
    /// Whether a new key is asked who made it.
    pub const fn is_asked_for(&self) -> bool {
        !self.allowed.is_empty() || !self.denied.is_empty()
    }

    /// Whether a key of this model, for which this authority vouched when it was registered, counts as attested
    /// hardware now: an authority or a model that is taken off the list takes its keys along.
    pub fn accepts(&self, aaguid: &[u8; 16], ca_sha256: &Digest) -> bool {
        let among = |list: &[AttestationCa]| list.iter().any(|ca| ca.sha256 == *ca_sha256);
        among(&self.allowed) && !among(&self.denied) && self.takes_model(aaguid)
    }

    /// Whether keys of this model are accepted.
    pub fn takes_model(&self, aaguid: &[u8; 16]) -> bool {
        self.aaguids.is_empty() || self.aaguids.contains(aaguid)
    }

    /// Reads the three fields of `webauthn`.
    pub(crate) fn read(webauthn: &Section<'_>) -> Self {
        let aaguids = webauthn.take("allowed_aaguids");
        let attestation = Self {
            allowed: authorities(webauthn.take("attestation_allowed_cas")),
            denied: authorities(webauthn.take("attestation_denied_cas")),
            aaguids: models(aaguids.as_ref()),
        };
        if let Some(at) = aaguids
            && attestation.allowed.is_empty()
        {
            at.problem("`allowed_aaguids` needs `attestation_allowed_cas`: without one, a key may claim any model");
        }
        attestation
    }
}

fn authorities(at: Option<At<'_>>) -> Vec<AttestationCa> {
    let Some(at) = at else { return Vec::new() };
    let items = at.one_or_more().unwrap_or_default();
    if items.len() > ATTESTATION_CAS_MAX {
        at.problem(format!("`{}` names more than {ATTESTATION_CAS_MAX} authorities", at.name()));
    }
    if items.is_empty() {
        at.problem(format!("`{}` is empty (name an authority, or remove it)", at.name()));
    }
    items.iter().take(ATTESTATION_CAS_MAX).filter_map(authority).collect()
}

fn authority(at: &At<'_>) -> Option<AttestationCa> {
    let der = pem(at.text()?);
    if der.is_none() {
        let what = "must be one certificate in PEM (write it here as a block: `- |` and the lines below, indented)";
        at.problem(format!("`{}` {what}", at.name()));
    }
    let der = der?;
    let sha256 = Digest::from_bytes(Sha256::digest(&der).into());
    Some(AttestationCa { der, sha256 })
}

/// The DER of a text that holds one certificate, and around it only what people write there.
fn pem(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, rest) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    // A certificate is a SEQUENCE with a length of two bytes, to the end.
    let whole = matches!(der.as_slice(), [0x30, 0x82, high, low, rest @ ..]
        if usize::from(u16::from_be_bytes([*high, *low])) == rest.len());
    (whole && !rest.contains("-----BEGIN")).then_some(der)
}

fn models(at: Option<&At<'_>>) -> Vec<[u8; 16]> {
    let Some(at) = at else { return Vec::new() };
    let items = at.one_or_more().unwrap_or_default();
    if items.len() > AAGUIDS_MAX {
        at.problem(format!("`allowed_aaguids` names more than {AAGUIDS_MAX} models"));
    }
    if items.is_empty() {
        at.problem("`allowed_aaguids` is empty (name a model, or remove it)");
    }
    items.iter().take(AAGUIDS_MAX).filter_map(model).collect()
}

fn model(at: &At<'_>) -> Option<[u8; 16]> {
    let text = at.text()?;
    let found = aaguid(text);
    if found.is_none() {
        at.problem("`allowed_aaguids`: a model is written like ee882879-721c-4913-9775-3dfcce97072a");
    }
    found
}

/// The sixteen bytes of a UUID's text.
fn aaguid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let digits: Vec<u8> =
        text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
    if groups == [8, 4, 4, 4, 12] { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_uuids() {
        let bytes = aaguid("0fb9bcbc-a0d4-4042-bbb0-559bc1631e28").unwrap();
        assert_eq!((bytes[0], bytes[15]), (0x0f, 0x28));
        for bad in [
            "",
            "0fb9bcbca0d44042bbb0559bc1631e28",
            "0fb9bcbc-a0d4-4042-bbb0-559bc1631e2",
            "0fb9bcbc-a0d4-4042-bbb0-559bc1631e2x",
        ] {
            assert_eq!(aaguid(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_taken_off_the_list_counts_no_more() {
        let ca = |n| AttestationCa { der: vec![n], sha256: Digest::from_bytes([n; 32]) };
        let lists = Attestation { allowed: vec![ca(1)], denied: vec![ca(2)], aaguids: vec![[7; 16]] };
        let accepts = |lists: &Attestation, aaguid, n| lists.accepts(&[aaguid; 16], &ca(n).sha256);
        assert!(accepts(&lists, 7, 1));
        assert!(!accepts(&lists, 8, 1) && !accepts(&lists, 7, 2) && !accepts(&lists, 7, 3));
        assert!(accepts(&Attestation { aaguids: Vec::new(), ..lists.clone() }, 8, 1));
        assert!(!accepts(&Attestation { denied: vec![ca(1)], ..lists.clone() }, 7, 1));
        assert!(!accepts(&Attestation { allowed: Vec::new(), ..lists }, 7, 1));
    }
}
