//! Host keys and host certificates, good and bad.

use russh::keys::ssh_key::certificate::Builder;
use russh::keys::ssh_key::{Algorithm, PrivateKey};

use super::*;

const NOW: u64 = 1_800_000_000;

fn key() -> PrivateKey {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap()
}

fn line(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

fn known(host_keys: &[&PrivateKey], host_ca: &[&PrivateKey]) -> KnownHost {
    let lines = |keys: &[&PrivateKey]| keys.iter().map(|key| line(key)).collect();
    let trust = NodeTrust { host_keys: lines(host_keys), host_ca: lines(host_ca), host: "192.0.2.7".to_owned() };
    KnownHost::new(&"web1".parse().unwrap(), &trust)
}

struct Draft<'a> {
    ca: &'a PrivateKey,
    kind: CertType,
    names: &'a [&'a str],
    valid: (u64, u64),
    option: bool,
}

fn certificate(host: &PrivateKey, draft: &Draft<'_>) -> PublicKeyOrCertificate {
    let mut builder = Builder::new(vec![7; 16], host.public_key(), draft.valid.0, draft.valid.1).unwrap();
    builder.cert_type(draft.kind).unwrap();
    for name in draft.names {
        builder.valid_principal(*name).unwrap();
    }
    if draft.names.is_empty() {
        builder.all_principals_valid().unwrap();
    }
    if draft.option {
        builder.critical_option("force-command", "true").unwrap();
    }
    PublicKeyOrCertificate::Certificate(builder.sign(draft.ca).unwrap())
}

fn plain(key: &PrivateKey) -> PublicKeyOrCertificate {
    PublicKeyOrCertificate::from(key.public_key().clone())
}

#[test]
fn pinned_keys() {
    let (host, other) = (key(), key());
    let now = UnixTime::from_secs(NOW);
    assert_eq!(known(&[&other, &host], &[]).verify(&plain(&host), now), Ok(()));
    assert_eq!(known(&[], &[]).verify(&plain(&host), now), Err(HostKeyError::NothingKnown));
    let fingerprint = fingerprint(host.public_key());
    assert_eq!(known(&[&other], &[]).verify(&plain(&host), now), Err(HostKeyError::OtherKey(fingerprint.clone())));
    assert_eq!(
        known(&[], &[&host]).verify(&plain(&host), now),
        Err(HostKeyError::OtherKey(fingerprint)),
        "an authority's key is no host key"
    );
}

#[test]
fn a_line_that_cannot_be_read_knows_nobody() {
    let trust = NodeTrust { host_keys: vec!["ssh-ed25519 AAAA".to_owned()], host_ca: vec![], host: String::new() };
    let known = KnownHost::new(&"web1".parse().unwrap(), &trust);
    assert_eq!(known.verify(&plain(&key()), UnixTime::from_secs(NOW)), Err(HostKeyError::NothingKnown));
}

#[test]
fn certificates() {
    let (host, ca, other) = (key(), key(), key());
    let known = known(&[], &[&ca]);
    let good = Draft { ca: &ca, kind: CertType::Host, names: &["web1"], valid: (NOW - 60, NOW + 60), option: false };
    let check = |draft: &Draft<'_>| known.verify(&certificate(&host, draft), UnixTime::from_secs(NOW));
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&Draft { names: &["other", "192.0.2.7"], ..good }), Ok(()));
    for (draft, expect) in [
        (Draft { ca: &other, ..good }, HostKeyError::OtherAuthority(fingerprint(other.public_key()))),
        (Draft { kind: CertType::User, ..good }, HostKeyError::NotHost),
        (Draft { names: &["web2"], ..good }, HostKeyError::OtherName),
        (Draft { names: &[], ..good }, HostKeyError::OtherName),
        (Draft { valid: (NOW - 60, NOW), ..good }, HostKeyError::Expired),
        (Draft { valid: (NOW + 1, NOW + 60), ..good }, HostKeyError::Expired),
        (Draft { option: true, ..good }, HostKeyError::Option),
    ] {
        assert_eq!(check(&draft), Err(expect));
    }
}
