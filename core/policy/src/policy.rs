//! The policy: every resource of a cluster, checked against each other and compiled.

use std::collections::{BTreeMap, HashMap, HashSet};

use tapgate_model::{Kind, Labels, ObjectName, RoleName, TargetName, TargetUid, UnixTime, UserName};

use crate::admin::{Records, Verb};
use crate::compile::{Compiler, ReadyUser};
use crate::limits::{HOPS_MAX, PROBLEMS_MAX};
use crate::locate::{self, Step};
use crate::lock::Lock;
use crate::locks::Locks;
use crate::resource::{Document, Resource, ResourceKind};
use crate::terms::{LoginTerms, SessionMfa};
use crate::{
    AppResource, AuthPreference, DbResource, DesktopResource, KubeResource, NodeResource, OidcResource, Problem, Role,
};

/// Every resource of a cluster. It never changes: a new one takes its place.
#[derive(Debug, Default)]
pub struct Policy {
    pub(crate) users: HashMap<UserName, ReadyUser>,
    pub(crate) locks: Locks,
    pub(crate) preference: AuthPreference,
    nodes: BTreeMap<TargetName, NodeResource>,
    dbs: BTreeMap<TargetName, DbResource>,
    kube_clusters: BTreeMap<TargetName, KubeResource>,
    apps: BTreeMap<TargetName, AppResource>,
    desktops: BTreeMap<TargetName, DesktopResource>,
    connectors: Vec<OidcResource>,
}

/// A target of any kind, as the policy knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetEntry<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: &'a TargetName,
    /// Its uid.
    pub uid: &'a TargetUid,
    /// Its labels.
    pub labels: &'a Labels,
}

impl Policy {
    /// Checks the documents against each other and compiles them. All problems are told at once.
    pub fn build(documents: &[Document]) -> Result<Self, Vec<Problem>> {
        let compiler = Compiler::new(documents.iter().filter_map(role));
        let mut problems = repeated(documents);
        problems.extend(documents.iter().flat_map(|document| dangling(document, documents, &compiler)));
        problems.truncate(PROBLEMS_MAX);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut policy = Self { locks: Locks::new(documents.iter().filter_map(lock)), ..Self::default() };
        for document in documents {
            policy.add(document, &compiler);
        }
        Ok(policy)
    }

    fn add(&mut self, document: &Document, compiler: &Compiler<'_>) {
        match &document.resource {
            Resource::User(user) => drop(self.users.insert(user.name.clone(), compiler.user(user, &self.locks))),
            Resource::ClusterAuthPreference(preference) => self.preference = preference.clone(),
            Resource::Node(node) => drop(self.nodes.insert(node.name.clone(), node.clone())),
            Resource::Db(db) => drop(self.dbs.insert(db.name.clone(), db.clone())),
            Resource::KubeCluster(kube) => drop(self.kube_clusters.insert(kube.name.clone(), kube.clone())),
            Resource::App(app) => drop(self.apps.insert(app.name.clone(), app.clone())),
            Resource::WindowsDesktop(desktop) => drop(self.desktops.insert(desktop.name.clone(), desktop.clone())),
            Resource::Oidc(connector) => self.connectors.push(connector.as_ref().clone()),
            Resource::Role(_) | Resource::Lock(_) => {}
        }
    }

    /// What holds for everybody.
    pub const fn preference(&self) -> &AuthPreference {
        &self.preference
    }

    /// Every user's name, in no order.
    pub fn users(&self) -> impl Iterator<Item = &UserName> {
        self.users.keys()
    }

    /// A user's roles, in the order in which the user names them; `None` where there is no such user.
    pub fn roles_of(&self, user: &UserName) -> Option<Vec<RoleName>> {
        Some(self.users.get(user)?.roles.iter().map(|role| role.name.clone()).collect())
    }

    /// What holds for a user's login; `None` where there is no such user.
    pub fn login_terms(&self, user: &UserName) -> Option<LoginTerms> {
        let base = self.users.get(user)?.base;
        Some(LoginTerms { max_session_ttl: base.max_session_ttl, pin_source_ip: base.pin_source_ip })
    }

    /// The strictest tap that any session of this user may need: what adds or removes a key of theirs must
    /// be no weaker.
    pub fn strictest_mfa(&self, user: &UserName) -> SessionMfa {
        let roles = self.users.get(user).map_or(&[][..], |user| &user.roles);
        let strictest = roles.iter().map(|role| role.terms.session_mfa).max().unwrap_or_default();
        strictest.max(self.preference.require_session_mfa)
    }

