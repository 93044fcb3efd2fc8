//! `/healthz` and `/readyz`, on an address of their own.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tapgate_session::Gate;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until it is told to stop. Ready means: the policy is in and sessions may be opened.
pub(crate) async fn serve(listener: TcpListener, gate: Gate, stop: CancellationToken) {
    let draining = stop.clone();
    let ready = move || {
        let (gate, draining) = (gate.clone(), draining.clone());
        async move {
            if draining.is_cancelled() {
                (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned())
            } else {
                (StatusCode::OK, format!("ready, {} sessions\n", gate.live_count()))
            }
        }
    };
    let router = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!(%error, "The admin port failed");
    }
}
