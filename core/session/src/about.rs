//! What a protocol must know of a target to log in there: of every kind its own record, without the address.

use std::sync::Arc;

use tapgate_model::Kind;
use tapgate_policy::{AppResource, DbResource, DesktopResource, KubeResource, Policy, TargetEntry};

use crate::{Hop, NodeWay};

/// What a target is to the protocol that leads there.
#[derive(Debug, Clone)]
pub enum About {
    /// An SSH server.
    Node(Arc<NodeWay>),
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
    /// The SSH server; `None` for any other target.
    pub const fn node(&self) -> Option<&Arc<NodeWay>> {
        if let Self::Node(node) = self { Some(node) } else { None }
    }

    /// The nodes on the way to it; none for what is no SSH server.
    pub(crate) fn hops(&self) -> &[Hop] {
        self.node().map_or(&[], |node| &node.hops)
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
            Kind::Node => {
                let (address, way) = NodeWay::of(policy, policy.node(name)?);
                (address, About::Node(Arc::new(way)))
            }
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
