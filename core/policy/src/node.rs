//! `node`: an SSH server, and the host keys by which it is known.

use tapgate_model::{Kind, Labels, TargetName, TargetUid};

use crate::metadata::Metadata;
use crate::node_ssh::NodeSsh;
use crate::section::Section;
use crate::{address, ssh_key};

/// An SSH server. It has a host key or a host CA: none is ever trusted on first use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeResource {
    /// Its name, as people type it.
    pub name: TargetName,
    /// Its own number.
    pub uid: TargetUid,
    /// Its labels.
    pub labels: Labels,
    /// Where it is, as `host:port`.
    pub addr: String,
    /// Its host name, where it differs from its name.
    pub hostname: Option<String>,
    /// Its host keys, as OpenSSH public key lines.
    pub host_keys: Vec<String>,
    /// The keys that may sign its host certificate, as OpenSSH public key lines.
    pub host_ca: Vec<String>,
    /// How the gate enters it.
    pub ssh: NodeSsh,
}

const UNSUPPORTED: &[(&str, &str)] = &[
    ("rotation", "remove it"),
    ("public_addrs", "use `addr`"),
    ("proxy_ids", "remove it"),
    ("use_tunnel", "remove it: the gate connects to `addr`"),
    ("peer_addr", "use `addr`"),
    ("cmd_labels", "use `metadata.labels`"),
    ("version", "remove it"),
    ("github", "remove it"),
    ("cloud_metadata", "remove it"),
];

impl NodeResource {
    /// Reads a node's `spec`.
    pub(crate) fn read(metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Self> {
        let spec = spec.without(UNSUPPORTED);
        let addr = spec.need("addr", "\"host:22\"").and_then(|at| address::read(&at));
        let hostname = spec.take("hostname").and_then(|at| address::host(&at));
        let trusted = spec.holds_any(&["host_keys", "host_ca"]);
        let (host_keys, host_ca) = (ssh_key::read(&spec, "host_keys"), ssh_key::read(&spec, "host_ca"));
        if !trusted {
            spec.problem(
                "the node has neither `host_keys` nor `host_ca` (add the line that `ssh-keyscan` prints and that you \
                 have compared on the node; nothing is trusted on first use)",
            );
        }
        let ssh = NodeSsh::read(&spec);
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::Node, &name);
        Some(Self { name, uid, labels: metadata.labels(), addr: addr?, hostname, host_keys, host_ca, ssh })
    }
}
