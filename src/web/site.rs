//! `/web/api`: what the pages ask for. Who asks is known by the cookie, and nothing changes but for our own page.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use tapgate_api::{WebMe, WebTapped, web_path};
use tapgate_authority::{Fault, SignedIn, WebSession};
use tapgate_policy::{Records, ResourceKind, Verb};
use tapgate_proof::Holder;

use super::api::Shared;
use super::page::from_our_page;
use super::reply::{Reply, blocking, body};
use super::{App, Caller, api, apps, ask, cookie, desktops, device, live, lock, recordings, terminal};

/// After these the session may do more than before, or something else, and gets another cookie.
const ROTATING: [&str; 3] = ["/devices/finish", "/devices/change/finish", "/tap/finish"];

pub(super) fn router(app: Arc<App>) -> Router {
    let of = |path: &str| format!("{}{path}", web_path::API);
    let signed_in = Router::new()
        .route(&of("/me"), get(me))
        .route(&of("/targets"), get(api::targets))
        .route(&of("/sessions"), get(live::list))
        .route(&of("/sessions/end"), post(live::end))
        .route(&of("/sessions/all"), get(live::all))
        .route(&of("/recordings"), get(recordings::all))
        .route(&of("/recordings/{session}"), get(recordings::one))
        .route(&of("/lock"), post(lock::begin))
        .route(&of("/lock/finish"), post(lock::finish))
        .route(&of("/apps/open"), post(apps::open))
        .route(&of("/desktops/about"), get(desktops::about))
        .route(&of("/desktops/open"), post(desktops::open))
        .route(&of("/desktops/socket"), get(desktops::socket))
        .route(&of("/desktops/file"), post(desktops::file))
        .route(&of("/asks"), get(ask::list))
        .route(&of("/asks/deny"), post(ask::deny_own))
        .route(&of("/tap"), post(tap_begin))
        .route(&of("/tap/finish"), post(tap_finish))
        .merge(terminal::router())
        .route(&of("/devices"), get(device::list).post(device::begin))
        .route(&of("/devices/register"), post(device::register))
        .route(&of("/devices/finish"), post(device::finish))
        .route(&of("/devices/change"), post(device::change_begin))
        .route(&of("/devices/change/finish"), post(device::change_finish))
        .route(&of("/devices/otp"), post(device::otp))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), known));
    Router::new()
        .route(&of("/sign-in"), post(sign_in_begin))
        .route(&of("/sign-in/finish"), post(sign_in_finish))
        .route(&of("/sign-in/otp"), post(sign_in_otp))
        .route(&of("/sign-in/passkey"), post(passkey_begin))
        .route(&of("/sign-in/passkey/finish"), post(passkey_finish))
        .route(&of("/sign-out"), post(sign_out))
        .route(&of("/enrol/look"), post(enrol_look))
        .route(&of("/enrol"), post(api::enrol_begin))
        .route(&of("/enrol/finish"), post(api::enrol_finish))
        .merge(signed_in)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), from_our_page))
        .merge(terminal::uploads().route_layer(middleware::from_fn_with_state(Arc::clone(&app), known)))
        .with_state(app)
}

/// Puts the web session in the place of a certificate: from here on the handlers are those of `/v1`. What a client
/// has shown in TLS does not count on a page.
async fn known(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let Some(value) = cookie::of(request.headers()) else {
        return turned_away(Fault::unauthenticated("you are not signed in (sign in again)"));
    };
    let (authority, peer) = (Arc::clone(&app.authority), caller.peer.ip());
    let found = tokio::task::spawn_blocking(move || authority.web_session(&value, peer)).await;
    let session = match found.map_err(Fault::internal).and_then(|found| found) {
        Ok(session) => session,
        Err(fault) => return turned_away(fault),
    };
    let rotating = ROTATING.iter().any(|path| request.uri().path().strip_prefix(web_path::API) == Some(path));
    request.extensions_mut().insert(Caller { identity: Some(Arc::clone(session.identity())), ..caller });
    request.extensions_mut().insert(session.clone());
    let mut response = next.run(request).await;
    if rotating && response.status().is_success() {
        let fresh = tokio::task::spawn_blocking(move || app.authority.rotate_web_session(&session)).await;
        // A session that has just ended has no other cookie to get.
        if let Some(value) = fresh.ok().and_then(Result::ok).and_then(|fresh| cookie::set(&fresh)) {
            response.headers_mut().insert(header::SET_COOKIE, value);
        }
    }
    response
}

