//! `/web/ask`: the page where a tap is made that a stock client asks for within its protocol.
//!
//! It needs neither certificate nor cookie: the unguessable number, the typed code, the address and the user's own
//! key are what counts.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use futures::stream;
use tapgate_api::{AskCode, AskDeny, AskOther, path};
use tapgate_authority::{Fault, WebSession};
use tokio::sync::watch;
use tokio::time::timeout;

use super::api::{Shared, install};
use super::page::{from_our_page, page_where};
use super::reply::{Reply, blocking, body};
use super::{App, Caller, reverse};
use crate::limits::EVENTS_EVERY;

pub(super) fn router(app: &Arc<App>) -> Router {
    let page = path::ASK_PAGE;
    Router::new()
        .route(&format!("{page}/{{id}}"), get(show))
        .route(&format!("{page}/{{id}}/request"), get(request))
        .route(&format!("{page}/{{id}}/code"), post(code))
        .route(&format!("{page}/{{id}}/approve"), post(approve))
        .route(&format!("{page}/{{id}}/deny"), post(deny))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), from_our_page))
        .with_state(Arc::clone(app))
}

async fn show(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Response {
    page_where(&app, move |app| app.authority.ask_is_open(&id, caller.peer.ip())).await
}

async fn request(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Reply {
    let (app, peer) = (Arc::clone(&app), caller.peer.ip());
    let shown = tokio::task::spawn_blocking(move || app.authority.ask_shown(&id, peer)).await;
    let mut shown = match shown.map_err(Fault::internal) {
        Ok(Ok(shown)) => shown,
        Ok(Err(fault)) | Err(fault) => return Err::<(), _>(fault).into(),
    };
    shown.host = match shown.address.parse() {
        Ok(address) => reverse::name_of(address).await,
        Err(_) => None,
    };
    Ok::<_, Fault>(shown).into()
}

async fn code(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let typed: AskCode = body(&bytes)?;
        app.authority.ask_code(&app.gate, &id, &typed, caller.peer.ip())
    })
    .await
}

async fn approve(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| app.authority.ask_approve(&app.gate, &id, &body(&bytes)?, caller.peer.ip())).await
}

async fn deny(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Reply {
    blocking(&app, move |app| app.authority.ask_deny(&app.gate, &id, caller.peer.ip())).await
}

/// What the signed-in user is asked for, at once and at each change: server-sent events. It ends with the web session.
pub(super) async fn list(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
) -> Response {
    let mut news = app.authority.asks_news();
    news.mark_changed();
    let watching = Watching { app, session, peer: caller.peer.ip(), news };
    let mut response = Response::new(Body::from_stream(stream::unfold(watching, Watching::next)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// A page that shows what is awaited.
struct Watching {
    app: Arc<App>,
    session: WebSession,
    peer: IpAddr,
    news: watch::Receiver<u64>,
}

impl Watching {
    /// The next event: the whole list, or a comment that keeps the connection alive.
    async fn next(mut self) -> Option<(std::io::Result<String>, Self)> {
        let changed = timeout(EVENTS_EVERY, self.news.changed()).await.is_ok();
        let (app, session, peer) = (Arc::clone(&self.app), self.session.clone(), self.peer);
        let listed = tokio::task::spawn_blocking(move || -> Option<Vec<AskOther>> {
            app.authority.web_session_of(session.user(), &session.number(), peer).ok()?;
            Some(app.authority.asks_of(session.user()))
        });
        let listed = listed.await.ok().flatten()?;
        let event =
            if changed { format!("data: {}\n\n", serde_json::to_string(&listed).ok()?) } else { ":\n\n".to_owned() };
        Some((Ok(event), self))
    }
}

/// The signed-in user says no to one of them.
pub(super) async fn deny_own(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| {
        let no: AskDeny = body(&bytes)?;
        app.authority.ask_deny_own(&app.gate, session.user(), &no, caller.peer.ip())?;
        if no.lock { install(app) } else { Ok(()) }
    })
    .await
}
