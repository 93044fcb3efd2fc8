//! `/v1/…/sso` and `/web/sso`: sign-in and taps at an identity provider.
//!
//! The provider sends the browser back to a page that is the same for everybody. What came with it is in the address;
//! the page sends it on by itself, so that the cookie may be one that no other site's request carries.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use tapgate_api::{FindConnector, SsoAnswer, SsoSignedIn, SsoStart, path};
use tapgate_authority::{Fault, SSO_COOKIE, SsoDeparture, SsoOutcome, SsoStarted};
use tapgate_model::UserName;
use tapgate_policy::{OidcResource, Policy};

use super::api::{Shared, install};
use super::page::{from_our_page, page, page_where, protect};
use super::reply::{Reply, blocking, body, identity};
use super::site::begun;
use super::{App, Caller, cookie as web_cookie};

pub(super) fn router(app: Arc<App>) -> Router {
    let request = path::SSO_PAGE;
    let pages = Router::new()
        .route(&format!("{request}/{{id}}"), get(request_page))
        .route(&format!("{request}/{{id}}/request"), get(shown))
        .route(&format!("{request}/{{id}}/start"), post(start))
        .route(&format!("{request}/{{id}}/deny"), post(deny))
        .route(path::SSO_CALLBACK, get(async || page()))
        .route(path::SSO_FINISH, post(answer))
        .route(path::SSO_SIGN_IN, post(sign_in))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&app), from_our_page))
        .layer(middleware::from_fn(protect));
    Router::new()
        .route(path::LOGIN_SSO, post(login_begin))
        .route(path::LOGIN_SSO_FINISH, post(login_finish))
        .route(path::SESSION_SSO, post(session_begin))
        .route(path::SESSION_SSO_FINISH, post(session_finish))
        .merge(pages)
        .with_state(app)
}

/// The identity providers for whoever asks before a login, the cluster's own first.
pub(super) fn connectors(policy: &Policy) -> Vec<FindConnector> {
    let preference = policy.preference();
    let takes_taps = preference.second_factors.contains(&tapgate_policy::SecondFactor::Sso);
    let entry = |connector: &OidcResource| FindConnector {
        name: connector.name.to_string(),
        display: connector.display.clone().unwrap_or_else(|| connector.name.to_string()),
        mfa: takes_taps && !connector.step_up_classes().is_empty(),
    };
    let mut all: Vec<&OidcResource> = policy.connectors().collect();
    all.sort_by_key(|connector| (preference.connector.as_ref() != Some(&connector.name), connector.name.as_str()));
    all.into_iter().map(entry).collect()
}

/// Starts a login at an identity provider.
#[utoipa::path(post, path = "/v1/login/sso", request_body = tapgate_api::SsoLoginBegin,
    responses((status = 200, body = tapgate_api::SsoCeremony), (status = 503, body = tapgate_api::ApiError)))]
pub(super) async fn login_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| app.authority.sso_login_begin(&app.origin, &body(&bytes)?, caller.peer.ip())).await
}

/// Finishes it with the ticket that came through the browser.
#[utoipa::path(post, path = "/v1/login/sso/finish", request_body = tapgate_api::SsoFinish,
    responses((status = 200, body = tapgate_api::LoginCertificates), (status = 401, body = tapgate_api::ApiError)))]
pub(super) async fn login_finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let certificates = app.authority.sso_login_finish(&body(&bytes)?, caller.peer.ip())?;
        // The sign-in has written the user's roles and traits.
        install(app)?;
        Ok(certificates)
    })
    .await
}

