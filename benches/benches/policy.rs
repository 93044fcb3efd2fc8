//! What a decision costs: with a thousand roles, against ten.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use tapgate_benches::harness::{batch, compare};
use tapgate_benches::report::{Figure, Report};
use tapgate_model::{Kind, Labels, Login, TargetName, TargetUid, UnixTime, UserName};
use tapgate_policy::{Decision, Policy, Query};

/// How many decisions a batch has.
const BATCH: u32 = 2_000;

/// How many other labels the target has: what the roles insist on is one of ten.
const OTHER_LABELS: u32 = 9;

/// What is decided.
struct Asked {
    user: UserName,
    name: TargetName,
    uid: TargetUid,
    labels: Labels,
    login: Login,
}

impl Asked {
    fn new() -> Result<Self> {
        let others = (0..OTHER_LABELS).map(|n| (format!("l{n}"), format!("v{n}")));
        Ok(Self {
            user: "jerry".parse()?,
            name: "prod3".parse()?,
            uid: TargetUid::from_bytes([7; 16]),
            labels: others.chain([("team".to_owned(), "t7".to_owned())]).collect(),
            login: Login::Unix("jerry".parse()?),
        })
    }

    fn query(&self) -> Query<'_> {
        let Self { user, name, uid, labels, login } = self;
        Query { user, kind: Kind::Node, name, uid, labels, login, now: UnixTime::from_secs(1_790_000_000) }
    }
}

fn main() -> Result<ExitCode> {
    let mut report = Report::from_arguments()?;
    if report.wants("policy-decision") {
        decision(&mut report)?;
    }
    report.finish()
}

fn decision(report: &mut Report) -> Result<()> {
    let (many, few, asked) = (policy(1_000)?, policy(10)?, Asked::new()?);
    let query = asked.query();
    for policy in [&many, &few] {
        ensure!(matches!(policy.decide(&query), Decision::Allow(_)), "the query that is measured is not allowed");
    }
    let found = compare(|| batch(BATCH, || many.decide(&query)), || batch(BATCH, || few.decide(&query)));
    let what = "an allowing decision for a user with 1,000 roles, on a target with ten labels";
    report.add("policy-decision", Figure::nanoseconds(what, Some(1_000.0), found.a));
    let what = "the same decision with 1,000 roles, against ten";
    report.add("policy-decision-growth", Figure::ratio(what, None, ["1,000 roles", "10 roles"], &found));
    Ok(())
}

/// A user with this many roles, each for a team's nodes.
fn policy(roles: u32) -> Result<Policy> {
    let mut text = String::new();
    for n in 0..roles {
        writeln!(
            text,
            "kind: role\nversion: v7\nmetadata: {{ name: r{n} }}\nspec:\n  options: {{ require_session_mfa: true }}\n  \
             allow: {{ node_labels: {{ team: t{n}, l0: v0 }}, logins: [jerry, root] }}\n---"
        )?;
    }
    let names: Vec<String> = (0..roles).map(|n| format!("r{n}")).collect();
    writeln!(text, "kind: user\nversion: v2\nmetadata: {{ name: jerry }}\nspec: {{ roles: [{}] }}", names.join(", "))?;
    let documents = tapgate_policy::parse("bench", &text).map_err(|problems| anyhow!("{problems:?}"))?;
    Policy::build(&documents).map_err(|problems| anyhow!("{problems:?}"))
}
