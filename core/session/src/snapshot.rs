//! What is true now: policy, targets and registrations, swapped whole and never changed in place.

use std::collections::HashMap;
use std::sync::Arc;

use tapgate_model::{Kind, Labels, TargetName, TargetRef, TargetUid};
use tapgate_policy::{NodeResource, NodeSsh, Policy};
use tapgate_proof::Chained;

/// What the gate decides by. [`crate::Gate::install`] swaps it whole.
pub struct Snapshot {
    pub(crate) policy: Arc<Policy>,
    pub(crate) registrations: Chained,
    targets: HashMap<Kind, HashMap<TargetName, Arc<Record>>>,
    /// Counts installations; evidence remembers under which one it was weighed.
    pub(crate) epoch: u64,
}

/// A target, with the address that nobody outside this crate can read.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) target: TargetRef,
    pub(crate) labels: Labels,
    pub(crate) address: String,
    pub(crate) trust: NodeTrust,
    /// How the gate enters it, where it is a node.
    pub(crate) ssh: NodeSsh,
    /// The nodes on the way, the first one to be connected to first. With one, `address` is the first one's.
    pub(crate) hops: Vec<Hop>,
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

impl Snapshot {
    /// A snapshot of this policy's targets and these registrations.
    pub fn new(policy: Arc<Policy>, registrations: Chained) -> Self {
        let mut targets: HashMap<Kind, HashMap<TargetName, Arc<Record>>> = HashMap::new();
        for node in policy.nodes() {
            let record = node_record(&policy, node);
            targets.entry(Kind::Node).or_default().insert(node.name.clone(), Arc::new(record));
        }
        Self { policy, registrations, targets, epoch: 0 }
    }

    /// The policy.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The registrations whose chain was verified.
    pub const fn registrations(&self) -> &Chained {
        &self.registrations
    }

    pub(crate) fn find(&self, kind: Kind, name: &TargetName) -> Option<&Arc<Record>> {
        self.targets.get(&kind)?.get(name)
    }

    pub(crate) fn has(&self, kind: Kind, name: &TargetName, uid: &TargetUid) -> bool {
        self.find(kind, name).is_some_and(|record| record.target.uid == *uid)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.targets.values().flat_map(HashMap::values)
    }
}

fn node_record(policy: &Policy, node: &NodeResource) -> Record {
    let (hops, address) = way(policy, node);
    let (target, labels, ssh) = (node_ref(node), node.labels.clone(), node.ssh.clone());
    Record { target, labels, address, trust: trust(node), ssh, hops }
}

fn node_ref(node: &NodeResource) -> TargetRef {
    TargetRef { kind: Kind::Node, name: node.name.clone(), uid: node.uid }
}

fn trust(node: &NodeResource) -> NodeTrust {
    let (host, _) = split(&node.addr);
    NodeTrust { host_keys: node.host_keys.clone(), host_ca: node.host_ca.clone(), host }
}

/// The nodes on the way to one, and the address of the first. The policy has made sure that the way ends.
fn way(policy: &Policy, node: &NodeResource) -> (Vec<Hop>, String) {
    let mut hops = Vec::new();
    let mut here = node;
    while let Some(via) = here.ssh.via.as_ref().and_then(|via| policy.node(via)) {
        let (onward_host, onward_port) = split(&here.addr);
        hops.push(Hop { node: node_ref(via), trust: trust(via), ssh: via.ssh.clone(), onward_host, onward_port });
        here = via;
    }
    hops.reverse();
    (hops, here.addr.clone())
}

/// The host and the port of an address, which the policy has looked at.
fn split(address: &str) -> (String, u16) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or_default())
}
