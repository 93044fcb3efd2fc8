//! The one encoding: what it is to the byte, and what else is refused.

use der::asn1::UintRef;
use der::{Decode, Encode, Sequence};
use tapgate_model::{Digest, Kind, Login, TargetUid, UnixTime};

use super::{NOW, RANDOM, at, everything, node, parts, rp};
use crate::testing::SoftKey;
use crate::wire::WireTarget;
use crate::{
    CredentialKey, Holder, KeyError, Proof, ProofError, Purpose, Statement, StatementError, StatementParts,
    StatementTarget, Uses, limits,
};

fn made(parts: StatementParts) -> Result<(), StatementError> {
    Statement::new(parts).map(drop)
}

fn der(parts: StatementParts) -> Vec<u8> {
    Statement::new(parts).unwrap().to_der()
}

/// A SEQUENCE with this content, its length in the short form or in one or two bytes.
fn sequence(content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let header: &[u8] = match (high, low) {
        (0, 0..0x80) => &[0x30, low],
        (0, _) => &[0x30, 0x81, low],
        _ => &[0x30, 0x82, high, low],
    };
    [header, content].concat()
}

fn content(der: &[u8]) -> &[u8] {
    match der[1] {
        0x82 => &der[4..],
        0x81 => &der[3..],
        _ => &der[2..],
    }
}

