//! What SSH must know of a node: how it is known, how it is entered, and which nodes lie on the way.

use tapgate_model::{Kind, TargetRef};
use tapgate_policy::{NodeResource, NodeSsh, Policy};

/// What SSH must know of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeWay {
    /// How the node is known to be the right one.
    pub trust: NodeTrust,
    /// How the gate enters it.
    pub ssh: NodeSsh,
    /// The nodes on the way, the first one to be connected to first; usually none.
    pub hops: Vec<Hop>,
}

/// A node on the way to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The node.
    pub node: TargetRef,
    /// How it is known to be the right one.
    pub trust: NodeTrust,
    /// How the gate enters it.
    pub ssh: NodeSsh,
    /// The host to which it is to connect next.
    pub onward_host: String,
    /// The port there.
    pub onward_port: u16,
}

/// How a protocol knows a target to be the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTrust {
    /// The target's own host keys, as lines of OpenSSH.
    pub host_keys: Vec<String>,
    /// Keys that may sign its host certificate, as lines of OpenSSH.
    pub host_ca: Vec<String>,
    /// The host part of its address, which its host certificate may name instead of the target.
    pub host: String,
}

impl NodeWay {
    /// The way to a node, and the address where it begins: the first node's on the way, or its own. The policy has
    /// made sure that the way ends.
    pub(crate) fn of(policy: &Policy, node: &NodeResource) -> (String, Self) {
        let mut hops = Vec::new();
        let mut here = node;
        while let Some(via) = here.ssh.via.as_ref().and_then(|via| policy.node(via)) {
            let (onward_host, onward_port) = split(&here.addr);
            hops.push(Hop { node: node_ref(via), trust: trust(via), ssh: via.ssh.clone(), onward_host, onward_port });
            here = via;
        }
        hops.reverse();
        (here.addr.clone(), Self { trust: trust(node), ssh: node.ssh.clone(), hops })
    }
}

fn node_ref(node: &NodeResource) -> TargetRef {
    TargetRef { kind: Kind::Node, name: node.name.clone(), uid: node.uid }
}

fn trust(node: &NodeResource) -> NodeTrust {
    let (host, _) = split(&node.addr);
    NodeTrust { host_keys: node.host_keys.clone(), host_ca: node.host_ca.clone(), host }
}

/// The host and the port of an address, which the policy has looked at.
fn split(address: &str) -> (String, u16) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or_default())
}
