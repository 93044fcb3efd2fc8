//! Clients that are too old: told so in words that the oldest of them can show, whatever they ask.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tapgate_api::{ApiError, path};
use tapgate_authority::Fault;
use tapgate_model::Version;

use super::App;
use super::reply::Reply;

/// What this project's own client says of itself, before its version.
const OWN: &str = "tapgate-client/";

/// Answers a client that is too old; everybody else goes on. Who does not say a version is no client of ours.
pub(super) async fn old_clients(State(app): State<Arc<App>>, request: Request<Body>, next: Next) -> Response {
    match too_old(&app, &request) {
        Some(version) if request.uri().path() != path::FIND => {
            let least = app.min_client_version;
            let error = ApiError {
                code: "outdated".to_owned(),
                message: format!("this client is {version}, and the gate takes {least} and later"),
                hint: Some("install a newer tap, from where this one came".to_owned()),
            };
            Reply::from(Err::<(), _>(Fault { status: 426, error })).into_response()
        }
        _ => next.run(request).await,
    }
}

fn too_old(app: &App, request: &Request<Body>) -> Option<Version> {
    let agent = request.headers().get(header::USER_AGENT)?.to_str().ok()?;
    let version = agent.strip_prefix(OWN)?.split(' ').next()?.parse::<Version>().ok()?;
    (version < app.min_client_version).then_some(version)
}
