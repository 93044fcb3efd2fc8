//! What is done inside a Kubernetes cluster, and sets of that.

use std::time::Duration;

use crate::at::At;
use crate::limits::{FRESH_TAP, WINDOW_MAX};
use crate::section::Section;

/// One thing that a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubeVerb {
    /// Reads one object, or one of its parts such as a log.
    Get,
    /// Reads a collection.
    List,
    /// Follows the changes of a collection.
    Watch,
    /// Creates an object.
    Create,
    /// Replaces an object.
    Update,
    /// Changes an object.
    Patch,
    /// Deletes an object; evicting a pod is no less.
    Delete,
    /// Deletes a collection.
    DeleteCollection,
    /// Runs something in a container, or attaches to what runs there.
    Exec,
    /// Reaches a port of a pod.
    PortForward,
    /// Speaks HTTP to a pod, a service or a node.
    Proxy,
}

/// Some verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KubeVerbs(u16);

/// Which verbs need a tap that was made a moment ago, and how long ago that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KubeFreshTap {
    /// The verbs.
    pub verbs: KubeVerbs,
    /// The moment.
    pub within: Duration,
}

impl KubeFreshTap {
    /// What a role says that says nothing; combining with it adds nothing.
    pub const NONE: Self = Self { verbs: KubeVerbs::NONE, within: WINDOW_MAX };

    /// What two roles say together: every verb of either, and the shorter moment.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { verbs: self.verbs.or(other.verbs), within: self.within.min(other.within) }
    }

    /// Reads `kubernetes_fresh_tap`.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let verbs = section.need("verbs", "[delete, exec]").map_or(KubeVerbs::NONE, |at| read(&at));
        let within = section.take("within").and_then(|at| at.duration()).unwrap_or(FRESH_TAP).min(WINDOW_MAX);
        section.finish();
        Self { verbs, within }
    }
}

impl KubeVerb {
    const ALL: [Self; 11] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
        Self::Exec,
        Self::PortForward,
        Self::Proxy,
    ];

    /// Its name in roles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Exec => "exec",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
        }
    }

    /// The verb of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    const fn bit(self) -> u16 {
        match self {
            Self::Get => 1,
            Self::List => 1 << 1,
            Self::Watch => 1 << 2,
            Self::Create => 1 << 3,
            Self::Update => 1 << 4,
            Self::Patch => 1 << 5,
            Self::Delete => 1 << 6,
            Self::DeleteCollection => 1 << 7,
            Self::Exec => 1 << 8,
            Self::PortForward => 1 << 9,
            Self::Proxy => 1 << 10,
        }
    }
}

impl KubeVerbs {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self((1 << 11) - 1);
    /// What opens a way into a pod, service or node.
    pub const CONNECTING: Self = Self(KubeVerb::Exec.bit() | KubeVerb::PortForward.bit() | KubeVerb::Proxy.bit());

    /// Whether this one is among them.
    pub const fn has(self, verb: KubeVerb) -> bool {
        self.0 & verb.bit() != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Reads verbs by name; `*` is all of them, and `connect` those that open a way in.
pub(crate) fn read(at: &At<'_>) -> KubeVerbs {
    let named = KubeVerb::ALL.map(|verb| (verb.name(), KubeVerbs(verb.bit())));
    let more = [("connect", KubeVerbs::CONNECTING), ("*", KubeVerbs::ALL)];
    let choices: Vec<_> = named.into_iter().chain(more).collect();
    let items = at.one_or_more().unwrap_or_default();
    items.iter().filter_map(|item| item.choice(&choices)).fold(KubeVerbs::NONE, KubeVerbs::or)
}
