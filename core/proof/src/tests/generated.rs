//! Properties of statements that nobody thought of.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_assert_ne, prop_oneof, proptest};
use tapgate_model::{Digest, Login, LoginName, TargetName, TargetRef, TargetUid, UnixTime, UserName};

use crate::{Holder, Proof, Purpose, Statement, StatementParts, StatementTarget, Uses};

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn texts() -> impl Strategy<Value = Arc<str>> {
    "[a-zA-Z0-9:/#ä数 \"\\\\,\\[\\]]{1,40}".prop_map(Arc::from)
}

fn login_names() -> impl Strategy<Value = LoginName> {
    "[a-zA-Z0-9_$][a-zA-Z0-9._@+$-]{0,63}".prop_map(|text| text.parse().unwrap())
}

fn logins() -> impl Strategy<Value = Login> {
    prop_oneof![
        login_names().prop_map(Login::Unix),
        login_names().prop_map(Login::Desktop),
        Just(Login::App),
        (login_names(), option::of(texts())).prop_map(|(user, database)| Login::Db { user, database }),
        (texts(), vec(texts(), 0..5)).prop_map(|(user, groups)| Login::Kube { user, groups: groups.into() }),
    ]
}

fn holders() -> impl Strategy<Value = Holder> {
    prop_oneof![
        digests().prop_map(Holder::SessionKey),
        digests().prop_map(Holder::SshSession),
        digests().prop_map(Holder::TlsExporter),
        digests().prop_map(Holder::WebSession),
        (digests(), digests()).prop_map(|(session, connection)| Holder::WebConnection { session, connection }),
        (digests(), any::<IpAddr>()).prop_map(|(key, address)| Holder::LoginKey { key, address }),
    ]
}

fn targets() -> impl Strategy<Value = StatementTarget> {
    let names = "[a-z0-9_][a-z0-9._-]{0,60}".prop_map(|text| text.parse::<TargetName>().unwrap());
    (names, any::<[u8; 16]>(), logins(), holders()).prop_map(|(name, uid, login, holder)| {
        let target = TargetRef { kind: login.kind(), name, uid: TargetUid::from_bytes(uid) };
        StatementTarget { target, login, holder }
    })
}

fn statements() -> impl Strategy<Value = StatementParts> {
    let names = "[a-zA-Z0-9_@+][a-zA-Z0-9._@+-]{0,63}".prop_map(|text| text.parse::<UserName>().unwrap());
    let others = [Purpose::Login, Purpose::Admin, Purpose::AddDevice, Purpose::Statement];
    let deeds = prop_oneof![
        vec(targets(), 1..8).prop_map(|targets| (Purpose::Session, None, targets)),
        (proptest::sample::select(others.to_vec()), digests()).prop_map(|(purpose, action)| (
            purpose,
            Some(action),
            Vec::new()
        )),
    ];
    let uses = prop_oneof![Just(Uses::Once), Just(Uses::Window)];
    let times = (any::<u64>(), 1..=600_u64);
    (digests(), names, uses, option::of(any::<IpAddr>()), deeds, times).prop_map(
        |(gate, user, uses, source_ip, (purpose, action, targets), (created, span))| {
            let created = created.min(u64::MAX - span);
            let (created, expires) = (UnixTime::from_secs(created), UnixTime::from_secs(created + span));
            StatementParts { gate, purpose, user, uses, source_ip, action, targets, created, expires }
        },
    )
}

proptest! {
    #[test]
    fn a_statement_comes_back_from_its_bytes(parts in statements()) {
        let statement = Statement::new(parts).unwrap();
        let (read, again) = (Statement::from_der(statement.der()), Statement::new(statement.parts().clone()));
        prop_assert!(statement.describe().len() >= 2);
        prop_assert_eq!(read, Ok(statement.clone()));
        prop_assert_eq!(again, Ok(statement));
    }

    #[test]
    fn the_order_of_targets_does_not_matter(parts in statements(), turn in any::<usize>()) {
        let mut turned = parts.clone();
        if let Some(steps) = turn.checked_rem(turned.targets.len()) {
            turned.targets.rotate_left(steps);
        }
        prop_assert_eq!(Statement::new(parts), Statement::new(turned));
    }

    #[test]
    fn different_statements_have_different_challenges(one in statements(), other in statements(), random in any::<[u8; 32]>()) {
        let (one, other) = (Statement::new(one).unwrap(), Statement::new(other).unwrap());
        prop_assert_eq!(one == other, one.der() == other.der());
        if one != other {
            prop_assert_ne!(one.challenge(&random), other.challenge(&random));
        }
    }

    #[test]
    fn a_changed_byte_is_another_statement_or_none(parts in statements(), at in any::<usize>(), flip in 1..=255_u8) {
        let statement = Statement::new(parts).unwrap();
        let mut der = statement.to_der();
        let at = at % der.len();
        der[at] ^= flip;
        if let Ok(other) = Statement::from_der(&der) {
            prop_assert_ne!(&other, &statement);
            prop_assert_eq!(other.to_der(), der);
        }
    }

    #[test]
    fn a_proof_comes_back_from_its_bytes(
        random in any::<[u8; 32]>(),
        parts in [vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..300)],
        signature in vec(any::<u8>(), 0..300),
    ) {
        let [statement, credential_id, authenticator_data, client_data_json] = parts;
        let proof = Proof { random, statement, credential_id, authenticator_data, client_data_json, signature };
        let der = proof.to_der().unwrap();
        let read = Proof::from_der(&der).unwrap();
        prop_assert_eq!(read.id(), proof.id());
        prop_assert_eq!(read, proof);
    }
}
