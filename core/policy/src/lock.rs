//! `lock`: an order that ends sessions and refuses new ones.

use tapgate_model::{Kind, LoginName, ObjectName, RoleName, TargetName, TargetUid, UnixTime, UserName};

use crate::at::At;
use crate::section::Section;
use crate::timestamp::timestamp;

/// What a lock strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockTarget {
    /// Everything that a user does.
    User(UserName),
    /// Everything that the holders of a role do.
    Role(RoleName),
    /// Sessions under a login of this name, on any target.
    Login(LoginName),
    /// Sessions on the target of this kind and name.
    Named(Kind, TargetName),
    /// Sessions on the target with this uid.
    Uid(TargetUid),
}

/// An order that ends sessions and refuses new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Its name.
    pub name: ObjectName,
    /// What it strikes.
    pub target: LockTarget,
    /// When it ends by itself, where it does.
    pub expires: Option<UnixTime>,
    /// What the administrator says about it.
    pub message: Option<String>,
}

impl Lock {
    /// Whether the lock holds at this moment. It ends at the very second that `expires` names.
    pub fn in_force(&self, now: UnixTime) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    /// Why it is there, in the administrator's words where there are any.
    pub fn why(&self) -> &str {
        self.message.as_deref().unwrap_or(self.name.as_str())
    }

    /// Reads a lock's `spec`.
    pub(crate) fn read(name: Option<ObjectName>, spec: Section<'_>) -> Option<Self> {
        let target = spec.need("target", "{user: jerry}").and_then(target);
        let expires = spec.take("expires").and_then(|at| moment(&at));
        let message = spec.text("message");
        // What was written down about the lock's making is taken and says nothing.
        let _ = spec.take("created_at").and_then(|at| moment(&at));
        drop(spec.text("created_by"));
        spec.finish();
        Some(Self { name: name?, target: target?, expires, message })
    }
}

fn moment(at: &At<'_>) -> Option<UnixTime> {
    let text = at.text()?;
    timestamp(text).map_err(|error| at.problem(format!("`{}`: {error}", at.name()))).ok()
}

fn target(at: At<'_>) -> Option<LockTarget> {
    const UNSUPPORTED: &[(&str, &str)] = &[
        ("mfa_device", "lock the user"),
        ("device", "lock the user"),
        ("server_id", "use `node` with the node's name, or `target` with its uid"),
        ("access_request", "lock the user"),
        ("bot_instance_id", "lock the user"),
        ("join_token", "remove it"),
    ];
    let section = Section::open(at, "a lock's target")?.without(UNSUPPORTED);
    let node = |at: At<'_>| at.parse().map(|name| LockTarget::Named(Kind::Node, name));
    let desktop = |at: At<'_>| at.parse().map(|name| LockTarget::Named(Kind::WindowsDesktop, name));
    let given: Vec<_> = [
        section.take("user").map(|at| at.parse().map(LockTarget::User)),
        section.take("role").map(|at| at.parse().map(LockTarget::Role)),
        section.take("login").map(|at| at.parse().map(LockTarget::Login)),
        section.take("node").map(node),
        section.take("windows_desktop").map(desktop),
        section.take("target").map(|at| any_target(&at)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let one = given.len() == 1;
    if !one {
        section.problem("a lock strikes one thing (name one of user, role, login, node, windows_desktop, target)");
    }
    section.finish();
    given.into_iter().next().flatten().filter(|_| one)
}

/// A target of any kind: `db/orders`, or its uid.
fn any_target(at: &At<'_>) -> Option<LockTarget> {
    let text = at.text()?;
    if let Ok(uid) = text.parse() {
        return Some(LockTarget::Uid(uid));
    }
    let named = text.split_once('/').and_then(|(kind, name)| Some((kind.parse().ok()?, name.parse().ok()?)));
    if named.is_none() {
        at.problem(format!("`target`: `{text}` is no target (use kind/name, such as db/orders, or a uid)"));
    }
    named.map(|(kind, name)| LockTarget::Named(kind, name))
}
