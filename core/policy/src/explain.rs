//! Explanations: which logins a user has on a target, and what each of their roles says of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tapgate_model::{Kind, Labels, Login, LoginName, RoleName, TargetName, TargetUid, UserName};

use crate::compile::{Logins, ReadyRole, ReadyUser, Rule, slot};
use crate::label::Matcher;
use crate::policy::Policy;
use crate::terms::{SessionMfa, Terms};

impl Policy {
    /// The logins that a user has on a target, sorted: users of a node, desktop or database (`*` for every
    /// one), `user[group,…]` for a cluster, `-` for an application. Locks are not looked at.
    pub fn logins(
        &self,
        user: &UserName,
        kind: Kind,
        _name: &TargetName,
        _uid: &TargetUid,
        labels: &Labels,
    ) -> Vec<String> {
        let ready = self.users.get(user).filter(|ready| !ready.denies_labels(kind, labels));
        let Some(ready) = ready else { return Vec::new() };
        let fits = || ready.fitting(kind, labels).next().is_some();
        match kind {
            Kind::KubeCluster => kube_logins(ready, user, labels),
            Kind::App => fits().then(|| Login::App.to_string()).into_iter().collect(),
            Kind::Node | Kind::Db | Kind::WindowsDesktop => named_logins(ready, kind, labels),
        }
    }

    /// What each role of a user says of a target and login, in the user's own order. Locks are not looked at.
    pub fn explain(
        &self,
        user: &UserName,
        kind: Kind,
        _name: &TargetName,
        _uid: &TargetUid,
        labels: &Labels,
        login: &Login,
    ) -> Vec<(RoleName, String)> {
        let roles = self.users.get(user).map(|ready| ready.roles.as_slice()).unwrap_or_default();
        roles.iter().map(|role| (role.name.clone(), says(role, kind, labels, login, user))).collect()
    }
}

fn named_logins(ready: &ReadyUser, kind: Kind, labels: &Labels) -> Vec<String> {
    let denied = |name: &str| login(kind, name).is_some_and(|login| ready.denier(kind, labels, &login).is_some());
    let all: BTreeSet<&str> = ready.fitting(kind, labels).flat_map(|(_, rule)| names(&rule.logins)).collect();
    all.into_iter().filter(|name| !denied(name)).map(str::to_owned).collect()
}

/// The names that a rule grants.
fn names(logins: &Logins) -> Vec<&str> {
    match logins {
        Logins::Users(words) | Logins::Db { users: words, .. } => words.iter().collect(),
        Logins::Kube { users, groups } => users.iter().chain(groups.iter()).collect(),
        Logins::App => Vec::new(),
    }
}

fn login(kind: Kind, name: &str) -> Option<Login> {
    let name: LoginName = name.parse().ok()?;
    match kind {
        Kind::Node => Some(Login::Unix(name)),
        Kind::WindowsDesktop => Some(Login::Desktop(name)),
        Kind::Db => Some(Login::Db { user: name, database: None }),
        Kind::KubeCluster | Kind::App => None,
    }
}

/// Every user that is granted, each with every group that is.
fn kube_logins(ready: &ReadyUser, user: &UserName, labels: &Labels) -> Vec<String> {
    let rules = || ready.fitting(Kind::KubeCluster, labels).map(|(_, rule)| &rule.logins);
    let free = |user: &str, groups: &[&str]| {
        let groups = groups.iter().map(|&group| Arc::from(group)).collect();
        let login = Login::Kube { user: user.into(), groups };
        ready.denier(Kind::KubeCluster, labels, &login).is_none().then_some(login)
    };
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for logins in rules() {
        if let Logins::Kube { users: own, groups: granted } = logins {
            users.extend(own.iter());
            groups.extend(granted.iter());
        }
    }
    if rules().any(|logins| logins.grants_kube_user(user.as_str(), user)) {
        users.insert(user.as_str());
    }
    let groups: Vec<_> = groups.into_iter().filter(|group| free("", &[group]).is_some()).collect();
    users.into_iter().filter_map(|user| free(user, &groups)).map(|login| login.to_string()).collect()
}

fn says(role: &ReadyRole, kind: Kind, labels: &Labels, login: &Login, user: &UserName) -> String {
    let (Some(allow), Some(deny)) = (role.allow.get(slot(kind)), role.deny.get(slot(kind))) else {
        return String::new();
    };
    if deny.labels.matches(labels) {
        format!("denies it: its `deny` takes {}", deny.labels)
    } else if deny.strikes(labels, login) {
        format!("denies it: its `deny` names the login `{login}`")
    } else if matches!(allow.labels, Matcher::Nothing) {
        format!("says nothing of any {}", kind.title())
    } else if !allow.labels.matches(labels) {
        format!("does not concern it: its `allow` wants {}", allow.labels)
    } else if allow.logins.grants(login, user) {
        format!("allows it{}", tap(&role.terms))
    } else {
        format!("concerns it, but not under the login `{login}`: it has {}", granted(allow))
    }
}

const fn tap(terms: &Terms) -> &'static str {
    match terms.session_mfa {
        SessionMfa::Off => "",
        SessionMfa::Required => ", after a tap",
        SessionMfa::RequiredWebAuthn => ", after a tap of a security key",
        SessionMfa::RequiredHardware => ", after a tap with a PIN or biometrics, or by an attested key",
        SessionMfa::RequiredVerified => ", after a tap with a PIN or biometrics",
        SessionMfa::RequiredAttested => ", after a tap with a PIN or biometrics by an attested key",
    }
}

fn granted(rule: &Rule) -> String {
    let names = names(&rule.logins);
    if names.is_empty() { "no login".to_owned() } else { names.join(", ") }
}
