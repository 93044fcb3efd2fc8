//! How a handler's outcome becomes an HTTP answer.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tapgate_authority::Fault;
use tapgate_identity::Identity;

use super::{App, Caller};

/// An answer: JSON, or a fault with its status.
pub(crate) struct Reply(Response);

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<T: Serialize> From<Result<T, Fault>> for Reply {
    fn from(outcome: Result<T, Fault>) -> Self {
        Self(match outcome {
            Ok(body) => Json(body).into_response(),
            Err(fault) => {
                let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, Json(fault.error)).into_response()
            }
        })
    }
}

/// Runs blocking work (the store, a password hash, signatures) off the event loop.
pub(crate) async fn blocking<T, F>(app: &Arc<App>, work: F) -> Reply
where
    T: Serialize + Send + 'static,
    F: FnOnce(&App) -> Result<T, Fault> + Send + 'static,
{
    let app = Arc::clone(app);
    match tokio::task::spawn_blocking(move || work(&app)).await {
        Ok(outcome) => outcome.into(),
        Err(error) => Reply::from(Err::<(), _>(Fault::internal(error))),
    }
}

/// The caller's identity, or the answer that says how to get one.
pub(crate) fn identity(app: &App, caller: &Caller) -> Result<Arc<Identity>, Fault> {
    let identity = caller.identity(app.clock.now()).cloned();
    let identity =
        identity.ok_or_else(|| Fault::unauthenticated("this needs a valid login certificate (run `tap login`)"))?;
    if app.gate.snapshot().counts(&identity) {
        return Ok(identity);
    }
    Err(Fault::unauthenticated("your login was locked from your page of sessions (run `tap login`)"))
}

/// A request's body.
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| {
        Fault::invalid(format!("the request's body can't be read: {error}"), "is the client of the gate's version?")
    })
}
