//! `spec.ssh` of a node: how the gate enters it where it is not the plainest server.

use tapgate_model::{LoginName, ObjectName, TargetName};

use crate::section::Section;

/// How the gate enters a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSsh {
    /// The stored key by which the gate logs in there; without one it shows a certificate of its own authority.
    pub key: Option<ObjectName>,
    /// Whether algorithms that only servers of before 2018 need may be used.
    pub legacy_algorithms: bool,
    /// The node through which it is reached.
    pub via: Option<TargetName>,
    /// The login that the gate uses where this node lies on the way to another; the session's own where none is given.
    pub jump_login: Option<LoginName>,
}

impl NodeSsh {
    /// Takes `spec.ssh`, where it is there.
    pub(crate) fn read(spec: &Section<'_>) -> Self {
        let Some(ssh) = spec.section("ssh", "ssh") else { return Self::default() };
        let read = Self {
            key: ssh.take("key").and_then(|at| at.parse()),
            legacy_algorithms: ssh.flag("legacy_algorithms", false),
            via: ssh.take("via").and_then(|at| at.parse()),
            jump_login: ssh.take("jump_login").and_then(|at| at.parse()),
        };
        ssh.finish();
        read
    }
}
