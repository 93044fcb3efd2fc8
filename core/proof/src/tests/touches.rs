//! Touches of `sk-` SSH keys: what a touch is worth for exactly what it has signed.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use tapgate_model::{Digest, Kind, Login, TargetRef, TargetUid, UnixTime, UserName};

use crate::challenge::sha256;
use crate::{
    Algorithm, ExpectedTouch, Holder, Proof, ProofError, Purpose, SshKey, SshKeyError, SshTouch, Statement,
    StatementParts, StatementTarget, Uses, VerifiedTap, verify_touch,
};

const GATE: Digest = Digest::from_bytes([1; 32]);
const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const SESSION: [u8; 32] = [9; 32];

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn blob(pair: &Ed25519KeyPair, application: &str) -> Vec<u8> {
    [b"sk-ssh-ed25519@openssh.com".as_slice(), pair.public_key().as_ref(), application.as_bytes()].map(string).concat()
}

/// What the key signs when somebody logs in under this name, with these flags.
fn touch(pair: &Ed25519KeyPair, user: &str, flags: u8) -> SshTouch {
    let blob = blob(pair, "ssh:");
    let message = [
        string(&SESSION),
        vec![50],
        string(user.as_bytes()),
        string(b"ssh-connection"),
        string(b"publickey"),
        vec![1],
        string(b"sk-ssh-ed25519@openssh.com"),
        string(&blob),
    ];
    let state = [&[flags][..], &7_u32.to_be_bytes()].concat();
    let (application, message) = (sha256(&[b"ssh:"]), sha256(&[&message.concat()]));
    let signed = [application.as_bytes().as_slice(), &state, message.as_bytes()].concat();
    let signature = [pair.sign(&signed).as_ref(), &state].concat();
    SshTouch::new(&SESSION, user, &blob, &signature, "gate.example").unwrap()
}

fn parts() -> StatementParts {
    let target = TargetRef { kind: Kind::Node, name: "prod3".parse().unwrap(), uid: TargetUid::from_bytes([3; 16]) };
    StatementParts {
        gate: GATE,
        purpose: Purpose::Session,
        user: "jerry".parse().unwrap(),
        uses: Uses::Once,
        source_ip: None,
        action: None,
        targets: vec![StatementTarget {
            target,
            login: Login::Unix("root".parse().unwrap()),
            holder: Holder::SshSession(sha256(&[&SESSION])),
        }],
        created: NOW,
        expires: UnixTime::from_secs(1_800_000_060),
    }
}

fn verified(pair: &Ed25519KeyPair, proof: &Proof, user_verification: bool) -> Result<VerifiedTap, ProofError> {
    let key = SshKey::from_blob(&blob(pair, "ssh:")).unwrap();
    let user: UserName = "jerry".parse().unwrap();
    let expected =
        ExpectedTouch { key: &key, gate_name: "gate.example", gate: &GATE, user: &user, user_verification, at: NOW };
    verify_touch(proof, &expected)
}

#[test]
fn a_touch_proves_the_session_that_its_name_says() {
    let pair = Ed25519KeyPair::generate().unwrap();
    for (user, flags) in [("root@prod3", 1), ("root@prod3@gate.example", 5)] {
        let proof = touch(&pair, user, flags).proof(&Statement::new(parts()).unwrap());
        assert_eq!(Proof::from_der(&proof.to_der().unwrap()).as_ref(), Ok(&proof));
        assert!(proof.is_touch() && !proof.is_sso());
        let tap = verified(&pair, &proof, flags == 5).unwrap();
        assert!(tap.is_touch() && tap.sign_count() == 7 && tap.user_verified() == (flags == 5));
    }
}

#[test]
fn anything_else_is_refused() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let statement = Statement::new(parts()).unwrap();
    let good = touch(&pair, "root@prod3", 1).proof(&statement);
    assert_eq!(
        verified(&pair, &touch(&pair, "root@prod3", 0).proof(&statement), false).err(),
        Some(ProofError::UserPresence)
    );
    assert_eq!(verified(&pair, &good, true).err(), Some(ProofError::UserVerification));
    for user in ["root", "prod3", "root@prod4", "ann@prod3", "root@prod3@elsewhere", "root@prod3@", "x@root@prod3"] {
        assert!(verified(&pair, &touch(&pair, user, 1).proof(&statement), false).is_err(), "{user}");
    }
    let change = |change: &dyn Fn(&mut StatementParts)| {
        let mut parts = parts();
        change(&mut parts);
        verified(&pair, &touch(&pair, "root@prod3", 1).proof(&Statement::new(parts).unwrap()), false).is_err()
    };
    assert!(change(&|p| p.targets[0].holder = Holder::SshSession(GATE)), "another connection");
    assert!(change(&|p| p.targets[0].login = Login::Unix("ann".parse().unwrap())), "another login");
    assert!(change(&|p| p.uses = Uses::Window), "more than once");
    assert!(change(&|p| p.user = "ann".parse().unwrap()), "another user");
    assert!(change(&|p| p.gate = Digest::from_bytes([2; 32])), "another gate");
    let bend = |bend: &dyn Fn(&mut Proof)| {
        let mut proof = good.clone();
        bend(&mut proof);
        verified(&pair, &proof, false).is_err()
    };
    assert!(bend(&|p| p.random = [1; 32]) && bend(&|p| p.signature[3] ^= 1) && bend(&|p| p.credential_id[0] ^= 1));
    assert!(bend(&|p| p.authenticator_data[36] ^= 1), "another count");
    assert!(bend(&|p| p.client_data_json[4] ^= 1), "another connection's name");
    let other = Ed25519KeyPair::generate().unwrap();
    assert!(verified(&other, &good, false).is_err(), "another key");
}

#[test]
fn keys_are_read_in_one_form() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = SshKey::from_blob(&blob(&pair, "ssh:work")).unwrap();
    assert!(key.is_sk() && key.key().algorithm() == Algorithm::EdDsa && key.application() == Some("ssh:work"));
    assert_eq!(format!("{key} ann@laptop\n").parse(), Ok(key.clone()));
    // A page's key never passes as an SSH key.
    for application in ["gate.example", "localhost", ""] {
        let refused = SshKey::from_blob(&blob(&pair, application));
        assert!(matches!(refused, Err(SshKeyError::Application(_))), "{application}");
    }
    // Within a certificate it is the same key.
    let certificate = [
        string(b"sk-ssh-ed25519-cert-v01@openssh.com"),
        string(&[5; 32]),
        string(pair.public_key().as_ref()),
        string(b"ssh:work"),
        vec![0; 8],
    ];
    assert_eq!(SshKey::presented(&certificate.concat()), Ok(key.clone()));
    for bad in [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-dss AAAAB3NzaC1kc3MAAACBAA==",
        "ssh-ed25519 !",
        &format!("{key}\n{key}"),
    ] {
        assert!(bad.parse::<SshKey>().is_err(), "{bad}");
    }
    let cut = key.blob();
    assert!((0..cut.len()).all(|end| SshKey::from_blob(&cut[..end]).is_err()));
    assert!(SshKey::from_blob(&[cut, &[0]].concat()).is_err());
}
