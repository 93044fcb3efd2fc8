//! The bodies of the fuzz targets: whatever is read is written again as the same bytes, and nothing panics.

use tapgate_model::{Digest, UnixTime};

use crate::{
    CredentialKey, Expected, ExpectedSso, KnownParty, Proof, ProviderKey, Purpose, RelyingParty, SshKey, Statement,
    verify, verify_sso,
};

/// Reads a statement.
pub fn fuzz_statement(data: &[u8]) {
    let Ok(statement) = Statement::from_der(data) else { return };
    assert_eq!(statement.to_der(), data, "a statement has one encoding");
    assert_eq!(Statement::new(statement.parts().clone()).as_ref(), Ok(&statement));
    let lines = statement.describe();
    assert!(lines.iter().all(|line| !line.chars().any(char::is_control)), "{lines:?}");
}

/// Reads a proof and verifies it against a key that nobody has.
pub fn fuzz_proof(data: &[u8]) {
    let Ok(proof) = Proof::from_der(data) else { return };
    assert_eq!(proof.to_der().as_deref(), Ok(data), "a proof has one encoding");
    let (Ok(statement), Ok(key)) = (proof.statement(), CredentialKey::eddsa(&NOBODY)) else { return };
    let parts = statement.parts();
    let origins = ["https://tap.example.com", "http://localhost:3080"].map(str::to_owned).to_vec();
    let relying_party = KnownParty::from(RelyingParty { id: "tap.example.com".to_owned(), origins });
    let expected = Expected {
        key: &key,
        relying_party: &relying_party,
        gate: &parts.gate,
        purpose: parts.purpose,
        user: &parts.user,
        user_verification: false,
        at: parts.created,
    };
    assert!(verify(&proof, &expected).is_err(), "nobody signs with this key");
    if let Ok(token) = proof.id_token() {
        let provider = [ProviderKey { id: None, key: key.clone(), last_seen: parts.created }];
        let claims = token.claims();
        let expected = ExpectedSso {
            issuer: &claims.issuer,
            audience: claims.audience.first().map_or("", String::as_str),
            classes: &[],
            account: None,
            keys: &provider,
            gate: &parts.gate,
            purpose: parts.purpose,
            user: &parts.user,
            at: parts.created,
        };
        assert!(verify_sso(&proof, &expected).is_err(), "nobody signs with this key");
    }
    let expected = Expected {
        gate: &Digest::from_bytes([0; 32]),
        purpose: Purpose::Login,
        at: UnixTime::from_secs(0),
        ..expected
    };
    assert!(verify(&proof, &expected).is_err());
}

/// Reads what an SSH key signs, and the key itself.
pub fn fuzz_ssh(data: &[u8]) {
    crate::ssh::fuzz_message(data);
    if let Ok(key) = SshKey::from_blob(data) {
        assert_eq!(key.blob(), data, "a key has one encoding");
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    drop(SshKey::presented(data));
}

/// The public key of RFC 8032's first test; its secret is known, and no fuzzer signs with it by chance.
const NOBODY: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];