/// The statement with the first occurrence of these bytes in its content replaced.
fn bent(der: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let content = content(der);
    let start = content.windows(from.len()).position(|window| window == from).expect("the bytes occur");
    sequence(&[&content[..start], to, &content[start + from.len()..]].concat())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn the_encoding_is_pinned_to_the_byte() {
    let statement = Statement::new(parts()).unwrap();
    let expected = concat!(
        "308189",
        "020101",
        "04200707070707070707070707070707070707070707070707070707070707070707",
        "0a0100",
        "0c056a65727279",
        "0a0101",
        "30493047",
        "041003030303030303030303030303030303",
        "0c046e6f6465",
        "0c0570726f6433",
        "8004726f6f74",
        "80200909090909090909090909090909090909090909090909090909090909090909",
        "02046b00472d",
        "02046b004859",
    );
    assert_eq!(hex(statement.der()), expected);
    // From outside of this crate: python3, hashlib.sha256(b"tapgate/tap/v1" + b"\x05" * 32 + sha256(der)).
    let challenge = "fdd673fb3aa2966fd08e392fad5e5f1351500e4dfd3f768ffda50856a3a48192";
    assert_eq!(hex(&statement.challenge(&RANDOM)), challenge);
}

#[test]
fn everything_that_a_statement_can_hold_comes_back() {
    for parts in everything() {
        let statement = Statement::new(parts).unwrap();
        assert_eq!(Statement::from_der(&statement.to_der()).as_ref(), Ok(&statement));
        assert_eq!(Statement::new(statement.parts().clone()).as_ref(), Ok(&statement));
    }
}

#[test]
fn what_a_person_reads() {
    let lines = |parts| Statement::new(parts).unwrap().describe();
    let when = "from 2026-11-20T13:12:13Z until 2026-11-20T13:17:13Z";
    let window = format!("as often as needed, {when}");
    assert_eq!(lines(parts()), ["jerry: open sessions", "Node \"prod3\" as root, for this session key only", &window]);
    let all = everything().swap_remove(1);
    let mut described = lines(all);
    described[1..8].sort();
    assert_eq!(
        described,
        [
            "jerry: open sessions",
            "Application \"wiki\", for this browser session only",
            "Database \"orders\" as app, database \"Ordérs \\\"2\\\"\", for this TLS connection only",
            "Database \"orders\" as app, for ANY connection with your login key from 192.0.2.7",
            "Desktop \"win1\" as ann, for this session key only",
            "Kubernetes cluster \"blue\" as \"dev\", groups [\"system:masters\", \"view\"], for this SSH connection only",
            "Kubernetes cluster \"blue\" as \"https://issuer#jerry\", for this session key only",
            "Node \"prod3\" as root, for this session key only",
            "only from 2001:db8::1",
            &window,
        ]
    );
    let admin = StatementParts {
        purpose: Purpose::Admin,
        action: Some(Digest::from_bytes([8; 32])),
        targets: Vec::new(),
        ..parts()
    };
    let action = format!("action sha256:{}", "08".repeat(32));
    assert_eq!(lines(admin), ["jerry: make an administrator's change", &action, &format!("once, {when}")]);
    let names = [Purpose::Session, Purpose::Login, Purpose::Admin, Purpose::AddDevice, Purpose::Statement];
    assert_eq!(names.map(|purpose| purpose.to_string()), ["session", "login", "admin", "add-device", "statement"]);
}

#[test]
fn order_and_forms_do_not_change_the_bytes() {
    let targets = vec![node("a", "root"), node("b", "root"), node("a", "ann")];
    let reversed = targets.iter().rev().cloned().collect();
    assert_eq!(der(StatementParts { targets, ..parts() }), der(StatementParts { targets: reversed, ..parts() }));

    let from = |address: &str| StatementParts { source_ip: Some(address.parse().unwrap()), ..parts() };
    assert_eq!(der(from("::ffff:192.0.2.1")), der(from("192.0.2.1")));

    let kube = |groups: &[&str]| {
        let mut target = node("blue", "root");
        target.target.kind = Kind::KubeCluster;
        let groups = groups.iter().copied().map(Into::into).collect();
        target.login = Login::Kube { user: "dev".into(), groups };
        StatementParts { targets: vec![target], ..parts() }
    };
    assert_eq!(der(kube(&["view", "edit", "view"])), der(kube(&["edit", "view"])));
}

#[test]
fn the_rules_of_a_statement() {
    let digest = Some(Digest::from_bytes([8; 32]));
    let none = StatementParts { targets: Vec::new(), ..parts() };
    assert_eq!(made(none.clone()), Err(StatementError::NoTarget));
    assert_eq!(made(StatementParts { action: digest, ..parts() }), Err(StatementError::UnwantedAction));
    for purpose in [Purpose::Admin, Purpose::AddDevice, Purpose::Statement] {
        let bare = StatementParts { purpose, ..none.clone() };
        assert_eq!(made(bare.clone()), Err(StatementError::NoAction(purpose)));
        assert_eq!(made(StatementParts { action: digest, ..bare }), Ok(()));
    }
    for purpose in [Purpose::Login, Purpose::Admin, Purpose::AddDevice] {
        let targeted = StatementParts { purpose, action: digest, ..parts() };
        assert_eq!(made(targeted), Err(StatementError::UnwantedTarget(purpose)));
    }
    for action in [None, digest] {
        assert_eq!(made(StatementParts { purpose: Purpose::Login, action, ..none.clone() }), Ok(()));
    }
    for (created, expires, verdict) in [
        (NOW, at(1), Ok(())),
        (NOW, at(600), Ok(())),
        (NOW, at(601), Err(StatementError::Span)),
        (NOW, NOW, Err(StatementError::Span)),
        (at(1), NOW, Err(StatementError::Span)),
        (UnixTime::from_secs(0), UnixTime::from_secs(u64::MAX), Err(StatementError::Span)),
        (UnixTime::from_secs(u64::MAX - 1), UnixTime::from_secs(u64::MAX), Ok(())),
    ] {
        assert_eq!(made(StatementParts { created, expires, ..parts() }), verdict, "{created} {expires}");
    }
}

#[test]
fn the_rules_of_targets() {
    let with = |targets| made(StatementParts { targets, ..parts() });
    assert_eq!(with(vec![node("a", "root"), node("b", "root"), node("a", "root")]), Err(StatementError::Duplicate));
    let mut other_holder = node("a", "root");
    other_holder.holder = Holder::SshSession(Digest::from_bytes([9; 32]));
    assert_eq!(with(vec![node("a", "root"), other_holder]), Ok(()));

    let many = |count: usize| (0..count).map(|n| node(&format!("n{n}"), "root")).collect::<Vec<_>>();
    assert_eq!(with(many(limits::TARGETS_MAX)), Ok(()));
    assert_eq!(with(many(limits::TARGETS_MAX + 1)), Err(StatementError::TooMany));
    let long = (0..limits::TARGETS_MAX).map(|n| node(&format!("{n:0200}"), "root")).collect();
    assert!(matches!(with(long), Err(StatementError::TooLong(_))));

    let login = |kind, login| {
        let mut target = node("a", "root");
        (target.target.kind, target.login) = (kind, login);
        with(vec![target])
    };
    assert!(matches!(login(Kind::Db, Login::App), Err(StatementError::LoginKind { .. })));
    let database = |name: &str| login(Kind::Db, Login::Db { user: "a".parse().unwrap(), database: Some(name.into()) });
    let kube = |user: &str, groups: &[&str]| {
        let groups = groups.iter().copied().map(Into::into).collect();
        login(Kind::KubeCluster, Login::Kube { user: user.into(), groups })
    };
    assert_eq!(database("Ünïcode 数据 ; DROP"), Ok(()));
    for bad in ["", "a\nb", "a\u{1b}[2J", "abc\u{202e}cba", "a\u{200b}", "a\u{2066}b", "\u{feff}", &"x".repeat(257)] {
        assert_eq!(database(bad), Err(StatementError::Text("a database's name")), "{bad:?}");
        assert_eq!(kube(bad, &[]), Err(StatementError::Text("a Kubernetes user's name")), "{bad:?}");
        assert_eq!(kube("dev", &["view", bad]), Err(StatementError::Text("a Kubernetes group's name")), "{bad:?}");
    }
    assert_eq!(kube("dev", &["view"; limits::GROUPS_MAX + 1]), Err(StatementError::TooMany));
}

#[test]
fn whatever_is_not_the_one_encoding_is_refused() {
    let der = der(StatementParts { source_ip: Some("192.0.2.1".parse().unwrap()), ..parts() });
    let refused = |bytes: &[u8]| Statement::from_der(bytes).expect_err("refused");
    assert_eq!(
        Statement::from_der(&bent(&der, b"jerry", b"jenny")).map(|s| s.parts().user.to_string()),
        Ok("jenny".into())
    );

    for length in 0..der.len() {
        assert!(matches!(refused(&der[..length]), StatementError::Encoding(_)));
    }
    assert!(matches!(refused(&[&der[..], b"\0"].concat()), StatementError::Encoding(_)));
    assert_eq!(refused(&vec![0x30; limits::STATEMENT_MAX + 1]), StatementError::TooLong(limits::STATEMENT_MAX + 1));
    assert_eq!(refused(&bent(&der, &[2, 1, 1], &[2, 1, 2])), StatementError::Version(2));
    assert_eq!(refused(&bent(&der, &[2, 1, 1], &[2, 1, 0])), StatementError::Version(0));

    let cases: [(&str, Vec<u8>); 13] = [
        ("a longer length than needed", [&[0x30, 0x82, 0][..], &der[2..]].concat()),
        ("no length", [&[0x30, 0x80][..], content(&der), &[0, 0]].concat()),
        ("a longer integer than needed", bent(&der, &[2, 1, 1], &[2, 2, 0, 1])),
        ("a negative integer", bent(&der, &[2, 1, 1], &[2, 1, 0x81])),
        ("an unknown purpose", bent(&der, &[0x0a, 1, 0], &[0x0a, 1, 5])),
        ("a purpose as an integer", bent(&der, &[0x0a, 1, 0], &[2, 1, 0])),
        ("another string type", bent(&der, b"\x0c\x05jerry", b"\x16\x05jerry")),
        ("a long length in a string", bent(&der, b"\x0c\x05jerry", b"\x0c\x81\x05jerry")),
        ("an address of three bytes", bent(&der, &[0x80, 4, 192, 0, 2, 1], &[0x80, 3, 192, 0, 2])),
        ("a short digest", bent(&der, &[&[4, 32][..], &[7; 32]].concat(), &[&[4, 31][..], &[7; 31]].concat())),
        ("an unknown holder", bent(&der, &[0x80, 32, 9], &[0x85, 32, 9])),
        ("no text", bent(&der, b"\x0c\x05jerry", b"\x0c\x05jerr\xff")),
        ("a field too many", sequence(&[content(&der), &[2, 1, 0]].concat())),
    ];
    for (what, bytes) in cases {
        assert!(matches!(refused(&bytes), StatementError::Encoding(_)), "{what}: {:?}", refused(&bytes));
    }
    assert!(matches!(refused(&bent(&der, b"jerry", b"je,ry")), StatementError::Name(_)));
    assert!(matches!(refused(&bent(&der, b"\x04node", b"\x04nope")), StatementError::Kind(_)));
    assert!(matches!(refused(&bent(&der, &[0x0a, 1, 0], &[0x0a, 1, 1])), StatementError::UnwantedTarget(_)));

    let mapped = [&[0x80, 16][..], &[0; 10], &[0xff, 0xff, 192, 0, 2, 1]].concat();
    assert_eq!(refused(&bent(&der, &[0x80, 4, 192, 0, 2, 1], &mapped)), StatementError::NotCanonical);
}

#[test]
fn unsorted_and_repeated_targets_and_groups_are_refused() {
    let encoded = |target: &StatementTarget| WireTarget::new(target).unwrap().to_der().unwrap();
    let two =
        Statement::new(StatementParts { targets: vec![node("a", "root"), node("b", "root")], ..parts() }).unwrap();
    let [first, second] = [0, 1].map(|n| encoded(&two.parts().targets[n]));
    assert!(first < second);
    let both = [&first[..], &second].concat();
    let swapped = bent(two.der(), &both, &[&second[..], &first].concat());
    assert_eq!(Statement::from_der(&swapped), Err(StatementError::NotCanonical));
    let repeated = bent(two.der(), &both, &[&first[..], &first].concat());
    assert_eq!(Statement::from_der(&repeated), Err(StatementError::Duplicate));

    let mut target = node("blue", "root");
    target.target.kind = Kind::KubeCluster;
    target.login = Login::Kube { user: "dev".into(), groups: ["aa".into(), "bb".into()].into() };
    let groups = der(StatementParts { targets: vec![target], ..parts() });
    for other in [b"\x0c\x02bb\x0c\x02aa", b"\x0c\x02aa\x0c\x02aa"] {
        let bent = bent(&groups, b"\x0c\x02aa\x0c\x02bb", other);
        assert_eq!(Statement::from_der(&bent), Err(StatementError::NotCanonical));
    }
}

#[test]
fn a_proof_has_one_encoding() {
    let key = SoftKey::generate();
    let proof = key.tap(&Statement::new(parts()).unwrap(), RANDOM, &rp());
    let der = proof.to_der().unwrap();
    assert_eq!(Proof::from_der(&der).as_ref(), Ok(&proof));
    let refused = |bytes: &[u8]| Proof::from_der(bytes).expect_err("refused");
    for length in 0..der.len() {
        assert!(matches!(refused(&der[..length]), ProofError::Encoding(_)));
    }
    assert!(matches!(refused(&[&der[..], b"\0"].concat()), ProofError::Encoding(_)));
    assert!(matches!(refused(&sequence(&[content(&der), b"\x04\0"].concat())), ProofError::Encoding(_)));
    assert!(matches!(refused(&bent(&der, &[2, 1, 1], &[2, 2, 0, 1])), ProofError::Encoding(_)));
    assert_eq!(refused(&bent(&der, &[2, 1, 1], &[2, 1, 3])), ProofError::Version(3));
    let max = limits::PROOF_MAX;
    assert_eq!(refused(&vec![0; max + 1]), ProofError::TooLong { what: "the proof", length: max + 1, max });
    let octets = |bytes: &[u8]| [&[4, u8::try_from(bytes.len()).unwrap()][..], bytes].concat();
    let high = bent(&der, &octets(&proof.signature), &octets(&twin(&proof.signature)));
    assert_eq!(refused(&high), ProofError::NotCanonical);
    let largest = Proof {
        random: RANDOM,
        statement: vec![1; limits::STATEMENT_MAX],
        credential_id: vec![2; limits::CREDENTIAL_ID_MAX],
        authenticator_data: vec![3; limits::AUTHENTICATOR_DATA_MAX],
        client_data_json: vec![4; limits::CLIENT_DATA_MAX],
        signature: vec![5; limits::SIGNATURE_MAX],
    };
    let encoded = largest.to_der().unwrap();
    assert!(encoded.len() <= limits::PROOF_MAX);
    assert_eq!(Proof::from_der(&encoded), Ok(largest));
}

#[test]
fn json_holds_bytes_as_base64url() {
    let key = SoftKey::generate();
    let proof = key.tap(&Statement::new(parts()).unwrap(), RANDOM, &rp());
    let json = serde_json::to_value(&proof).unwrap();
    assert_eq!(json["random"], "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU");
    assert_eq!(serde_json::from_value::<Proof>(json.clone()).unwrap(), proof);
    for (member, bad) in [("random", "BQU"), ("statement", "a+b/"), ("signature", "AA=="), ("surplus", "AA")] {
        let mut bent = json.clone();
        bent[member] = bad.into();
        assert!(serde_json::from_value::<Proof>(bent).is_err(), "{member}");
    }
}

#[test]
fn keys_have_one_text_and_bad_ones_are_refused() {
    for key in [SoftKey::generate(), SoftKey::generate_eddsa(), SoftKey::generate_rs256()] {
        let text = key.key().to_string();
        assert!(text.starts_with(key.key().algorithm().as_str()));
        assert_eq!(text.parse().as_ref(), Ok(key.key()));
        let json = serde_json::to_string(key.key()).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(&serde_json::from_str::<CredentialKey>(&json).unwrap(), key.key());
        for bad in [format!("{text}="), text.replace(':', ""), text.to_uppercase(), format!("{text}AAAA")] {
            assert!(bad.parse::<CredentialKey>().is_err(), "{bad}");
        }
    }
    let point = SoftKey::generate().key().as_bytes().to_vec();
    let (x, y) = (&point[1..33], &point[33..]);
    assert!(CredentialKey::es256(x, y).is_ok());
    assert!(matches!(CredentialKey::es256(y, x), Err(KeyError::Rejected(_))), "not on the curve");
    assert!(matches!(CredentialKey::es256(&[0; 32], &[0; 32]), Err(KeyError::Rejected(_))));
    assert!(matches!(CredentialKey::es256(&x[1..], y), Err(KeyError::Length(_))));
    assert!(matches!(CredentialKey::eddsa(&point[..31]), Err(KeyError::Length(_))));

    let modulus = |length: usize| [vec![0xc1; length - 1], vec![0x01]].concat();
    assert!(CredentialKey::rs256(&modulus(256), &[1, 0, 1]).is_ok());
    assert_eq!(
        CredentialKey::rs256(&[&[0, 0][..], &modulus(256)].concat(), &[0, 1, 0, 1]),
        CredentialKey::rs256(&modulus(256), &[1, 0, 1])
    );
    for length in [0, 128, 255, 513, 100_000] {
        let n = if length == 0 { Vec::new() } else { modulus(length) };
        assert_eq!(CredentialKey::rs256(&n, &[1, 0, 1]), Err(KeyError::Modulus));
    }
    for e in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert_eq!(CredentialKey::rs256(&modulus(256), e), Err(KeyError::Exponent), "{e:?}");
    }
}

