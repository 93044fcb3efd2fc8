//! A resource: its kind, its name, its own text, and what was read from it.

use std::fmt;
use std::str::FromStr;

use tapgate_model::{Kind, ObjectName};

use crate::{
    AppResource, AuthPreference, DbResource, DesktopResource, KubeResource, Lock, NodeResource, OidcResource, Role,
    User,
};

/// The kinds of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// What its holders may open.
    Role,
    /// A person.
    User,
    /// What holds for everybody.
    ClusterAuthPreference,
    /// An SSH server.
    Node,
    /// A database.
    Db,
    /// A Kubernetes cluster.
    KubeCluster,
    /// An application.
    App,
    /// An RDP or VNC desktop.
    WindowsDesktop,
    /// An order that ends sessions and refuses new ones.
    Lock,
    /// An `OpenID` Connect provider.
    Oidc,
}

impl ResourceKind {
    /// Every kind, in the order in which lists show them.
    pub const ALL: [Self; 10] = [
        Self::Role,
        Self::User,
        Self::ClusterAuthPreference,
        Self::Node,
        Self::Db,
        Self::KubeCluster,
        Self::App,
        Self::WindowsDesktop,
        Self::Lock,
        Self::Oidc,
    ];

    /// The name that a document's `kind` holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::User => "user",
            Self::ClusterAuthPreference => "cluster_auth_preference",
            Self::Node => "node",
            Self::Db => "db",
            Self::KubeCluster => "kube_cluster",
            Self::App => "app",
            Self::WindowsDesktop => "windows_desktop",
            Self::Lock => "lock",
            Self::Oidc => "oidc",
        }
    }

    /// The words of a message: `cluster auth preference has been updated`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ClusterAuthPreference => "cluster auth preference",
            Self::KubeCluster => "kube cluster",
            Self::WindowsDesktop => "windows desktop",
            other => other.as_str(),
        }
    }

    /// The kind of target, where the resource is one.
    pub const fn target(self) -> Option<Kind> {
        match self {
            Self::Node => Some(Kind::Node),
            Self::Db => Some(Kind::Db),
            Self::KubeCluster => Some(Kind::KubeCluster),
            Self::App => Some(Kind::App),
            Self::WindowsDesktop => Some(Kind::WindowsDesktop),
            Self::Role | Self::User | Self::ClusterAuthPreference | Self::Lock | Self::Oidc => None,
        }
    }

    /// What people also type on the command line. A document's own `kind` takes none of these.
    const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Role => &["roles"],
            Self::User => &["users"],
            Self::ClusterAuthPreference => &["cap", "cluster_auth_preferences"],
            Self::Node => &["nodes"],
            Self::Db => &["dbs", "database", "databases"],
            Self::KubeCluster => &["kube_clusters", "kube", "kubes"],
            Self::App => &["apps"],
            Self::WindowsDesktop => &["windows_desktops", "desktop", "desktops"],
            Self::Lock => &["locks"],
            Self::Oidc => &["oidcs", "oidc_connector"],
        }
    }

    /// The kind that a document names, without aliases.
    pub(crate) fn exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Takes the aliases too, as `tapctl get cap` does.
impl FromStr for ResourceKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text || kind.aliases().contains(&text))
            .ok_or_else(|| format!("unknown kind `{text}` (use {})", Self::list()))
    }
}

impl ResourceKind {
    /// Every kind's name, for messages.
    pub(crate) fn list() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

/// What a document holds.
#[derive(Debug, Clone)]
pub enum Resource {
    /// A role.
    Role(Box<Role>),
    /// A user.
    User(User),
    /// The cluster's authentication preference.
    ClusterAuthPreference(AuthPreference),
    /// An SSH server.
    Node(NodeResource),
    /// A database.
    Db(DbResource),
    /// A Kubernetes cluster.
    KubeCluster(KubeResource),
    /// An application.
    App(AppResource),
    /// A desktop.
    WindowsDesktop(DesktopResource),
    /// A lock.
    Lock(Lock),
    /// An `OpenID` Connect provider.
    Oidc(Box<OidcResource>),
}

/// One YAML document, read and checked.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: ObjectName,
    /// Its own text, comments and all, without the `---` around it.
    pub yaml: String,
    /// What was read.
    pub resource: Resource,
    /// The file it came from, or `<stdin>`.
    pub source: String,
    /// The line of the source at which its text starts.
    pub line: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_names_and_shown_by_one() {
        for kind in ResourceKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            for alias in kind.aliases() {
                assert_eq!(alias.parse(), Ok(kind));
                assert_eq!(ResourceKind::exact(alias), None);
            }
        }
        assert!("x".parse::<ResourceKind>().is_err_and(|e| e.starts_with("unknown kind `x` (use role, user, ")));
    }
}
