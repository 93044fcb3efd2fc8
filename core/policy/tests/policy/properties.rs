//! What must hold for every policy: deny wins, roles only add, a tap asked for once is asked for always.

use proptest::prelude::*;
use tapgate_model::Login;
use tapgate_policy::{Decision, DenyReason, Policy, SessionMfa, Terms};

use crate::help::{ask, policy, unix};

/// A role as the properties vary it: its sides as YAML, and its options.
#[derive(Debug, Clone)]
struct Sketch {
    allow: String,
    deny: String,
    options: String,
}

const LABELS: [&str; 7] =
    ["{}", "{'*': '*'}", "{env: prod}", "{env: [dev, prod]}", "{env: 'p*'}", "{team: a, env: '*'}", "{env: '^d.*$'}"];
const LOGINS: [&str; 5] = ["[]", "[jerry]", "[root]", "[jerry, root]", "['{{internal.logins}}']"];
const OPTIONS: [&str; 6] = [
    "",
    "require_session_mfa: yes",
    "require_session_mfa: hardware_key",
    "session_mfa_window: 1m",
    "max_session_ttl: 1h, client_idle_timeout: 5m",
    "disconnect_expired_cert: true, in_band: sk",
];
const TARGETS: [&str; 5] = ["", "env=prod", "env=dev", "env=prod,team=a", "team=b"];

fn asks() -> impl Strategy<Value = (&'static str, Login)> {
    let kube = |user: &str, groups: &[&str]| Login::Kube {
        user: user.into(),
        groups: groups.iter().map(|&group| group.into()).collect(),
    };
    let logins = vec![
        unix("jerry"),
        unix("root"),
        unix("own"),
        Login::App,
        kube("jerry", &["view"]),
        kube("root", &["jerry", "view"]),
        Login::Db { user: "jerry".parse().unwrap(), database: Some("root".into()) },
    ];
    (prop::sample::select(TARGETS.to_vec()), prop::sample::select(logins))
}

fn side() -> impl Strategy<Value = String> {
    let (labels, logins) = (prop::sample::select(LABELS.to_vec()), prop::sample::select(LOGINS.to_vec()));
    (labels, logins).prop_map(|(labels, logins)| {
        format!(
            "{{node_labels: {labels}, logins: {logins}, app_labels: {labels}, db_labels: {labels}, db_users: {logins}, \
             db_names: {logins}, kubernetes_labels: {labels}, kubernetes_users: {logins}, kubernetes_groups: [view]}}"
        )
    })
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let deny = prop_oneof![3 => Just("{}".to_owned()), 1 => side()];
    (side(), deny, prop::sample::select(OPTIONS.to_vec())).prop_map(|(allow, deny, options)| Sketch {
        allow,
        deny,
        options: options.to_owned(),
    })
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    // From nine roles on they are found by an index.
    prop_oneof![2 => prop::collection::vec(sketch(), 0..5), 1 => prop::collection::vec(sketch(), 9..14)]
}

fn build(sketches: &[Sketch]) -> Policy {
    let role = |(n, Sketch { allow, deny, options }): (usize, &Sketch)| {
        format!(
            "kind: role\nversion: v8\nmetadata: {{name: r{n}}}\nspec:\n  options: {{{options}}}\n  allow: {allow}\n  \
             deny: {deny}\n---\n"
        )
    };
    let roles: String = sketches.iter().enumerate().map(role).collect();
    let names: Vec<_> = (0..sketches.len()).map(|n| format!("r{n}")).collect();
    let spec = format!("spec: {{roles: [{}], traits: {{logins: [own]}}}}\n", names.join(", "));
    policy(&format!("{roles}kind: user\nversion: v2\nmetadata: {{name: jerry}}\n{spec}"))
}

fn terms(decision: &Decision) -> Option<Terms> {
    match decision {
        Decision::Allow(terms) => Some(*terms),
        Decision::Deny(_) => None,
    }
}

fn decide(sketches: &[Sketch], (on, login): &(&str, Login)) -> Option<Terms> {
    terms(&ask(&build(sketches), "jerry", on, login))
}

