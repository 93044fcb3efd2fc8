//! A target: what kind of thing it is, and how it is named.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{TargetName, TargetUid};

/// The kinds of target, by the names that the resources use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An SSH server.
    Node,
    /// A database.
    Db,
    /// A Kubernetes cluster.
    KubeCluster,
    /// An HTTP or TCP application.
    App,
    /// An RDP or VNC desktop.
    WindowsDesktop,
}

impl Kind {
    /// Every kind, in the order in which lists show them.
    pub const ALL: [Self; 5] = [Self::Node, Self::Db, Self::KubeCluster, Self::App, Self::WindowsDesktop];

    /// The name that resources and certificates use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Db => "db",
            Self::KubeCluster => "kube_cluster",
            Self::App => "app",
            Self::WindowsDesktop => "windows_desktop",
        }
    }

    /// The word that a person reads, as in `MFA is required to access Node "prod3"`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Db => "Database",
            Self::KubeCluster => "Kubernetes cluster",
            Self::App => "Application",
            Self::WindowsDesktop => "Desktop",
        }
    }

    /// The command that opens a session of this kind with a tap.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Node => "tap ssh",
            Self::Db => "tap db connect",
            Self::KubeCluster => "tap kube login",
            Self::App => "tap proxy app",
            Self::WindowsDesktop => "tap desktop connect",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("not a kind of target (use node, db, kube_cluster, app or windows_desktop)")
    }
}

/// A target as a tap names it: kind, name and uid. It says nothing of where the target is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TargetRef {
    /// What kind of target.
    pub kind: Kind,
    /// Its name.
    pub name: TargetName,
    /// Its own number.
    pub uid: TargetUid,
}

/// A target's labels, such as `env=prod`.
pub type Labels = BTreeMap<String, String>;
