//! Locks: what each target of one strikes, and when it ends.

use std::time::Duration;

use rstest::rstest;
use tapgate_model::{Login, UnixTime};
use tapgate_policy::{Decision, DenyReason, Policy};

use crate::help::{NOW, ask_at, policy, unix, user};

const BASE: &str = "
kind: role
version: v8
metadata: {name: all}
spec:
  allow:
    node_labels: {'*': '*'}
    logins: [jerry, root]
    db_labels: {'*': '*'}
    db_users: [jerry]
---
kind: role
version: v8
metadata: {name: more}
spec: {}
---
kind: user
version: v2
metadata: {name: jerry}
spec: {roles: [all, more]}
---
kind: user
version: v2
metadata: {name: olga}
spec: {roles: [all]}
---
";

fn locked(spec: &str) -> Policy {
    policy(&format!("{BASE}kind: lock\nversion: v2\nmetadata: {{name: stop}}\nspec:\n  message: call Olga\n{spec}"))
}

fn struck(policy: &Policy, who: &str, name: &str, login: &Login, now: UnixTime) -> bool {
    match ask_at(policy, who, (name, ""), login, now) {
        Decision::Deny(DenyReason::Locked(lock)) => lock.as_str() == "stop",
        Decision::Allow(_) => false,
        other @ Decision::Deny(_) => panic!("{other:?}"),
    }
}

#[rstest]
#[case("user: jerry", [true, false, true, true])]
#[case("role: more", [true, false, true, true])]
#[case("role: all", [true, true, true, true])]
#[case("login: root", [true, true, false, false])]
#[case("login: jerry", [false, false, true, true])]
#[case("node: prod3", [true, true, false, false])]
#[case("target: node/prod3", [true, true, false, false])]
#[case("target: db/shop", [false, false, false, true])]
#[case("windows_desktop: prod3", [false, false, false, false])]
#[case("target: '07070707070707070707070707070707'", [true, true, true, true])]
#[case("user: nobody", [false, false, false, false])]
fn what_a_lock_strikes(#[case] target: &str, #[case] want: [bool; 4]) {
    let policy = locked(&format!("  target: {{{target}}}\n"));
    let shop = Login::Db { user: "jerry".parse().unwrap(), database: None };
    let got = [
        struck(&policy, "jerry", "prod3", &unix("root"), NOW),
        struck(&policy, "olga", "prod3", &unix("root"), NOW),
        struck(&policy, "jerry", "dev1", &unix("jerry"), NOW),
        struck(&policy, "jerry", "shop", &shop, NOW),
    ];
    assert_eq!(got, want);
}

#[test]
fn a_lock_ends_at_its_second() {
    let policy = locked("  target: {user: jerry}\n  expires: '2026-11-20T13:12:00Z'\n");
    assert!(struck(&policy, "jerry", "prod3", &unix("root"), NOW.minus(Duration::from_secs(1))));
    assert!(!struck(&policy, "jerry", "prod3", &unix("root"), NOW));
    assert_eq!(policy.lock_on(&user("jerry"), NOW), None);
    let before = policy.lock_on(&user("jerry"), UnixTime::from_secs(0)).unwrap();
    assert_eq!((before.message.as_deref(), policy.locks().count()), (Some("call Olga"), 1));
    assert_eq!(policy.lock(&"stop".parse().unwrap()).map(|lock| lock.expires), Some(Some(NOW)));
}

#[test]
fn a_lock_comes_before_every_role() {
    let deny = "kind: role\nversion: v8\nmetadata: {name: no}\nspec: {deny: {node_labels: {'*': '*'}}}\n---\n";
    let base = BASE.replace("roles: [all]", "roles: [all, no]");
    let lock = "kind: lock\nversion: v2\nmetadata: {name: stop}\nspec: {target: {user: olga}}\n";
    let policy = policy(&format!("{base}{deny}{lock}"));
    assert!(struck(&policy, "olga", "prod3", &unix("root"), NOW));
    assert_eq!(policy.lock_on(&user("jerry"), NOW), None);
}
