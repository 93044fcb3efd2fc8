//! Databases, clusters, applications and desktops; role versions; label patterns.

use std::sync::Arc;

use rstest::rstest;
use tapgate_model::{Kind, Login};
use tapgate_policy::{Decision, Policy};

use crate::help::{ask, logins, policy, terms};

const USER: &str = "\n---\nkind: user\nversion: v2\nmetadata: {name: jerry}\nspec: {roles: [a, b]}\n";

fn two(a: &str, b: &str) -> Policy {
    let role = |name: &str, spec: &str| {
        format!("kind: role\nversion: v8\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n---\n")
    };
    policy(&(role("a", a) + &role("b", b) + USER))
}

fn open(policy: &Policy, login: &Login) -> bool {
    matches!(ask(policy, "jerry", "env=prod", login), Decision::Allow(_))
}

fn db(user: &str, database: Option<&str>) -> Login {
    Login::Db { user: user.parse().unwrap(), database: database.map(Arc::from) }
}

fn kube(user: &str, groups: &[&str]) -> Login {
    Login::Kube { user: user.into(), groups: groups.iter().map(|&group| Arc::from(group)).collect() }
}

#[test]
fn one_role_must_grant_a_databases_user_and_name() {
    let policy = two(
        "allow: {db_labels: {env: prod}, db_users: [app], db_names: [shop]}",
        "allow: {db_labels: {env: prod}, db_users: [admin], db_names: ['*']}, deny: {db_names: [secret]}",
    );
    assert!(open(&policy, &db("app", Some("shop"))));
    assert!(!open(&policy, &db("app", Some("other"))));
    assert!(open(&policy, &db("app", None)), "a protocol without database names asks for none");
    assert!(open(&policy, &db("admin", Some("other"))));
    assert!(!open(&policy, &db("admin", Some("secret"))));
    assert_eq!(logins(&policy, "jerry", Kind::Db, "env=prod"), ["admin", "app"]);
}

#[test]
fn every_database_user_is_shown_as_a_star() {
    let policy = two("allow: {db_labels: {env: prod}, db_users: ['*']}", "deny: {db_users: [postgres]}");
    assert!(open(&policy, &db("any", None)) && !open(&policy, &db("postgres", None)));
    assert_eq!(logins(&policy, "jerry", Kind::Db, "env=prod"), ["*"]);
    assert_eq!(logins(&policy, "jerry", Kind::Db, "env=dev"), Vec::<String>::new());
}

#[test]
fn a_clusters_user_and_groups_may_come_from_several_roles() {
    let policy = two(
        "allow: {kubernetes_labels: {env: prod}, kubernetes_groups: [view, system:masters]}",
        "allow: {kubernetes_labels: {env: prod}, kubernetes_users: [dev], kubernetes_groups: [edit]}, \
         deny: {kubernetes_groups: ['system:masters']}",
    );
    assert!(open(&policy, &kube("jerry", &["view"])), "a role that names no user gives the user's own name");
    assert!(open(&policy, &kube("dev", &["edit", "view"])));
    assert!(!open(&policy, &kube("dev", &["edit", "admin"])));
    assert!(!open(&policy, &kube("root", &["view"])));
    assert!(!open(&policy, &kube("jerry", &["system:masters", "view"])));
    assert_eq!(logins(&policy, "jerry", Kind::KubeCluster, "env=prod"), ["dev[edit,view]", "jerry[edit,view]"]);
    assert_eq!(logins(&policy, "jerry", Kind::KubeCluster, "env=dev"), Vec::<String>::new());
}

#[test]
fn applications_and_desktops() {
    let policy = two(
        "allow: {app_labels: {env: prod}, windows_desktop_labels: {env: prod}, windows_desktop_logins: [ann]}",
        "deny: {windows_desktop_logins: [Administrator]}",
    );
    assert!(open(&policy, &Login::App));
    assert!(open(&policy, &Login::Desktop("ann".parse().unwrap())));
    assert!(!open(&policy, &Login::Desktop("bob".parse().unwrap())));
    assert_eq!(logins(&policy, "jerry", Kind::App, "env=prod"), ["-"]);
    assert_eq!(logins(&policy, "jerry", Kind::App, "env=dev"), Vec::<String>::new());
    assert_eq!(logins(&policy, "jerry", Kind::WindowsDesktop, "env=prod"), ["ann"]);
}

#[rstest]
#[case("env: prod", "env=prod", true)]
#[case("env: prod", "env=dev", false)]
#[case("env: prod", "", false)]
#[case("env: [prod, dev]", "env=dev", true)]
#[case("env: prod, os: linux", "env=prod", false)]
#[case("env: prod, os: linux", "env=prod,os=linux,more=1", true)]
#[case("env: '*'", "env=anything", true)]
#[case("env: '*'", "os=linux", false)]
#[case("'*': '*'", "", true)]
#[case("'*': ['*']", "a=b", true)]
#[case("host: 'web-*'", "host=web-12", true)]
#[case("host: 'web-*'", "host=db-1", false)]
#[case("env: '^test|staging$'", "env=staging", true)]
#[case("env: '^(test|staging)-[0-9]+$'", "env=test-12", true)]
#[case("env: '^(test|staging)-[0-9]+$'", "env=test-x", false)]
#[case("", "env=prod", false)]
fn labels_and_patterns(#[case] selector: &str, #[case] on: &str, #[case] want: bool) {
    let allow = two(&format!("allow: {{logins: [jerry], node_labels: {{{selector}}}}}"), "");
    assert_eq!(terms(&allow, "jerry", on, "jerry").is_some(), want);
    let every = "allow: {logins: [jerry], node_labels: {'*': '*'}}";
    let deny = two(every, &format!("deny: {{node_labels: {{{selector}}}}}"));
    assert_eq!(terms(&deny, "jerry", on, "jerry").is_none(), want);
}

#[test]
fn only_the_oldest_version_reaches_everything_when_labels_are_left_out() {
    for version in ["v3", "v4", "v5", "v6", "v7", "v8"] {
        let yaml =
            format!("kind: role\nversion: {version}\nmetadata: {{name: a}}\nspec: {{allow: {{logins: [jerry]}}}}\n");
        let policy = policy(&(yaml + &USER.replace("[a, b]", "[a]")));
        assert_eq!(terms(&policy, "jerry", "env=prod", "jerry").is_some(), version == "v3");
        assert_eq!(open(&policy, &Login::App), version == "v3");
        assert!(terms(&policy, "jerry", "env=prod", "root").is_none());
    }
}