    /// Whether a user may do this to resources of this kind. Locks are asked for apart.
    pub fn may_administer(&self, user: &UserName, kind: ResourceKind, verb: Verb) -> bool {
        self.users.get(user).is_some_and(|user| user.admin.may(kind, verb))
    }

    /// Whether a user may see these records of what happened.
    pub fn may_see(&self, user: &UserName, records: Records, verb: Verb) -> bool {
        self.users.get(user).is_some_and(|user| user.admin.may_see(records, verb))
    }

    /// The lock in force on a user or on one of their roles: it ends what they do, whatever the target.
    pub fn lock_on(&self, user: &UserName, now: UnixTime) -> Option<&Lock> {
        match self.users.get(user) {
            Some(ready) => self.locks.first(&ready.locks, now),
            None => self.locks.on_stranger(user, now),
        }
    }

    /// The lock in force on a node itself, whoever wants to go there or through it.
    pub fn lock_on_node(&self, name: &TargetName, uid: &TargetUid, now: UnixTime) -> Option<&Lock> {
        self.locks.on_target(Kind::Node, name, uid, now)
    }

    /// The lock of this name, in force or not.
    pub fn lock(&self, name: &ObjectName) -> Option<&Lock> {
        self.locks.named(name)
    }

    /// Every lock, in force or not.
    pub fn locks(&self) -> impl Iterator<Item = &Lock> {
        self.locks.iter()
    }

    /// Every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeResource> {
        self.nodes.values()
    }

    /// The node of this name.
    pub fn node(&self, name: &TargetName) -> Option<&NodeResource> {
        self.nodes.get(name)
    }

    /// Every database, by name.
    pub fn dbs(&self) -> impl Iterator<Item = &DbResource> {
        self.dbs.values()
    }

    /// The database of this name.
    pub fn db(&self, name: &TargetName) -> Option<&DbResource> {
        self.dbs.get(name)
    }

    /// Every Kubernetes cluster, by name.
    pub fn kube_clusters(&self) -> impl Iterator<Item = &KubeResource> {
        self.kube_clusters.values()
    }

    /// The cluster of this name.
    pub fn kube_cluster(&self, name: &TargetName) -> Option<&KubeResource> {
        self.kube_clusters.get(name)
    }

    /// Every application, by name.
    pub fn apps(&self) -> impl Iterator<Item = &AppResource> {
        self.apps.values()
    }

    /// The application of this name.
    pub fn app(&self, name: &TargetName) -> Option<&AppResource> {
        self.apps.get(name)
    }

    /// Every desktop, by name.
    pub fn desktops(&self) -> impl Iterator<Item = &DesktopResource> {
        self.desktops.values()
    }

    /// The desktop of this name.
    pub fn desktop(&self, name: &TargetName) -> Option<&DesktopResource> {
        self.desktops.get(name)
    }

    /// Every `OpenID` Connect provider.
    pub fn connectors(&self) -> impl Iterator<Item = &OidcResource> {
        self.connectors.iter()
    }

    /// The provider of this name.
    pub fn connector(&self, name: &str) -> Option<&OidcResource> {
        self.connectors.iter().find(|connector| connector.name.as_str() == name)
    }

    /// Every target, kind by kind and by name.
    pub fn targets(&self) -> impl Iterator<Item = TargetEntry<'_>> {
        macro_rules! entries {
            ($map:ident, $kind:ident) => {
                self.$map.values().map(|target| TargetEntry {
                    kind: Kind::$kind,
                    name: &target.name,
                    uid: &target.uid,
                    labels: &target.labels,
                })
            };
        }
        entries!(nodes, Node)
            .chain(entries!(dbs, Db))
            .chain(entries!(kube_clusters, KubeCluster))
            .chain(entries!(apps, App))
            .chain(entries!(desktops, WindowsDesktop))
    }

    /// The target of this kind and name.
    pub fn target(&self, kind: Kind, name: &TargetName) -> Option<TargetEntry<'_>> {
        macro_rules! entry {
            ($map:ident) => {
                self.$map.get(name).map(|target| TargetEntry {
                    kind,
                    name: &target.name,
                    uid: &target.uid,
                    labels: &target.labels,
                })
            };
        }
        match kind {
            Kind::Node => entry!(nodes),
            Kind::Db => entry!(dbs),
            Kind::KubeCluster => entry!(kube_clusters),
            Kind::App => entry!(apps),
            Kind::WindowsDesktop => entry!(desktops),
        }
    }
}

fn role(document: &Document) -> Option<&Role> {
    match &document.resource {
        Resource::Role(role) => Some(role),
        _ => None,
    }
}

