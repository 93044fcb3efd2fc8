//! Every lock of the policy, laid out so that a decision finds the one that strikes it at once.

use std::collections::HashMap;

use tapgate_model::{Kind, Login, LoginName, ObjectName, RoleName, TargetName, TargetUid, UnixTime, UserName};

use crate::compile::slot;
use crate::decide::Query;
use crate::lock::{Lock, LockTarget};

/// The locks, by what they strike.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    all: Vec<Lock>,
    users: HashMap<UserName, Vec<usize>>,
    roles: HashMap<RoleName, Vec<usize>>,
    logins: HashMap<LoginName, Vec<usize>>,
    names: [HashMap<TargetName, Vec<usize>>; 5],
    uids: HashMap<TargetUid, Vec<usize>>,
}

impl Locks {
    /// Lays the locks out.
    pub(crate) fn new(locks: impl Iterator<Item = Lock>) -> Self {
        let mut table = Self::default();
        locks.for_each(|lock| table.add(lock));
        table
    }

    fn add(&mut self, lock: Lock) {
        let number = self.all.len();
        match &lock.target {
            LockTarget::User(name) => self.users.entry(name.clone()).or_default().push(number),
            LockTarget::Role(name) => self.roles.entry(name.clone()).or_default().push(number),
            LockTarget::Login(name) => self.logins.entry(name.clone()).or_default().push(number),
            LockTarget::Uid(uid) => self.uids.entry(*uid).or_default().push(number),
            LockTarget::Named(kind, name) => {
                if let Some(names) = self.names.get_mut(slot(*kind)) {
                    names.entry(name.clone()).or_default().push(number);
                }
            }
        }
        self.all.push(lock);
    }

    /// The numbers of the locks on a user and on the user's roles.
    pub(crate) fn concerning(&self, user: &UserName, roles: &[RoleName]) -> Vec<usize> {
        let by_role = roles.iter().filter_map(|role| self.roles.get(role));
        self.users.get(user).into_iter().chain(by_role).flatten().copied().collect()
    }

    /// The lock on somebody who is no user of the policy.
    pub(crate) fn on_stranger(&self, user: &UserName, now: UnixTime) -> Option<&Lock> {
        self.first(self.users.get(user)?, now)
    }

    /// The lock on a session's target or login.
    pub(crate) fn on_session(&self, query: &Query<'_>) -> Option<&Lock> {
        let first = |numbers: &Vec<usize>| self.first(numbers, query.now);
        self.on_target(query.kind, query.name, query.uid, query.now)
            .or_else(|| self.logins.get(login_name(query.login)?).and_then(first))
    }

    /// The lock on a target, whoever wants to go there.
    pub(crate) fn on_target(&self, kind: Kind, name: &TargetName, uid: &TargetUid, now: UnixTime) -> Option<&Lock> {
        let names = self.names.get(slot(kind));
        let first = |numbers: &Vec<usize>| self.first(numbers, now);
        (self.uids.get(uid).and_then(first)).or_else(|| names?.get(name).and_then(first))
    }

    /// The first of these locks that is in force.
    pub(crate) fn first(&self, numbers: &[usize], now: UnixTime) -> Option<&Lock> {
        let mut locks = numbers.iter().filter_map(|number| self.all.get(*number));
        locks.find(|lock| lock.in_force(now))
    }

    /// The lock of this name.
    pub(crate) fn named(&self, name: &ObjectName) -> Option<&Lock> {
        self.all.iter().find(|lock| lock.name == *name)
    }

    /// Every lock.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lock> {
        self.all.iter()
    }
}

const fn login_name(login: &Login) -> Option<&LoginName> {
    match login {
        Login::Unix(name) | Login::Desktop(name) | Login::Db { user: name, .. } => Some(name),
        Login::Kube { .. } | Login::App => None,
    }
}
