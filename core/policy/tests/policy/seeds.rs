//! Jerry and Olga: per-session MFA for one role, for everybody, and what a deny does to it.

use tapgate_model::Kind;
use tapgate_policy::{Decision, DenyReason, ResourceKind, SecondFactor, SessionMfa, parse};

use crate::help::{ask, labels, logins, policy, problems, terms, uid, unix, user};

const OLGA: &str = "\
# access-dev.yaml
kind: role
version: v7
metadata:
  name: access-dev
spec:
  allow:
    node_labels:
      env: dev
    logins:
      - jerry
---
# access-prod.yaml
kind: role
version: v7
metadata:
  name: access-prod
spec:
  options:
    # require per-session MFA for production access
    require_session_mfa: true
  allow:
    node_labels:
      env: prod
    logins:
      - jerry
  deny: {}

---
kind: user
version: v2
metadata:
  name: jerry
spec:
  roles: [access-dev, access-prod]
";

const CLUSTER_WIDE: &str = "
kind: cluster_auth_preference
metadata:
  name: cluster-auth-preference
spec:
  require_session_mfa: true
version: v2

";

const WITH_TYPE: &str = "\
kind: cluster_auth_preference
version: v2
metadata:
  name: cluster-auth-preference
spec:
  type: local
  second_factors: [\"webauthn\"]
  webauthn:
    rp_id: example.teleport.sh
  allow_cli_auth_via_browser: false # disable Browser MFA
";

const EXAMPLE: &str = "\
kind: role
version: v7
metadata:
  name: example-role-with-mfa
spec:
  options:
    # require per-session MFA for this role
    require_session_mfa: true
  allow:
    ...
  deny:
    ...
";

fn mfa(yaml: &str, on: &str, login: &str) -> Option<SessionMfa> {
    terms(&policy(yaml), "jerry", on, login).map(|terms| terms.session_mfa)
}

#[test]
fn production_asks_for_a_tap_and_development_does_not() {
    assert_eq!(mfa(OLGA, "env=dev", "jerry"), Some(SessionMfa::Off));
    assert_eq!(mfa(OLGA, "env=prod", "jerry"), Some(SessionMfa::Required));
    assert_eq!(mfa(OLGA, "env=prod", "root"), None);
    assert_eq!(mfa(OLGA, "env=test", "jerry"), None);
    assert_eq!(mfa(OLGA, "", "jerry"), None);
}

#[test]
fn cluster_wide_everything_asks_for_a_tap_and_nothing_more_is_open() {
    let yaml = format!("{OLGA}---{CLUSTER_WIDE}");
    assert_eq!(mfa(&yaml, "env=dev", "jerry"), Some(SessionMfa::Required));
    assert_eq!(mfa(&yaml, "env=prod", "jerry"), Some(SessionMfa::Required));
    assert_eq!(mfa(&yaml, "env=test", "jerry"), None);
    assert_eq!(policy(&yaml).preference().require_session_mfa, SessionMfa::Required);
}

#[test]
fn a_role_that_needs_no_tap_does_not_help_where_another_one_needs_it() {
    let lax = "
---
kind: role
version: v8
metadata: {name: lax}
spec:
  options: {require_session_mfa: no}
  allow: {logins: [jerry], node_labels: {'*': '*'}}
---
kind: user
version: v2
metadata: {name: olga}
spec: {roles: [lax, access-prod]}
";
    let policy = policy(&format!("{OLGA}{lax}"));
    let mfa = |on| terms(&policy, "olga", on, "jerry").map(|terms| terms.session_mfa);
    assert_eq!(mfa("env=prod"), Some(SessionMfa::Required));
    assert_eq!(mfa("env=dev"), Some(SessionMfa::Off));
}

#[test]
fn a_deny_of_any_role_closes_and_names_itself() {
    let yaml = format!("{}\n{}", OLGA.replace("deny: {}", "deny: {node_labels: {frozen: 'yes'}, logins: [root]}"), "");
    let policy = policy(&yaml);
    let denied = Decision::Deny(DenyReason::DeniedByRole("access-prod".parse().unwrap()));
    assert_eq!(ask(&policy, "jerry", "env=dev,frozen=yes", &unix("jerry")), denied);
    assert_eq!(ask(&policy, "jerry", "env=dev", &unix("root")), denied, "labels or login, either is enough");
    assert!(terms(&policy, "jerry", "env=dev,frozen=no", "jerry").is_some());
    assert_eq!(logins(&policy, "jerry", Kind::Node, "env=dev,frozen=yes"), Vec::<String>::new());
}

#[test]
fn nobody_else_is_let_in() {
    assert_eq!(ask(&policy(OLGA), "mallory", "env=dev", &unix("jerry")), Decision::Deny(DenyReason::NoSuchUser));
    assert_eq!(ask(&policy(OLGA), "jerry", "env=dev", &unix("Jerry")), Decision::Deny(DenyReason::NoMatchingRole));
    assert_eq!(logins(&policy(OLGA), "jerry", Kind::Node, "env=dev"), ["jerry"]);
    assert_eq!(logins(&policy(OLGA), "mallory", Kind::Node, "env=dev"), Vec::<String>::new());
}

#[test]
fn each_document_keeps_its_own_text() {
    let documents = parse("olga.yaml", OLGA).unwrap();
    let starts: Vec<_> = documents.iter().map(|d| (d.kind, d.name.to_string(), d.line)).collect();
    assert_eq!(
        starts,
        [
            (ResourceKind::Role, "access-dev".to_owned(), 1),
            (ResourceKind::Role, "access-prod".to_owned(), 13),
            (ResourceKind::User, "jerry".to_owned(), 30),
        ]
    );
    assert!(documents.iter().all(|document| OLGA.contains(&document.yaml)));
    assert!(documents.first().is_some_and(|document| document.yaml.starts_with("# access-dev.yaml\nkind: role\n")));
}

#[test]
fn the_preference_with_a_type_and_the_browser_off() {
    let policy = policy(WITH_TYPE);
    let preference = policy.preference();
    assert_eq!(preference.rp_id.as_deref(), Some("example.teleport.sh"));
    assert_eq!(preference.second_factors, [SecondFactor::WebAuthn]);
    assert_eq!((preference.allow_cli_auth_via_browser, preference.require_session_mfa), (false, SessionMfa::Off));
}

#[test]
fn placeholders_are_named_and_gone_the_block_loads() {
    assert_eq!(
        problems(EXAMPLE),
        [
            "test.yaml:9: `allow` still holds the placeholder `...` (write its fields, or remove it)",
            "test.yaml:11: `deny` still holds the placeholder `...` (write its fields, or remove it)",
        ]
    );
    let filled = EXAMPLE.replace("    ...\n", "");
    assert_eq!(problems(&filled), Vec::<String>::new());
}

#[test]
fn a_configuration_file_is_told_apart() {
    let yaml = "teleport:\n  auth_service:\n    local_auth: false\n    second_factors: [\"webauthn\"]\n";
    assert_eq!(
        problems(yaml),
        ["test.yaml:1: this is a configuration file, not a resource (put `second_factors` and `webauthn` into the \
          `spec` of a cluster_auth_preference)"]
    );
}

#[test]
fn an_explanation_for_each_role() {
    let policy = policy(OLGA);
    let explain = |on: &str, login: &str| {
        let name = "prod3".parse().unwrap();
        let said = policy.explain(&user("jerry"), Kind::Node, &name, &uid(), &labels(on), &unix(login));
        said.into_iter().map(|(role, says)| format!("{role} {says}")).collect::<Vec<_>>()
    };
    assert_eq!(
        explain("env=prod", "jerry"),
        ["access-dev does not concern it: its `allow` wants env: dev", "access-prod allows it, after a tap"]
    );
    assert_eq!(
        explain("env=dev", "root"),
        [
            "access-dev concerns it, but not under the login `root`: it has jerry",
            "access-prod does not concern it: its `allow` wants env: prod"
        ]
    );
}
