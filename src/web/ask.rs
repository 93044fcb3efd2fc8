//! `/web/ask`: the page where a tap is made that a stock client asks for within its protocol.
//!
//! It needs neither certificate nor cookie: the unguessable number, the typed code, the address and the user's own
//! key are what counts.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use tapgate_api::{AskCode, path};

use super::api::Shared;
use super::page::{own_page, page_where};
use super::reply::{Reply, blocking, body};
use super::{App, Caller};

pub(super) fn router(app: &Arc<App>) -> Router {
    let page = path::ASK_PAGE;
    Router::new()
        .route(&format!("{page}/{{id}}"), get(show))
        .route(&format!("{page}/{{id}}/request"), get(request))
        .route(&format!("{page}/{{id}}/code"), post(code))
        .route(&format!("{page}/{{id}}/approve"), post(approve))
        .route(&format!("{page}/{{id}}/deny"), post(deny))
        .with_state(Arc::clone(app))
}

async fn show(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Response {
    page_where(&app, move |app| app.authority.ask_is_open(&id, caller.peer.ip())).await
}

async fn request(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Reply {
    blocking(&app, move |app| app.authority.ask_shown(&id, caller.peer.ip())).await
}

async fn code(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| {
        own_page(&app.authority.relying_party().origins, &headers)?;
        let typed: AskCode = body(&bytes)?;
        app.authority.ask_code(&app.gate, &id, &typed, caller.peer.ip())
    })
    .await
}

async fn approve(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| {
        own_page(&app.authority.relying_party().origins, &headers)?;
        app.authority.ask_approve(&app.gate, &id, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

async fn deny(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    blocking(&app, move |app| {
        own_page(&app.authority.relying_party().origins, &headers)?;
        app.authority.ask_deny(&app.gate, &id, caller.peer.ip())
    })
    .await
}
