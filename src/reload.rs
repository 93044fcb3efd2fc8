//! Reads anew what an operator has changed: the resource files and the certificate for browsers, when they change and
//! when the gate gets SIGHUP. What is broken is named in the log, and what was true before stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::accept::Edge;
use crate::certificate::OperatorCertificate;
use crate::limits::RELOAD_LOOK;
use crate::notify;

/// What is looked at.
pub(crate) struct Watched {
    pub(crate) edge: Arc<Edge>,
    pub(crate) certificate: Arc<OperatorCertificate>,
    pub(crate) resources: Option<PathBuf>,
    hangup: Signal,
}

/// How the files stood when they were looked at: when each was written, and how long it is.
type Stamp = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

impl Watched {
    pub(crate) fn new(
        edge: Arc<Edge>,
        certificate: Arc<OperatorCertificate>,
        resources: Option<PathBuf>,
    ) -> Result<Self> {
        let hangup = signal(SignalKind::hangup()).context("can't watch for SIGHUP")?;
        Ok(Self { edge, certificate, resources, hangup })
    }

    /// Watches until it is told to stop.
    pub(crate) async fn watch(mut self, stop: CancellationToken) {
        let (mut resources, mut certificate) = (self.resources_stamp(), self.certificate_stamp());
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = self.hangup.recv() => true,
                () = tokio::time::sleep(RELOAD_LOOK) => false,
            };
            if asked {
                notify::reloading();
            }
            // A handful of file names: quicker than to hand them to another thread.
            let now = self.resources_stamp();
            if asked || now != resources {
                resources = now;
                self.reload_resources().await;
            }
            let now = self.certificate_stamp();
            if asked || now != certificate {
                certificate = now;
                told("the certificate for browsers", self.certificate.reload());
            }
            if asked {
                notify::ready();
            }
        }
    }

    async fn reload_resources(&self) {
        let edge = Arc::clone(&self.edge);
        let installed = tokio::task::spawn_blocking(move || edge.web.install()).await;
        let installed = installed.context("the reading broke").and_then(|read| Ok(read?));
        told("the resources", installed);
    }

    fn resources_stamp(&self) -> Stamp {
        let files = tapgate_authority::resource_files(self.resources.as_deref()).unwrap_or_default();
        files.into_iter().map(stamp).collect()
    }

    fn certificate_stamp(&self) -> Stamp {
        let files = self.certificate.files().map(|files| [&files.certificate, &files.key]);
        files.into_iter().flatten().map(|path| stamp(path.clone())).collect()
    }
}

fn stamp(path: PathBuf) -> (PathBuf, Option<(SystemTime, u64)>) {
    let stands = |path: &Path| {
        let facts = std::fs::metadata(path).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    };
    let found = stands(&path);
    (path, found)
}

/// Says how it went, and counts it.
fn told(what: &'static str, reloaded: Result<()>) {
    let result = if reloaded.is_ok() { "good" } else { "broken" };
    metrics::counter!("tapgate_reloads_total", "what" => what, "result" => result).increment(1);
    match reloaded {
        Ok(()) => tracing::info!(what, "Read anew"),
        Err(error) => tracing::error!(what, error = format!("{error:#}"), "Could not be read anew: the old stays"),
    }
}