/// Asks what sessions need, and starts the tap at the identity provider in the same answer.
#[utoipa::path(post, path = "/v1/sessions/sso", request_body = tapgate_api::SsoSessionBegin,
    responses((status = 200, body = tapgate_api::SsoRequirement), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn session_begin(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.sso_session_begin(&app.gate, &app.origin, &identity, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

/// Gives the ticket and gets the session certificates.
#[utoipa::path(post, path = "/v1/sessions/sso/finish", request_body = tapgate_api::SsoFinish,
    responses((status = 200, body = tapgate_api::SessionCertificates), (status = 403, body = tapgate_api::ApiError)))]
pub(super) async fn session_finish(State(app): Shared, Extension(caller): Extension<Caller>, bytes: Bytes) -> Reply {
    blocking(&app, move |app| {
        let identity = identity(app, &caller)?;
        app.authority.sso_session_finish(&app.gate, &identity, &body(&bytes)?, caller.peer.ip())
    })
    .await
}

async fn request_page(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Response {
    page_where(&app, move |app| app.authority.sso_is_open(&id, caller.peer.ip())).await
}

async fn shown(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Reply {
    blocking(&app, move |app| app.authority.sso_shown(&id, caller.peer.ip())).await
}

/// Takes the code; the browser gets the cookie by which it is known when it is back.
async fn start(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Response {
    let started = tokio::task::spawn_blocking(move || {
        let SsoStart { code } = body(&bytes)?;
        app.authority.sso_start(&id, &code, caller.peer.ip())
    });
    match started.await.unwrap_or_else(|error| Err(Fault::internal(error))) {
        Ok(SsoStarted::Away(departure)) => away(departure),
        Ok(SsoStarted::Exhausted(carried)) => Reply::from(Ok(carried)).into_response(),
        Err(fault) => Reply::from(Err::<(), _>(fault)).into_response(),
    }
}

async fn deny(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Reply {
    blocking(&app, move |app| app.authority.sso_deny(&id, caller.peer.ip())).await
}

/// Begins signing in on the pages: the browser gets the provider's address, and the cookie by which it is known when
/// it is back.
async fn sign_in(State(app): Shared, Extension(caller): Extension<Caller>, Path(connector): Path<String>) -> Response {
    let started = tokio::task::spawn_blocking(move || {
        app.authority.sso_web_begin(&app.origin, Some(&connector), caller.peer.ip())
    });
    match started.await.unwrap_or_else(|error| Err(Fault::internal(error))) {
        Ok(departure) => away(departure),
        Err(fault) => Reply::from(Err::<(), _>(fault)).into_response(),
    }
}

/// Takes what the provider sent the browser back with.
async fn answer(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let answered = tokio::task::spawn_blocking(move || {
        let answer: SsoAnswer = body(&bytes)?;
        match app.authority.sso_answer(&answer, cookie(&headers), caller.peer.ip())? {
            SsoOutcome::Carried(carried) => Ok(Reply::from(Ok(carried)).into_response()),
            SsoOutcome::SignedIn(user) => enter(&app, &user, &headers, &caller),
        }
    });
    let answered = answered.await.unwrap_or_else(|error| Err(Fault::internal(error)));
    let response = answered.unwrap_or_else(|fault| Reply::from(Err::<(), _>(fault)).into_response());
    with_cookie(response, "", 0)
}

/// Begins a web session of whom the provider has named. One that the browser had before is over.
fn enter(app: &App, user: &UserName, headers: &HeaderMap, caller: &Caller) -> Result<Response, Fault> {
    // The sign-in has written the user's roles and traits.
    install(app)?;
    let signed_in = app.authority.web_sign_in_sso(user, caller.peer.ip())?;
    let set = begun(app, &signed_in, web_cookie::of(headers).as_deref())?;
    Ok(([(SET_COOKIE, set)], Reply::from(Ok(SsoSignedIn { signed_in: true }))).into_response())
}

/// The way to the provider, and the cookie by which the browser is known when it is back.
fn away(departure: SsoDeparture) -> Response {
    let reply = Reply::from(Ok(departure.redirect)).into_response();
    with_cookie(reply, &departure.cookie, tapgate_authority::limits::CEREMONY_TTL.as_secs())
}

/// The cookie's value; empty where there is none.
fn cookie(headers: &HeaderMap) -> &str {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SSO_COOKIE).map_or("", |(_, value)| value)
}

/// Sets the cookie for so many seconds; zero takes it away.
fn with_cookie(mut response: Response, value: &str, seconds: u64) -> Response {
    let text = format!("{SSO_COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies() {
        let find = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            cookie(&headers).to_owned()
        };
        assert_eq!(find(&["a=b; __Host-tapgate-sso=x"]), "x");
        assert_eq!(find(&["a=b", "__Host-tapgate-sso=y; c=d"]), "y");
        assert_eq!(find(&["__Host-tapgate-ssox=y", "tapgate-sso=z"]), "");
        let set = with_cookie(Response::default(), "v", 300);
        let set = set.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert_eq!(set, "__Host-tapgate-sso=v; Path=/; Max-Age=300; Secure; HttpOnly; SameSite=Strict");
    }
}
