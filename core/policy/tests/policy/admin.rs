//! Administration: which rules let whom do what to resources.

use tapgate_policy::{Records, ResourceKind, Verb};

use crate::help::{policy, user};

const YAML: &str = "
kind: role
version: v8
metadata: {name: editor}
spec:
  allow:
    rules:
    - resources: [role, user]
      verbs: ['*']
    - resources: ['*']
      verbs: [list, read]
  deny:
    rules:
    - resources: user
      verbs: delete
---
kind: role
version: v8
metadata: {name: keeper}
spec: {allow: {rules: [{resources: [user], verbs: [delete]}]}}
---
kind: user
version: v2
metadata: {name: olga}
spec: {roles: [editor, keeper]}
---
kind: user
version: v2
metadata: {name: jerry}
spec: {roles: []}
";

#[test]
fn rules_allow_and_deny_rules_win() {
    let policy = policy(YAML);
    let may = |who: &str, kind, verb| policy.may_administer(&user(who), kind, verb);
    assert!(may("olga", ResourceKind::Role, Verb::Create));
    assert!(may("olga", ResourceKind::User, Verb::Update));
    assert!(may("olga", ResourceKind::Lock, Verb::List));
    assert!(!may("olga", ResourceKind::Lock, Verb::Create));
    assert!(!may("olga", ResourceKind::User, Verb::Delete), "another role's allow does not help");
    for kind in ResourceKind::ALL {
        for verb in [Verb::List, Verb::Read, Verb::Create, Verb::Update, Verb::Delete] {
            assert!(!may("jerry", kind, verb) && !may("nobody", kind, verb));
        }
    }
}

#[test]
fn events_and_sessions_are_seen_by_those_whose_rules_say_so() {
    let watcher = "---\nkind: role\nversion: v8\nmetadata: {name: watcher}\nspec: {allow: {rules: [{resources: [event], \
                   verbs: [list, read]}]}}\n---\nkind: user\nversion: v2\nmetadata: {name: ann}\nspec: {roles: [watcher]}\n";
    let policy = policy(&format!("{YAML}{watcher}"));
    let may = |who: &str, records| policy.may_see(&user(who), records, Verb::Read);
    assert!(may("ann", Records::Event) && !may("ann", Records::Session));
    assert!(may("olga", Records::Event) && may("olga", Records::Session), "`*` is all of them");
    assert!(!may("jerry", Records::Event) && !may("nobody", Records::Session));
}

#[test]
fn who_has_which_roles() {
    let policy = policy(YAML);
    let roles =
        |who| policy.roles_of(&user(who)).map(|roles| roles.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(roles("olga"), Some(vec!["editor".to_owned(), "keeper".to_owned()]));
    assert_eq!(roles("jerry"), Some(vec![]));
    assert_eq!(roles("nobody"), None);
    assert_eq!(policy.users().count(), 2);
}