fn with(sketches: &[Sketch], more: Sketch) -> Vec<Sketch> {
    sketches.iter().cloned().chain([more]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_deny_always_wins(roles in sketches(), denier in sketch(), ask in asks()) {
        let denier_alone = Sketch { allow: "{}".to_owned(), ..denier };
        let alone = crate::help::ask(&build(std::slice::from_ref(&denier_alone)), "jerry", ask.0, &ask.1);
        if matches!(alone, Decision::Deny(DenyReason::DeniedByRole(_))) {
            prop_assert_eq!(decide(&with(&roles, denier_alone), &ask), None);
        }
    }

    #[test]
    fn a_role_without_deny_never_takes_away(roles in sketches(), more in sketch(), ask in asks()) {
        let more = Sketch { deny: "{}".to_owned(), ..more };
        if decide(&roles, &ask).is_some() {
            prop_assert!(decide(&with(&roles, more), &ask).is_some());
        }
    }

    #[test]
    fn a_deny_never_adds(roles in sketches(), deny in side(), ask in asks()) {
        let more = Sketch { allow: "{}".to_owned(), deny, options: String::new() };
        if decide(&roles, &ask).is_none() {
            prop_assert_eq!(decide(&with(&roles, more), &ask), None);
        }
    }

    #[test]
    fn the_tap_is_the_strictest_of_the_roles_that_allow(roles in sketches(), ask in asks()) {
        // A cluster's login may be granted by several roles together, none of which allows it alone.
        prop_assume!(!matches!(ask.1, Login::Kube { .. }));
        let alone = |role: &Sketch| decide(std::slice::from_ref(role), &ask).map(|terms| terms.session_mfa);
        if let Some(together) = decide(&roles, &ask) {
            let bare: Vec<_> = roles.iter().map(|role| Sketch { deny: "{}".to_owned(), ..role.clone() }).collect();
            let strictest = bare.iter().filter_map(alone).max().unwrap_or(SessionMfa::Off);
            prop_assert_eq!(together.session_mfa, strictest);
        }
    }

    #[test]
    fn together_the_roles_say_what_they_say_alone(roles in sketches(), ask in asks()) {
        prop_assume!(!matches!(ask.1, Login::Kube { .. }));
        let alone = |role: &Sketch| crate::help::ask(&build(std::slice::from_ref(role)), "jerry", ask.0, &ask.1);
        let said: Vec<_> = roles.iter().map(alone).collect();
        let denied = said.iter().any(|decision| matches!(decision, Decision::Deny(DenyReason::DeniedByRole(_))));
        let allowed = said.iter().any(|decision| matches!(decision, Decision::Allow(_)));
        prop_assert_eq!(decide(&roles, &ask).is_some(), allowed && !denied);
    }

    #[test]
    fn the_order_of_roles_changes_nothing(roles in sketches(), ask in asks()) {
        let reversed: Vec<_> = roles.iter().rev().cloned().collect();
        prop_assert_eq!(decide(&roles, &ask), decide(&reversed, &ask));
    }

    #[test]
    fn more_roles_only_tighten_the_times(roles in sketches(), more in sketch(), ask in asks()) {
        if let (Some(before), Some(after)) = (decide(&roles, &ask), decide(&with(&roles, more), &ask)) {
            prop_assert!(after.session_mfa >= before.session_mfa && after.in_band >= before.in_band);
            prop_assert!(after.window <= before.window && after.max_session_ttl <= before.max_session_ttl);
            prop_assert!(after.disconnect_expired_cert >= before.disconnect_expired_cert);
        }
    }

    #[test]
    fn what_is_listed_is_what_is_allowed(roles in sketches(), on in prop::sample::select(TARGETS.to_vec())) {
        let policy = build(&roles);
        let listed = crate::help::logins(&policy, "jerry", tapgate_model::Kind::Node, on);
        for login in ["jerry", "root", "own", "other"] {
            let allowed = terms(&ask(&policy, "jerry", on, &unix(login))).is_some();
            prop_assert_eq!(allowed, listed.iter().any(|name| name == login));
        }
    }

    #[test]
    fn whatever_the_bytes_reading_ends(text in "(kind|role|: |\\n|  |- |\\[|\\]|\\{|\\}|\\*|&a|---\n|spec|'|\"|\t|é|\\PC){0,60}") {
        tapgate_policy::fuzz::parse(text.as_bytes());
    }
}
