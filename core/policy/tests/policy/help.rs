//! What the tests share: a policy from text, and a question in one line.

use tapgate_model::{Kind, Labels, Login, TargetUid, UnixTime, UserName};
use tapgate_policy::{Decision, Policy, Query, Terms, parse};

/// The moment at which the tests ask: 2026-11-20T13:12:00Z.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_180_320);

/// The policy of this text.
pub(crate) fn policy(yaml: &str) -> Policy {
    let documents = parse("test.yaml", yaml).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Policy::build(&documents).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Every problem of this text, as a person sees it.
pub(crate) fn problems(yaml: &str) -> Vec<String> {
    let found = parse("test.yaml", yaml).and_then(|documents| Policy::build(&documents)).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

/// Labels from `env=prod,team=a`.
pub(crate) fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The uid that every target of these tests has.
pub(crate) fn uid() -> TargetUid {
    TargetUid::from_bytes([7; 16])
}

/// A user's name.
pub(crate) fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

/// A Unix login.
pub(crate) fn unix(name: &str) -> Login {
    Login::Unix(name.parse().unwrap())
}

/// Asks for a target of any kind.
pub(crate) fn ask(policy: &Policy, who: &str, labels: &str, login: &Login) -> Decision {
    ask_at(policy, who, ("prod3", labels), login, NOW)
}

/// Asks for a target of this name and labels, at this moment.
pub(crate) fn ask_at(policy: &Policy, who: &str, target: (&str, &str), login: &Login, now: UnixTime) -> Decision {
    let query = Query {
        user: &user(who),
        kind: login.kind(),
        name: &target.0.parse().unwrap(),
        uid: &uid(),
        labels: &labels(target.1),
        login,
        now,
    };
    policy.decide(&query)
}

/// The terms on which a node is open; `None` where it is not.
pub(crate) fn terms(policy: &Policy, who: &str, labels: &str, login: &str) -> Option<Terms> {
    match ask(policy, who, labels, &unix(login)) {
        Decision::Allow(terms) => Some(terms),
        Decision::Deny(_) => None,
    }
}

/// The logins that a user has on a target.
pub(crate) fn logins(policy: &Policy, who: &str, kind: Kind, on: &str) -> Vec<String> {
    policy.logins(&user(who), kind, &"prod3".parse().unwrap(), &uid(), &labels(on))
}
