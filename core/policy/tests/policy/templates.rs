//! Templates: a user's traits in a role's logins and labels.

use tapgate_model::{Kind, Login};
use tapgate_policy::{Decision, Policy};

use crate::help::{ask, logins, policy, terms};

const ROLE: &str = "
kind: role
version: v8
metadata: {name: own}
spec:
  allow:
    node_labels:
      team: ['{{external.team}}', shared]
    logins: ['{{internal.logins}}', 'ops-{{external.team}}', guest]
    db_labels: {'*': '*'}
    db_users: ['{{internal.db_users}}']
    db_names: ['{{external.db_names}}']
  deny:
    node_labels: {owner: '{{external.rival}}'}
---
";

fn with(traits: &str) -> Policy {
    policy(&format!(
        "{ROLE}kind: user\nversion: v2\nmetadata: {{name: jerry}}\nspec:\n  roles: [own]\n  traits: {{{traits}}}\n"
    ))
}

#[test]
fn logins_come_from_the_user() {
    let policy = with("logins: [jerry, root], team: [red, blue]");
    assert_eq!(logins(&policy, "jerry", Kind::Node, "team=red"), ["guest", "jerry", "ops-blue", "ops-red", "root"]);
    assert!(terms(&policy, "jerry", "team=blue", "root").is_some());
    assert!(terms(&policy, "jerry", "team=green", "root").is_none());
}

#[test]
fn a_trait_that_is_missing_stands_for_nothing() {
    let policy = with("");
    assert_eq!(logins(&policy, "jerry", Kind::Node, "team=shared"), ["guest"]);
    assert!(terms(&policy, "jerry", "team=red", "guest").is_none());
    assert!(terms(&policy, "jerry", "team=shared,owner=red", "guest").is_some());
}

#[test]
fn a_deny_reads_traits_too() {
    let policy = with("rival: red");
    assert!(terms(&policy, "jerry", "team=shared,owner=red", "guest").is_none());
    assert!(terms(&policy, "jerry", "team=shared,owner=blue", "guest").is_some());
}

#[test]
fn what_an_identity_provider_says_is_never_a_pattern_nor_a_bad_login() {
    let policy = with("team: ['*', '^.*$', 'a b', '-x']");
    assert!(terms(&policy, "jerry", "team=red", "guest").is_none());
    assert!(terms(&policy, "jerry", "team=*", "guest").is_some(), "the text itself is still equal to itself");
    assert_eq!(logins(&policy, "jerry", Kind::Node, "team=shared"), ["guest", "ops--x"]);
}

#[test]
fn an_administrator_may_write_every_database_user_and_a_provider_may_not() {
    let db = |database: &str| Login::Db { user: "app".parse().unwrap(), database: Some(database.into()) };
    let allowed = |traits, database| matches!(ask(&with(traits), "jerry", "a=b", &db(database)), Decision::Allow(_));
    assert!(allowed("db_users: '*', db_names: [shop]", "shop"));
    assert!(!allowed("db_users: '*', db_names: ['*']", "shop"));
    assert!(!allowed("db_users: [other], db_names: [shop]", "shop"));
}
