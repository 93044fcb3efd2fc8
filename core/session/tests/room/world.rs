//! The policy of these tests, and short ways to ask.

use std::sync::Arc;

use tapgate_identity::Identity;
use tapgate_model::Kind;
use tapgate_session::testing::{World, facts, node, target, unix};
use tapgate_session::{Ask, ConnectionFacts, Gate, Verdict};

/// dev needs no tap, prod does; jerry may be `jerry` on both, and is denied on `secret`.
pub(super) fn policy(extra: &str, prod_address: &str) -> String {
    format!(
        "{}{}{}\
kind: role
version: v7
metadata: {{ name: dev }}
spec:
  allow: {{ node_labels: {{ env: dev }}, logins: [jerry] }}
---
kind: role
version: v7
metadata: {{ name: prod }}
spec:
  options:
    require_session_mfa: true
    {extra}
  allow: {{ node_labels: {{ env: prod }}, logins: [jerry, root] }}
---
kind: user
version: v2
metadata: {{ name: jerry }}
spec: {{ roles: [dev, prod] }}
",
        node("dev1", "dev", "127.0.0.1:9"),
        node("prod3", "prod", prod_address),
        node("secret", "secret", "127.0.0.1:9"),
    )
}

pub(super) fn lock() -> &'static str {
    "---\nkind: lock\nversion: v2\nmetadata: { name: lost-laptop }\nspec: { target: { user: jerry } }\n"
}

pub(super) fn world() -> World {
    World::new(&policy("", "127.0.0.1:9"))
}

pub(super) fn check_from(
    gate: &Gate,
    identity: &Arc<Identity>,
    name: &str,
    login: &str,
    facts: &ConnectionFacts,
) -> Verdict {
    let (target, login) = (target(name), unix(login));
    gate.check(&Ask { identity, kind: Kind::Node, target: &target, login: &login, connection: facts })
}

pub(super) fn check(world: &World, identity: &Arc<Identity>, name: &str, login: &str) -> Verdict {
    check_from(&world.gate, identity, name, login, &facts())
}

/// The verdict in a word, with its reason.
pub(super) fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Grant(grant) => {
            drop(grant);
            "grant".to_owned()
        }
        Verdict::Challenge(challenge) => format!("challenge: {}", challenge.reason()),
        Verdict::Denial(denial) => format!("denial: {}", denial.reason()),
    }
}
