//! The decision: lock, then deny, then allow, then the terms of all the roles that allow.

use tapgate_model::{Kind, Labels, Login, ObjectName, RoleName, TargetName, TargetUid, UnixTime, UserName};

use crate::compile::ReadyUser;
use crate::policy::Policy;
use crate::terms::Terms;

/// Who wants to open what, as whom, and when.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The user.
    pub user: &'a UserName,
    /// The target's kind.
    pub kind: Kind,
    /// The target's name.
    pub name: &'a TargetName,
    /// The target's uid.
    pub uid: &'a TargetUid,
    /// The target's labels.
    pub labels: &'a Labels,
    /// Who the user wants to be there.
    pub login: &'a Login,
    /// The moment, for locks that expire.
    pub now: UnixTime,
}

/// Whether a session may be opened.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may, on these terms.
    Allow(Terms),
    /// It may not.
    Deny(DenyReason),
}

/// Why a session may not be opened: for the audit log, never for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DenyReason {
    /// The policy has no such user.
    NoSuchUser,
    /// The lock of this name is in force.
    Locked(ObjectName),
    /// This role's `deny` section says no.
    DeniedByRole(RoleName),
    /// No role of the user allows it.
    NoMatchingRole,
}

impl std::fmt::Display for DenyReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchUser => f.write_str("there is no such user"),
            Self::Locked(lock) => write!(f, "the lock `{lock}` is in force"),
            Self::DeniedByRole(role) => write!(f, "the role `{role}` denies it"),
            Self::NoMatchingRole => f.write_str("no role of the user allows it"),
        }
    }
}

impl Policy {
    /// Decides. Locks come first, then every role's `deny`, then the roles whose `allow` fits both labels
    /// and login; all of these shape the terms, and so does what holds for everybody. Allocates nothing.
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        let Some(user) = self.users.get(query.user) else { return Decision::Deny(DenyReason::NoSuchUser) };
        let lock = self.locks.first(&user.locks, query.now).or_else(|| self.locks.on_session(query));
        if let Some(lock) = lock {
            return Decision::Deny(DenyReason::Locked(lock.name.clone()));
        }
        if query.login.kind() != query.kind {
            return Decision::Deny(DenyReason::NoMatchingRole);
        }
        if let Some(role) = user.denier(query.kind, query.labels, query.login) {
            return Decision::Deny(DenyReason::DeniedByRole(role.name.clone()));
        }
        match user.allowing(query) {
            Some(terms) => Decision::Allow(self.cluster_wide(terms)),
            None => Decision::Deny(DenyReason::NoMatchingRole),
        }
    }

    fn cluster_wide(&self, terms: Terms) -> Terms {
        let everybody = &self.preference;
        Terms {
            session_mfa: terms.session_mfa.max(everybody.require_session_mfa),
            disconnect_expired_cert: terms.disconnect_expired_cert || everybody.disconnect_expired_cert,
            ..terms
        }
        .consistent()
    }
}

impl ReadyUser {
    /// The terms of all the roles that allow; `None` where none does.
    fn allowing(&self, query: &Query<'_>) -> Option<Terms> {
        let granting =
            self.fitting(query.kind, query.labels).filter(|(_, rule)| rule.logins.grants(query.login, query.user));
        let terms = granting.map(|(role, _)| role.terms).reduce(|all, role| all.and(&role))?;
        self.grants_whole(query).then(|| terms.within(&self.base))
    }

    /// A cluster's user and each of its groups may come from several roles, but each from some.
    fn grants_whole(&self, query: &Query<'_>) -> bool {
        let Login::Kube { user, groups } = query.login else { return true };
        let mut rules = self.fitting(query.kind, query.labels).map(|(_, rule)| &rule.logins);
        let granted =
            |group| self.fitting(query.kind, query.labels).any(|(_, rule)| rule.logins.grants_kube_group(group));
        rules.any(|logins| logins.grants_kube_user(user, query.user)) && groups.iter().all(|group| granted(group))
    }
}
