//! What a protocol must know of a target to log in there: of every kind its own record, without the address.

use std::sync::Arc;

use tapgate_model::Kind;
use tapgate_policy::{AppResource, DbResource, DesktopResource, KubeResource, NodeResource, Policy, TargetEntry};

use crate::NodeTrust;

/// What a target is to the protocol that leads there.
#[derive(Debug, Clone)]
pub enum About {
    /// How an SSH server is known.
    Node(NodeTrust),
    /// A database.
    Db(Arc<DbResource>),
    /// A Kubernetes cluster.
    Kube(Arc<KubeResource>),
    /// An application.
    App(Arc<AppResource>),
    /// A desktop.
    Desktop(Arc<DesktopResource>),
}

impl About {
    /// How an SSH server is known; `None` for any other target.
    pub const fn node(&self) -> Option<&NodeTrust> {
        if let Self::Node(trust) = self { Some(trust) } else { None }
    }

    /// The database; `None` for any other target.
    pub const fn db(&self) -> Option<&Arc<DbResource>> {
        if let Self::Db(db) = self { Some(db) } else { None }
    }

    /// The cluster; `None` for any other target.
    pub const fn kube(&self) -> Option<&Arc<KubeResource>> {
        if let Self::Kube(kube) = self { Some(kube) } else { None }
    }

    /// The application; `None` for any other target.
    pub const fn app(&self) -> Option<&Arc<AppResource>> {
        if let Self::App(app) = self { Some(app) } else { None }
    }

    /// The desktop; `None` for any other target.
    pub const fn desktop(&self) -> Option<&Arc<DesktopResource>> {
        if let Self::Desktop(desktop) = self { Some(desktop) } else { None }
    }
}

/// Every target of a policy with its address and its record.
pub(crate) fn all(policy: &Policy) -> impl Iterator<Item = (TargetEntry<'_>, String, About)> {
    policy.targets().filter_map(|entry| {
        let name = entry.name;
        let (address, about) = match entry.kind {
            Kind::Node => policy.node(name).map(|node| (node.addr.clone(), About::Node(trust(node))))?,
            Kind::Db => policy.db(name).map(|db| (db.addr.clone(), About::Db(Arc::new(db.clone()))))?,
            Kind::KubeCluster => {
                policy.kube_cluster(name).map(|kube| (kube.addr.clone(), About::Kube(Arc::new(kube.clone()))))?
            }
            Kind::App => policy.app(name).map(|app| (app.addr.clone(), About::App(Arc::new(app.clone()))))?,
            Kind::WindowsDesktop => {
                let desktop = policy.desktop(name)?;
                (desktop.addr.clone(), About::Desktop(Arc::new(desktop.clone())))
            }
        };
        Some((entry, address, about))
    })
}

fn trust(node: &NodeResource) -> NodeTrust {
    let host = node.addr.rsplit_once(':').map_or(node.addr.as_str(), |(host, _)| host);
    NodeTrust {
        host_keys: node.host_keys.clone(),
        host_ca: node.host_ca.clone(),
        host: host.trim_matches(['[', ']']).to_owned(),
    }
}
