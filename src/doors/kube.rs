//! The door for Kubernetes.

use std::sync::Arc;

use tapgate_kube::{Health, Kube, KubeParts};
use tapgate_model::Clock;
use tapgate_relay::Protocol;
use tapgate_session::Gate;

/// The door under `k8s.` before each name of the gate.
pub(crate) fn open(gate: &Gate, clock: &Arc<dyn Clock>, names: &[String], health: &Health) -> Arc<dyn Protocol> {
    Arc::new(Kube::new(KubeParts {
        gate: gate.clone(),
        clock: Arc::clone(clock),
        hosts: hosts(names),
        health: health.clone(),
    }))
}

/// The host names of the door; they stand in the gate's certificate.
pub(crate) fn hosts(names: &[String]) -> Vec<String> {
    let words = names.iter().filter(|name| name.parse::<std::net::IpAddr>().is_err());
    words.map(|name| format!("k8s.{name}")).collect()
}
