//! `/healthz`, `/readyz` and `/metrics`, on an address of their own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tapgate_session::Gate;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::handshakes::Handshakes;
use crate::limits::METRICS_UPKEEP;

/// The bounds of what checks take, in seconds: a warm one takes less than a microsecond, a cold one a signature.
const CHECK_BOUNDS: [f64; 10] = [2.5e-7, 5e-7, 1e-6, 2.5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2];

/// Begins to count. To be called once a process; without it nothing is counted.
pub(crate) fn count() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("session_check_seconds".to_owned()), &CHECK_BOUNDS)
        .context("the histogram's bounds are no bounds (this is a bug)")?;
    let handle = builder.install_recorder().context("something else counts in this process already (this is a bug)")?;
    describe();
    Ok(handle)
}

fn describe() {
    metrics::describe_histogram!("session_check_seconds", "How long the session check took");
    metrics::describe_counter!("tapgate_sessions_opened_total", "Sessions that were opened, with a tap or without");
    metrics::describe_counter!("tapgate_sessions_refused_total", "Sessions that were refused");
    metrics::describe_counter!("tapgate_sessions_failed_total", "Granted sessions that did not come about");
    metrics::describe_counter!("tapgate_session_bytes_total", "Bytes of ended sessions, to targets and from them");
    metrics::describe_counter!("tapgate_connections_total", "Connections, by what was spoken first");
    metrics::describe_counter!("tapgate_connections_refused_total", "Connections that were closed unserved, and why");
    metrics::describe_counter!("tapgate_reloads_total", "Reads of changed files, and how they went");
    metrics::describe_counter!("tapgate_hand_overs_failed_total", "Fresh processes that did not take over");
    metrics::describe_counter!("tapgate_acme_orders_total", "Certificates that were asked for, and whether they came");
    metrics::describe_gauge!(
        "tapgate_certificate_expires_seconds",
        "How long the certificate for browsers is valid yet"
    );
    metrics::describe_counter!("tapgate_spans_lost_total", "Spans of traces that their collector did not take in time");
    metrics::describe_gauge!("tapgate_handshakes", "Connections that have not said who they are yet");
    metrics::describe_gauge!("tapgate_sessions_live", "Sessions that are open now");
}

/// What the admin port tells of.
pub(crate) struct Admin {
    pub(crate) gate: Gate,
    pub(crate) counted: PrometheusHandle,
    pub(crate) handshakes: Arc<Handshakes>,
    /// Whether the gate closes: what is open goes on, and nothing is opened.
    pub(crate) closing: CancellationToken,
}

/// Serves until it is told to stop. Ready means: the policy is in and sessions may be opened.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) {
    let Admin { gate, counted, handshakes, closing: draining } = admin;
    let live = gate.clone();
    let ready = move || {
        let (gate, draining) = (gate.clone(), draining.clone());
        async move {
            if draining.is_cancelled() {
                (StatusCode::SERVICE_UNAVAILABLE, format!("draining, {} sessions\n", gate.live_count()))
            } else {
                (StatusCode::OK, format!("ready, {} sessions\n", gate.live_count()))
            }
        }
    };
    let upkeep = counted.clone();
    let metrics = move || {
        let (counted, live, handshakes) = (counted.clone(), live.clone(), Arc::clone(&handshakes));
        async move {
            let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            metrics::gauge!("tapgate_sessions_live").set(number(live.live_count()));
            metrics::gauge!("tapgate_handshakes").set(number(handshakes.count()));
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], counted.render())
        }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::error!(%error, "The admin port failed");
        },
        () = keep_up(upkeep, METRICS_UPKEEP) => {}
    }
}

/// Folds what was measured into its histogram, so that what nobody fetches takes no room.
async fn keep_up(counted: PrometheusHandle, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        counted.run_upkeep();
    }
}
