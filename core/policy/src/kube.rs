//! What a user may do inside a Kubernetes cluster: what their roles allow there, less what any of them denies.

use std::sync::Arc;

use tapgate_model::{Kind, Labels, Login, UserName};

use crate::compile::{ReadyRole, slot};
use crate::kube_rules::{ReadyKubeRule, Sought};
use crate::kube_verbs::KubeVerb;
use crate::policy::Policy;

/// How much of what was sought something is about; the greater is the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    No,
    Some,
    Yes,
}

/// How much of what a request is about is allowed.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubeScope {
    /// All of it.
    All,
    /// It depends on the object: on its name, and where none is given, on its namespace.
    Some,
    /// Nothing.
    Nothing,
}

/// The objects that a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubeObjects<'a> {
    /// Their API group; empty for the core group.
    pub group: &'a str,
    /// Their collection, such as `pods`.
    pub resource: &'a str,
    /// Their namespace; empty where they lie in none, `None` where that is open.
    pub namespace: Option<&'a str>,
    /// The name, where there is one object and its name is known.
    pub name: Option<&'a str>,
}

/// What one login of a user may do in one cluster.
#[derive(Debug, Clone)]
pub struct KubeAccess {
    allow: Vec<Arc<ReadyRole>>,
    deny: Vec<Arc<ReadyRole>>,
}

impl Policy {
    /// What a user may do in a cluster with these labels under this login. Whether they may open it is
    /// [`Policy::decide`]'s to say.
    pub fn kube_access(&self, user: &UserName, labels: &Labels, login: &Login) -> KubeAccess {
        let roles = self.users.get(user).map(|user| user.roles.as_slice()).unwrap_or_default();
        let grants = |role: &&Arc<ReadyRole>| {
            let rule = role.allow.get(slot(Kind::KubeCluster));
            rule.is_some_and(|rule| rule.labels.matches(labels) && rule.logins.grants(login, user))
        };
        KubeAccess {
            allow: roles.iter().filter(grants).map(Arc::clone).collect(),
            deny: roles.iter().filter(|role| !role.kube_deny.is_empty()).map(Arc::clone).collect(),
        }
    }
}

/// Whether the roles say the same in the same order: then nothing has changed that a request could notice.
impl PartialEq for KubeAccess {
    fn eq(&self, other: &Self) -> bool {
        self.allowing().eq(other.allowing()) && self.denying().eq(other.denying())
    }
}

impl KubeAccess {
    /// Whether everything is allowed.
    pub fn is_whole(&self) -> bool {
        self.deny.is_empty() && self.allowing().any(ReadyKubeRule::is_everything)
    }

    /// How much of this is allowed.
    pub fn scope(&self, verb: KubeVerb, objects: &KubeObjects<'_>) -> KubeScope {
        let KubeObjects { group, resource, namespace, name } = *objects;
        let sought = Sought { verb, group, resource, namespace, name };
        let denied = self.denying().map(|rule| rule.fits(&sought, false));
        let allowed = || self.allowing().map(|rule| rule.fits(&sought, true)).max().unwrap_or(Fit::No);
        match denied.max().unwrap_or(Fit::No) {
            Fit::Yes => KubeScope::Nothing,
            denied => match allowed() {
                Fit::No => KubeScope::Nothing,
                Fit::Yes if denied == Fit::No => KubeScope::All,
                Fit::Yes | Fit::Some => KubeScope::Some,
            },
        }
    }

    fn allowing(&self) -> impl Iterator<Item = &ReadyKubeRule> {
        self.allow.iter().flat_map(|role| &role.kube_allow)
    }

    fn denying(&self) -> impl Iterator<Item = &ReadyKubeRule> {
        self.deny.iter().flat_map(|role| &role.kube_deny)
    }
}
