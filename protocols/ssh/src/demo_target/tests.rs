//! Whom the demo target lets in.

use russh::keys::ssh_key::Algorithm;
use russh::keys::ssh_key::certificate::Builder;

use super::*;

const NOW: u64 = 1_800_000_000;

#[derive(Clone, Copy)]
struct Draft<'a> {
    ca: &'a PrivateKey,
    kind: CertType,
    name: &'a str,
    valid: (u64, u64),
    option: bool,
}

fn certificate(draft: Draft<'_>) -> Certificate {
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let mut builder = Builder::new(vec![7; 16], key.public_key(), draft.valid.0, draft.valid.1).unwrap();
    builder.cert_type(draft.kind).unwrap();
    builder.valid_principal(draft.name).unwrap();
    if draft.option {
        builder.critical_option("tapgate-session@tapgate", "x").unwrap();
    }
    builder.sign(draft.ca).unwrap()
}

#[test]
fn who_is_let_in() {
    let (ca, other) = (
        PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap(),
        PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap(),
    );
    let good = Draft { ca: &ca, kind: CertType::User, name: "root", valid: (NOW - 60, NOW + 60), option: false };
    for (draft, expect) in [
        (good, true),
        (Draft { ca: &other, ..good }, false),
        (Draft { kind: CertType::Host, ..good }, false),
        (Draft { name: "ann", ..good }, false),
        (Draft { valid: (NOW - 60, NOW), ..good }, false),
        (Draft { valid: (NOW + 1, NOW + 60), ..good }, false),
        (Draft { option: true, ..good }, false),
    ] {
        let vouched = vouches(ca.public_key(), &certificate(draft), "root", UnixTime::from_secs(NOW));
        assert_eq!(vouched, expect);
    }
}