/// The answer to a cookie that counts for nothing: it goes away.
fn turned_away(fault: Fault) -> Response {
    let gone = fault.status < 500;
    let mut response = Reply::from(Err::<(), _>(fault)).into_response();
    if let Some(value) = cookie::clear().filter(|_| gone) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// Who is signed in.
async fn me(State(app): Shared, Extension(session): Extension<WebSession>) -> Json<WebMe> {
    Json(described(&app, &session))
}

fn described(app: &App, session: &WebSession) -> WebMe {
    let (snapshot, user) = (app.gate.snapshot(), session.user());
    WebMe {
        user: session.user().to_string(),
        cluster: app.cluster.clone(),
        public_addr: app.public_addr.clone(),
        method: session.method().as_str().to_owned(),
        expires: session.expires().as_secs(),
        watches: snapshot.policy().may_see(user, Records::Session, Verb::Read),
        locks: snapshot.policy().may_administer(user, ResourceKind::Lock, Verb::Create),
    }
}

async fn sign_in_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.web_sign_in_begin(&body(&bytes)?, caller.peer.ip())).await
}

async fn passkey_begin(State(app): Shared, Extension(caller): Extension<Caller>) -> Reply {
    blocking(&app, move |app| app.authority.web_passkey_begin(caller.peer.ip())).await
}

async fn sign_in_finish(State(app): Shared, Extension(caller): Extension<Caller>, request: Request<Body>) -> Response {
    enter(app, request, move |app, bytes| app.authority.web_sign_in_finish(&body(bytes)?, caller.peer.ip())).await
}

async fn sign_in_otp(State(app): Shared, Extension(caller): Extension<Caller>, request: Request<Body>) -> Response {
    enter(app, request, move |app, bytes| app.authority.web_sign_in_otp(&body(bytes)?, caller.peer.ip())).await
}

async fn passkey_finish(State(app): Shared, Extension(caller): Extension<Caller>, request: Request<Body>) -> Response {
    enter(app, request, move |app, bytes| app.authority.web_passkey_finish(&body(bytes)?, caller.peer.ip())).await
}

/// Signs in and gives the cookie. A session that the browser had before is over.
async fn enter(
    app: Arc<App>,
    request: Request<Body>,
    work: impl FnOnce(&App, &Bytes) -> Result<SignedIn, Fault> + Send + 'static,
) -> Response {
    let old = cookie::of(request.headers());
    let Ok(bytes) = axum::body::to_bytes(request.into_body(), crate::limits::BODY_MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let entered = tokio::task::spawn_blocking(move || {
        let signed_in = work(&app, &bytes)?;
        let set = begun(&app, &signed_in, old.as_deref())?;
        Ok(([(header::SET_COOKIE, set)], Json(described(&app, &signed_in.session))).into_response())
    });
    let entered = entered.await.map_err(Fault::internal).and_then(|entered| entered);
    entered.unwrap_or_else(|fault| Reply::from(Err::<(), _>(fault)).into_response())
}

/// The cookie of a session that has just begun. The one that the browser had before is over.
pub(super) fn begun(app: &App, signed_in: &SignedIn, old: Option<&str>) -> Result<HeaderValue, Fault> {
    leave(app, old)?;
    cookie::set(&signed_in.cookie).ok_or_else(|| Fault::internal("the cookie is no header"))
}

/// Ends the session of this cookie, and what it has opened.
fn leave(app: &App, cookie: Option<&str>) -> Result<(), Fault> {
    let Some(cookie) = cookie else { return Ok(()) };
    if let Some(number) = app.authority.end_web_session(cookie)? {
        app.gate.end_held(&Holder::WebSession(number));
    }
    Ok(())
}

async fn sign_out(State(app): Shared, request: Request<Body>) -> Response {
    let cookie = cookie::of(request.headers());
    let left = tokio::task::spawn_blocking(move || leave(&app, cookie.as_deref())).await;
    let mut response = Reply::from(left.map_err(Fault::internal).and_then(|left| left)).into_response();
    if let Some(value) = cookie::clear() {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

async fn enrol_look(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.invite_shown(&body(&bytes)?, caller.peer.ip())).await
}

/// Asks what sessions of these targets need, for the pages that open some in the browser.
async fn tap_begin(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| {
        let begin: tapgate_api::WebTapBegin = body(&bytes)?;
        let holder = match &begin.connection {
            Some(secret) => app.terminals.find(secret, &session)?.holder(),
            None => session.holder(),
        };
        app.authority.web_tap_begin(&app.gate, &session, (&begin.targets, &holder), caller.peer.ip())
    })
    .await
}

/// Takes the tap to where the asks of this session find it.
async fn tap_finish(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Extension(session): Extension<WebSession>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| {
        let tap = app.authority.web_tap_finish(&app.gate, &session, &body(&bytes)?, caller.peer.ip())?;
        app.gate.bring(&tap);
        Ok(WebTapped { expires: tap.verified().statement().parts().expires.as_secs() })
    })
    .await
}
