//! Reads anew what an operator has changed: the resource files and the certificate for browsers, when they change and
//! when the gate gets SIGHUP. What is broken is named in the log, and what was true before stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use tapgate_model::{Clock as _, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::accept::Edge;
use crate::certificate::OperatorCertificate;
use crate::limits::RELOAD_LOOK;
use crate::notify;
use crate::words::words;

/// What is looked at.
pub(crate) struct Watched {
    pub(crate) edge: Arc<Edge>,
    pub(crate) certificate: Arc<OperatorCertificate>,
    pub(crate) resources: Option<PathBuf>,
    hangup: Signal,
    /// Whether it was told that the certificate has expired.
    told_over: bool,
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
        Ok(Self { edge, certificate, resources, hangup, told_over: false })
    }

    /// Watches until it is told to stop.
    pub(crate) async fn watch(mut self, stop: CancellationToken) {
        let (mut resources, mut certificate) = (self.resources_stamp(), self.certificate_stamp());
        self.look_at_the_clock();
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
            self.look_at_the_clock();
            if asked {
                notify::ready();
            }
        }
    }

    /// Counts how long the certificate is valid yet, and says once when it no longer is.
    fn look_at_the_clock(&mut self) {
        let Some((_, to)) = self.certificate.span() else { return };
        let now = SystemClock.now();
        let seconds = |span: Duration| f64::from(u32::try_from(span.as_secs()).unwrap_or(u32::MAX));
        metrics::gauge!("tapgate_certificate_expires_seconds").set(seconds(to.since(now)) - seconds(now.since(to)));
        let over = now > to;
        if over && !self.told_over {
            tracing::error!(since = %to, "The certificate for browsers has expired: they refuse it (renew its files)");
        }
        self.told_over = over;
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
        Err(error) => tracing::error!(what, error = words(&error), "Could not be read anew: the old stays"),
    }
}
