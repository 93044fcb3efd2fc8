//! SSH, with what it needs of the authority.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tapgate_authority::Authority;
use tapgate_config::Config;
use tapgate_session::Gate;
use tapgate_ssh::{KeySource, Ssh, SshParts};

use crate::start::Opened;
use tapgate_identity::TrustSource;

/// The SSH protocol.
pub(crate) fn make(config: &Config, opened: &Opened, gate: &Gate, trust: &TrustSource) -> Result<Ssh> {
    let Opened { authority, sink, clock, .. } = opened;
    let (host_key, host_certificate) = authority.host_ssh().context("can't issue the SSH host certificate")?;
    Ssh::new(SshParts {
        gate: gate.clone(),
        trust: Arc::clone(trust),
        clock: Arc::clone(clock),
        sink: sink.clone(),
        host_key,
        host_certificate,
        host_ca: authority.host_ca(),
        target_ca: authority.target_ca(),
        keys: keys(authority),
        gate_name: config.cluster_name.clone(),
    })
    .context("the SSH door can't be opened")
}

/// Where the SSH protocol finds the keys for targets that trust no authority.
fn keys(authority: &Arc<Authority>) -> KeySource {
    let authority = Arc::clone(authority);
    Arc::new(move |name| {
        let authority = Arc::clone(&authority);
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || authority.node_key(&name));
            read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        })
    })
}
