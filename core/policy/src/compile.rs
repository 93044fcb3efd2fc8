//! A role made ready for one user: templates filled in, patterns compiled, one rule for each kind of target.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tapgate_model::{Kind, Labels, Login, RoleName, UserName};

use crate::admin::Admin;
use crate::index::Index;
use crate::kube_rules::ReadyKubeRule;
use crate::label::Matcher;
use crate::locks::Locks;
use crate::logins::{Take, Word, Words};
use crate::role::{Role, Side};
use crate::terms::Terms;
use crate::user::User;

/// A role as it stands for one user, or for every user where it reads no trait.
#[derive(Debug)]
pub(crate) struct ReadyRole {
    pub(crate) name: RoleName,
    pub(crate) terms: Terms,
    pub(crate) allow: [Rule; 5],
    pub(crate) deny: [Rule; 5],
    /// What it allows and denies inside Kubernetes clusters.
    pub(crate) kube_allow: Vec<ReadyKubeRule>,
    pub(crate) kube_deny: Vec<ReadyKubeRule>,
}

/// What one side of a role says of one kind of target.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) labels: Matcher,
    pub(crate) logins: Logins,
}

/// The logins of a rule.
#[derive(Debug)]
pub(crate) enum Logins {
    /// Users of a node or a desktop.
    Users(Words),
    /// Users and names of a database.
    Db { users: Words, names: Words },
    /// Users and groups of a cluster.
    Kube { users: Words, groups: Words },
    /// An application's one login.
    App,
}

/// Where a kind's rule stands in an array.
pub(crate) const fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Node => 0,
        Kind::Db => 1,
        Kind::KubeCluster => 2,
        Kind::App => 3,
        Kind::WindowsDesktop => 4,
    }
}

type Traits = BTreeMap<String, Vec<String>>;

impl ReadyRole {
    fn new(role: &Role, traits: &Traits) -> Self {
        let rules = |side: &Side| Kind::ALL.map(|kind| Rule::new(side, kind, traits));
        let kube = |side: &Side| side.kube_resources.iter().map(|rule| rule.compile(traits)).collect();
        Self {
            name: role.name.clone(),
            terms: role.terms,
            allow: rules(&role.allow),
            deny: rules(&role.deny),
            kube_allow: kube(&role.allow),
            kube_deny: kube(&role.deny),
        }
    }
}

impl Rule {
    fn new(side: &Side, kind: Kind, traits: &Traits) -> Self {
        let words = |list: &[Word], take| Words::compile(list, take, traits);
        let logins = match kind {
            Kind::Node => Logins::Users(words(&side.logins, Take::Logins)),
            Kind::WindowsDesktop => Logins::Users(words(&side.desktop_logins, Take::Logins)),
            Kind::Db => Logins::Db {
                users: words(&side.db_users, Take::TextOrAny),
                names: words(&side.db_names, Take::TextOrAny),
            },
            Kind::KubeCluster => Logins::Kube {
                users: words(&side.kube_users, Take::Text),
                groups: words(&side.kube_groups, Take::Text),
            },
            Kind::App => Logins::App,
        };
        Self { labels: side.labels(kind).compile(traits), logins }
    }

    /// Whether a `deny` rule strikes: labels or login, either is enough.
    pub(crate) fn strikes(&self, labels: &Labels, login: &Login) -> bool {
        self.labels.matches(labels) || self.logins.names_any_part(login)
    }
}

impl Logins {
    /// Whether an `allow` rule grants this login. For a cluster: whether it grants a part of it, since
    /// a login's user and groups may come from several roles.
    pub(crate) fn grants(&self, login: &Login, user: &UserName) -> bool {
        match (self, login) {
            (Self::Users(words), Login::Unix(name) | Login::Desktop(name)) => words.contains(name.as_str()),
            (Self::Db { users, names }, Login::Db { user, database }) => {
                users.contains(user.as_str()) && database.as_ref().is_none_or(|database| names.contains(database))
            }
            (Self::Kube { groups: granted, .. }, Login::Kube { user: name, groups }) => {
                self.grants_kube_user(name, user) || groups.iter().any(|group| granted.contains(group))
            }
            (Self::App, Login::App) => true,
            _ => false,
        }
    }

    /// Whether a rule grants this Kubernetes user. One that names groups only goes with the user's own name.
    pub(crate) fn grants_kube_user(&self, name: &str, user: &UserName) -> bool {
        match self {
            Self::Kube { users, groups } if users.is_empty() => !groups.is_empty() && name == user.as_str(),
            Self::Kube { users, .. } => users.contains(name),
            Self::Users(_) | Self::Db { .. } | Self::App => false,
        }
    }

    /// Whether a rule grants this Kubernetes group.
    pub(crate) fn grants_kube_group(&self, group: &str) -> bool {
        matches!(self, Self::Kube { groups, .. } if groups.contains(group))
    }

    /// Whether any part of the login is named.
    fn names_any_part(&self, login: &Login) -> bool {
        match (self, login) {
            (Self::Users(words), Login::Unix(name) | Login::Desktop(name)) => words.contains(name.as_str()),
            (Self::Db { users, names }, Login::Db { user, database }) => {
                users.contains(user.as_str()) || database.as_ref().is_some_and(|database| names.contains(database))
            }
            (Self::Kube { users, groups: denied }, Login::Kube { user, groups }) => {
                users.contains(user) || groups.iter().any(|group| denied.contains(group))
            }
            _ => false,
        }
    }