fn lock(document: &Document) -> Option<Lock> {
    match &document.resource {
        Resource::Lock(lock) => Some(lock.clone()),
        _ => None,
    }
}

/// Two resources of one kind and name, or two targets with one uid.
fn repeated(documents: &[Document]) -> Vec<Problem> {
    let (mut names, mut uids, mut problems) = (HashMap::new(), HashSet::new(), Vec::new());
    for document in documents {
        if let Some(first) = names.insert((document.kind, &document.name), document) {
            let what = format!(
                "the {} `{}` stands twice (keep this one or the one at {}:{})",
                document.kind, document.name, first.source, first.line
            );
            problems.push(problem(document, &[field("metadata"), field("name")], what));
        } else if uid(&document.resource).is_some_and(|uid| !uids.insert(uid)) {
            let what = "another target has this uid (give each its own, or remove `uid`)".to_owned();
            problems.push(problem(document, &[field("metadata"), field("uid")], what));
        }
    }
    problems
}

const fn uid(resource: &Resource) -> Option<TargetUid> {
    match resource {
        Resource::Node(node) => Some(node.uid),
        Resource::Db(db) => Some(db.uid),
        Resource::KubeCluster(kube) => Some(kube.uid),
        Resource::App(app) => Some(app.uid),
        Resource::WindowsDesktop(desktop) => Some(desktop.uid),
        Resource::Role(_)
        | Resource::User(_)
        | Resource::ClusterAuthPreference(_)
        | Resource::Lock(_)
        | Resource::Oidc(_) => None,
    }
}

/// What a document names and nothing is.
fn dangling(document: &Document, documents: &[Document], compiler: &Compiler<'_>) -> Vec<Problem> {
    let spec = field("spec");
    let unknown = |name: &RoleName, path: &[Step]| {
        let what =
            format!("there is no role `{name}` (create it, or remove it from {} `{}`)", document.kind, document.name);
        (!compiler.knows(name)).then(|| problem(document, path, what))
    };
    match &document.resource {
        Resource::User(user) => {
            let roles = user.roles.iter().enumerate();
            roles.filter_map(|(n, role)| unknown(role, &[spec.clone(), field("roles"), Step::Item(n)])).collect()
        }
        Resource::Oidc(connector) => {
            // An account is known by its issuer, so that two connectors of one would be one under two sets of rules.
            let twin = documents.iter().find(|other| {
                let same = |other: &OidcResource| other.issuer_url == connector.issuer_url;
                other.name != document.name && matches!(&other.resource, Resource::Oidc(other) if same(other))
            });
            let twin = twin.map(|twin| {
                let what = format!("the oidc `{}` has this issuer too (keep one of the two)", twin.name);
                problem(document, &[spec.clone(), field("issuer_url")], what)
            });
            let claims = connector.claims_to_roles.iter().enumerate();
            let roles = claims.flat_map(|(n, rule)| rule.roles.iter().map(move |role| (n, role)));
            roles
                .filter_map(|(n, role)| {
                    unknown(role, &[spec.clone(), field("claims_to_roles"), Step::Item(n), field("roles")])
                })
                .chain(twin)
                .collect()
        }
        Resource::ClusterAuthPreference(AuthPreference { connector: Some(name), .. }) => {
            let known = documents.iter().any(|other| other.kind == ResourceKind::Oidc && other.name == *name);
            let what = format!("there is no oidc resource `{name}` (create it, or use `type: local`)");
            (!known).then(|| problem(document, &[spec, field("connector_name")], what)).into_iter().collect()
        }
        Resource::Node(node) => {
            let path = [spec, field("ssh"), field("via")];
            astray(node, documents).map(|what| problem(document, &path, what)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// What is wrong with the way to a node.
fn astray(node: &NodeResource, documents: &[Document]) -> Option<String> {
    let find = |name: &TargetName| {
        documents.iter().find_map(|document| match &document.resource {
            Resource::Node(node) if node.name == *name => Some(node),
            _ => None,
        })
    };
    let mut here = node;
    for _ in 0..HOPS_MAX {
        let via = here.ssh.via.as_ref()?;
        let Some(next) = find(via) else {
            return Some(format!("there is no node `{via}` (create it, or remove `via`)"));
        };
        here = next;
    }
    let more = here.ssh.via.is_some();
    more.then(|| format!("more than {HOPS_MAX} nodes lie on the way, or they lead in a circle (shorten it)"))
}

fn field(name: &str) -> Step {
    Step::Field(name.to_owned())
}

fn problem(document: &Document, path: &[Step], what: String) -> Problem {
    let line = document.line + locate::line(&document.yaml, path).saturating_sub(1);
    Problem { source: document.source.clone(), line, what }
}
