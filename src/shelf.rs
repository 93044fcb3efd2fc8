//! Where recordings are, as the configuration says, and how long they are kept there.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use tapgate_audit::{Event, Sink};
use tapgate_config::{Config, KeepRule};
use tapgate_record::{Folder, Keep, Shelf, prune};
use tapgate_session::Gate;
use tokio_util::sync::CancellationToken;

use crate::limits::PRUNE_EVERY;

/// The shelf of this configuration.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn Shelf>> {
    let cannot = || format!("can't make the directory of recordings {}", config.recordings.display());
    match &config.recordings_s3 {
        None => Ok(Arc::new(Folder::new(&config.recordings).with_context(cannot)?)),
        #[cfg(feature = "s3")]
        Some(store) => crate::store::open(&config.recordings, store),
        #[cfg(not(feature = "s3"))]
        Some(_) => {
            anyhow::bail!("this gate was built without S3 (build it with the feature s3, or remove `recordings_s3`)")
        }
    }
}

/// Removes recordings that are kept no longer, until the gate closes.
pub(crate) async fn look_after(
    shelf: Arc<dyn Shelf>,
    rule: KeepRule,
    gate: Gate,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
) {
    let keep = Keep { age: rule.age, size: rule.size };
    let (gate, sink) = (Arc::new(gate), sink);
    while keep != Keep::default() {
        let (shelf, gate, sink) = (Arc::clone(&shelf), Arc::clone(&gate), Arc::clone(&sink));
        let work = tokio::task::spawn_blocking(move || {
            let live = gate.live_ids();
            let tell = |session, why: &str| sink.record(Event::recording_removed(session, why));
            prune(&*shelf, &keep, SystemTime::now(), |session| live.contains(&session), tell)
        });
        match work.await {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "Removed recordings that are kept no longer"),
            Ok(Err(error)) => tracing::warn!(%error, "Could not remove recordings that are kept no longer"),
            Err(error) => tracing::error!(%error, "Looking after the recordings broke"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PRUNE_EVERY) => {}
        }
    }
}