    /// Whether there is any login in it.
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Users(words) => words.is_empty(),
            Self::Db { users, names } => users.is_empty() && names.is_empty(),
            Self::Kube { users, groups } => users.is_empty() && groups.is_empty(),
            Self::App => true,
        }
    }
}

/// A user with everything that their roles say.
#[derive(Debug)]
pub(crate) struct ReadyUser {
    pub(crate) roles: Vec<Arc<ReadyRole>>,
    pub(crate) allow: [Index; 5],
    pub(crate) deny: [Index; 5],
    /// What holds for the user's every session.
    pub(crate) base: Terms,
    pub(crate) admin: Admin,
    /// The numbers of the locks on the user and on their roles.
    pub(crate) locks: Vec<usize>,
}

impl ReadyUser {
    fn new(roles: Vec<Arc<ReadyRole>>, admin: Admin, locks: Vec<usize>) -> Self {
        let allow = Kind::ALL.map(|kind| allow_index(&roles, slot(kind)));
        let deny = Kind::ALL.map(|kind| deny_index(&roles, slot(kind)));
        let base = roles.iter().fold(Terms::neutral(), |base, role| base.within(&role.terms));
        Self { roles, allow, deny, base, admin, locks }
    }

    /// The roles whose `allow` labels fit, with their rules.
    pub(crate) fn fitting<'a>(
        &'a self,
        kind: Kind,
        labels: &'a Labels,
    ) -> impl Iterator<Item = (&'a ReadyRole, &'a Rule)> + Clone {
        let slot = slot(kind);
        let candidates = self.allow.get(slot).into_iter().flat_map(|index| index.candidates(labels));
        let rules = candidates.filter_map(move |number| {
            let role = self.roles.get(number)?;
            Some((role.as_ref(), role.allow.get(slot)?))
        });
        rules.filter(|(_, rule)| rule.labels.matches(labels))
    }

    /// Whether a role denies the target under every login.
    pub(crate) fn denies_labels(&self, kind: Kind, labels: &Labels) -> bool {
        let mut rules = self.roles.iter().filter_map(|role| role.deny.get(slot(kind)));
        rules.any(|rule| rule.labels.matches(labels))
    }

    /// The role that denies, where one does.
    pub(crate) fn denier(&self, kind: Kind, labels: &Labels, login: &Login) -> Option<&ReadyRole> {
        let slot = slot(kind);
        let mut candidates = self.deny.get(slot)?.candidates(labels);
        candidates.find_map(|number| {
            let role = self.roles.get(number)?;
            role.deny.get(slot)?.strikes(labels, login).then_some(role.as_ref())
        })
    }
}

fn allow_index(roles: &[Arc<ReadyRole>], slot: usize) -> Index {
    let sides = roles.iter().enumerate().filter_map(|(number, role)| Some((number, role.allow.get(slot)?)));
    let some = sides.filter(|(_, rule)| !matches!(rule.labels, Matcher::Nothing));
    Index::new(&some.map(|(number, rule)| (number, Some(&rule.labels))).collect::<Vec<_>>())
}

/// A `deny` that names logins may strike any target.
fn deny_index(roles: &[Arc<ReadyRole>], slot: usize) -> Index {
    let sides = roles.iter().enumerate().filter_map(|(number, role)| Some((number, role.deny.get(slot)?)));
    let some = sides.filter_map(|(number, rule)| match rule.labels {
        _ if !rule.logins.is_empty() => Some((number, None)),
        Matcher::Nothing => None,
        Matcher::Any | Matcher::Keys(_) => Some((number, Some(&rule.labels))),
    });
    Index::new(&some.collect::<Vec<_>>())
}

/// The roles by name, and each one made ready where no user's traits change it.
pub(crate) struct Compiler<'a> {
    roles: HashMap<&'a RoleName, (&'a Role, Option<Arc<ReadyRole>>)>,
}

impl<'a> Compiler<'a> {
    /// Makes ready what is the same for everybody.
    pub(crate) fn new(roles: impl Iterator<Item = &'a Role>) -> Self {
        let ready = |role: &'a Role| {
            let own = role.allow.has_template() || role.deny.has_template();
            let shared = (!own).then(|| Arc::new(ReadyRole::new(role, &Traits::new())));
            (&role.name, (role, shared))
        };
        Self { roles: roles.map(ready).collect() }
    }

    /// Whether there is such a role.
    pub(crate) fn knows(&self, name: &RoleName) -> bool {
        self.roles.contains_key(name)
    }

    /// Makes a user ready. Roles that are not known are left out; who builds the policy reports them.
    pub(crate) fn user(&self, user: &User, locks: &Locks) -> ReadyUser {
        let known = || user.roles.iter().filter_map(|name| self.roles.get(name));
        let allow = known().flat_map(|(role, _)| &role.allow.rules);
        let deny = known().flat_map(|(role, _)| &role.deny.rules);
        let ready = |(role, shared): &(&Role, Option<Arc<ReadyRole>>)| {
            shared.clone().unwrap_or_else(|| Arc::new(ReadyRole::new(role, &user.traits)))
        };
        ReadyUser::new(known().map(ready).collect(), Admin::new(allow, deny), locks.concerning(&user.name, &user.roles))
    }
}