#[derive(Sequence)]
struct Ecdsa<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The other form of an ECDSA signature, computed digit by digit in another way than the crate does.
pub(super) fn twin(signature: &[u8]) -> Vec<u8> {
    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let Ecdsa { r, s } = Ecdsa::from_der(signature).unwrap();
    let order = (0..64).step_by(2).map(|n| i32::from(u8::from_str_radix(&ORDER[n..n + 2], 16).unwrap()));
    let mut s = s.as_bytes().iter().rev().map(|byte| i32::from(*byte)).chain(std::iter::repeat(0));
    let mut carry = 0;
    let mut low_first = Vec::new();
    for digit in order.rev() {
        let difference = digit - s.next().unwrap() + carry;
        low_first.push(u8::try_from(difference.rem_euclid(256)).unwrap());
        carry = difference.div_euclid(256);
    }
    let bytes: Vec<u8> = low_first.into_iter().rev().collect();
    Ecdsa { r, s: UintRef::new(&bytes).unwrap() }.to_der().unwrap()
}

#[test]
fn only_ecdsa_signatures_of_the_curve_have_a_twin() {
    let key = SoftKey::generate();
    let low = key.tap(&Statement::new(parts()).unwrap(), RANDOM, &rp()).signature;
    assert_eq!(*crate::signature::one_form(&low), *low);
    assert_eq!(*crate::signature::one_form(&twin(&low)), *low);
    assert_eq!(twin(&twin(&low)), low);
    let huge = sequence(&[&[2, 1, 1, 2, 33, 0][..], &[0xff; 32]].concat());
    let long = sequence(&[&[2, 1, 1, 2, 34, 1][..], &[0xff; 33]].concat());
    for other in [&b""[..], &[7; 64], &[0x30; 256], &huge, &long] {
        assert_eq!(*crate::signature::one_form(other), *other);
    }
}

#[test]
fn a_uid_is_not_a_name() {
    let mut again = parts();
    again.targets[0].target.uid = TargetUid::from_bytes([4; 16]);
    assert_ne!(der(again), der(parts()));
    assert_ne!(der(StatementParts { uses: Uses::Once, ..parts() }), der(parts()));
}
