//! `/web`: the pages, and what the one asks for where a tap of a terminal is approved.
//!
//! All pages are one file, one script and one style sheet that the gate carries within itself; who is signed in is
//! asked for by the script. Approving for a terminal needs neither certificate nor cookie: the request's number, the
//! typed code and the tap are what counts.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use tapgate_api::{path, web_path};
use tapgate_authority::Fault;
use tapgate_identity::spki_digest;

use super::reply::{Reply, blocking, body};
use super::{App, Caller};

const PAGE: &str = include_str!("../../web/dist/index.html");
const SCRIPT: &str = include_str!("../../web/dist/page.js");
/// The part for terminals, which the script fetches where one is opened.
const TERMINAL: &str = include_str!("../../web/dist/terminal.js");
const STYLE: &str = include_str!("../../web/dist/page.css");
/// What shows VNC desktops (noVNC) and RDP desktops (IronRDP, with its `WebAssembly`): loaded where one is opened.
const VNC_SCRIPT: &str = include_str!("../../web/dist/vnc.js");
const RDP_SCRIPT: &str = include_str!("../../web/dist/rdp.js");
/// The script of the page that plays recordings, with asciinema's player in it: fetched by that page alone.
const PLAYER: &str = include_str!("../../web/dist/player.js");
const ICON: &str = include_str!("../../web/dist/icon.svg");

/// What the page may do: load from here, ask here, and post a form here or to this machine. `'self'` is there
/// for the way back, because the policy governs where a form's answer leads too.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self' http://127.0.0.1:*; frame-ancestors 'none'; base-uri 'none'";

/// The same for the page that desktops are on, and for no other: their clients compile `WebAssembly` that stands in their
/// own script, draw pointers from data, and style what they draw.
const DESKTOP_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
                              style-src 'self' 'unsafe-inline'; connect-src 'self' data:; img-src 'self' data:; \
                              form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
/// The same where recordings are played: the terminal that shows them is WebAssembly, out of the gate's own script.
const PLAYER_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
                             connect-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; \
                             base-uri 'none'";

/// A page asks for keys, and for nothing else that a browser could give.
const PERMISSIONS: &str = "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), \
                           microphone=(), geolocation=(), usb=(), serial=(), hid=(), payment=()";

type Shared = State<Arc<App>>;

pub(super) fn router(app: &Arc<App>, site: Router) -> Router {
    let page = path::BROWSER_PAGE;
    let (approved, denied) = (path::BROWSER_APPROVED, path::BROWSER_DENIED);
    let fixed = [
        approved,
        denied,
        web_path::SIGN_IN_PAGE,
        web_path::ENROL_PAGE,
        web_path::APP_PAGE,
        web_path::DESKTOP_PAGE,
        web_path::RECORDING_PAGE,
    ];
    let fixed = fixed.into_iter().chain(web_path::PAGES);
    let pages = fixed
        .fold(Router::new(), |router, path| router.route(path, get(async || file("text/html; charset=utf-8", PAGE))));
    pages
        .route("/", get(async || Redirect::temporary("/web/")))
        .route("/web", get(async || Redirect::temporary("/web/")))
        .route(&format!("{}/{{node}}", web_path::TERMINAL_PAGE), get(async || self::page()))
        .route(&format!("{page}/{{id}}"), get(request_page))
        .route(&format!("{page}/{{id}}/request"), get(request))
        .route(&format!("{page}/{{id}}/approve"), post(approve))
        .route(&format!("{page}/{{id}}/deny"), post(deny))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), from_our_page))
        .route("/web/page.js", get(async || file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/web/vnc.js", get(async |headers: HeaderMap| kept(&headers, VNC_SCRIPT)))
        .route("/web/rdp.js", get(async |headers: HeaderMap| kept(&headers, RDP_SCRIPT)))
        .route("/web/player.js", get(async || file("text/javascript; charset=utf-8", PLAYER)))
        .route("/web/terminal.js", get(async || file("text/javascript; charset=utf-8", TERMINAL)))
        .route("/web/page.css", get(async || file("text/css; charset=utf-8", STYLE)))
        .route("/web/icon.svg", get(async || file("image/svg+xml", ICON)))
        .with_state(Arc::clone(app))
        .merge(super::ask::router(app))
        .merge(site)
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), at_home))
        .layer(middleware::from_fn(protect))
}

/// Pages with an origin of their own are at no other: whoever comes elsewhere is led there, and nothing is taken.
async fn at_home(State(app): Shared, request: Request, next: Next) -> Response {
    let here = super::host_name(&request);
    if app.pages_host.as_deref().is_none_or(|home| home == here) {
        return next.run(request).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::MISDIRECTED_REQUEST, "the pages have an origin of their own\n").into_response();
    }
    let path = request.uri().path_and_query().map_or("/web/", |path| path.as_str());
    Redirect::temporary(&format!("{}{path}", app.origin)).into_response()
}

/// The one page of all addresses below `/web`; its script tells them apart.
pub(super) fn page() -> Response {
    file("text/html; charset=utf-8", PAGE)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}

/// A large script. A browser that has it asks whether it is still the one, and does not load it again.
fn kept(headers: &HeaderMap, script: &'static str) -> Response {
    let tag = format!("\"{}\"", spki_digest(script.as_bytes()));
    let has_it = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response =
        if has_it { StatusCode::NOT_MODIFIED.into_response() } else { file("text/javascript; charset=utf-8", script) };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

async fn request_page(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Response {
    page_where(&app, move |app| app.authority.browser_is_open(&id, caller.peer.ip())).await
}

/// The same page whatever the number of a request; its status alone says that none is open under that number.
pub(super) async fn page_where(app: &Arc<App>, is_open: impl FnOnce(&App) -> bool + Send + 'static) -> Response {
    let app = Arc::clone(app);
    let open = tokio::task::spawn_blocking(move || is_open(&app)).await.unwrap_or(false);
    let status = if open { StatusCode::OK } else { StatusCode::NOT_FOUND };
    (status, page()).into_response()
}

async fn request(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Reply {
    blocking(&app, move |app| app.authority.browser_shown(&id, caller.peer.ip())).await
}

async fn approve(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Reply {
    blocking(&app, move |app| app.authority.browser_approve(&id, &body(&bytes)?, caller.peer.ip())).await
}

async fn deny(State(app): Shared, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Reply {
    blocking(&app, move |app| app.authority.browser_deny(&id, caller.peer.ip())).await
}

/// Whatever is no mere question comes from our own page. That a browser sends a cookie along says nothing.
pub(super) async fn from_our_page(State(app): Shared, request: Request, next: Next) -> Response {
    let asks = matches!(*request.method(), Method::GET | Method::HEAD);
    match own_page(&app.authority.relying_party().origins, request.headers()) {
        Err(fault) if !asks => Reply::from(Err::<(), _>(fault)).into_response(),
        _ => next.run(request).await,
    }
}

/// Only our own page sends: no other site's form can set this type, and no other site's script this origin.
fn own_page(origins: &[String], headers: &HeaderMap) -> Result<(), Fault> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let json = text(header::CONTENT_TYPE).split(';').next().is_some_and(|kind| kind.trim() == "application/json");
    if json { same_origin(origins, headers) } else { Err(not_ours()) }
}

/// The same for a WebSocket's first request, in which not every browser says how far away the page is. The origin is
/// always there, and no page chooses its own.
pub(super) fn own_line(origins: &[String], headers: &HeaderMap) -> Result<(), Fault> {
    let ours = headers.get(header::ORIGIN).is_some_and(|own| origins.iter().any(|origin| own == origin.as_str()));
    let site = headers.get(HeaderName::from_static("sec-fetch-site"));
    if ours && site.is_none_or(|site| site == "same-origin") { Ok(()) } else { Err(not_ours()) }
}

/// The same where what is sent is no JSON but a file.
pub(super) fn same_origin(origins: &[String], headers: &HeaderMap) -> Result<(), Fault> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ours = origins.iter().any(|origin| origin == text(header::ORIGIN));
    let same_origin = text(HeaderName::from_static("sec-fetch-site")) == "same-origin";
    if ours && same_origin { Ok(()) } else { Err(not_ours()) }
}

fn not_ours() -> Fault {
    Fault::denied("this was not sent by the gate's own page")
}

/// What every answer below `/web` carries.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let policy = match request.uri().path() {
        web_path::DESKTOP_PAGE => DESKTOP_POLICY,
        web_path::RECORDING_PAGE => PLAYER_POLICY,
        _ => POLICY,
    };
    let mut response = next.run(request).await;
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_page_sends() {
        let ours = ["https://localhost:3080".to_owned(), "https://localhost:3080/".to_owned()];
        let sent = |kind: &str, origin: &str, site: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("content-type", kind), ("origin", origin), ("sec-fetch-site", site)] {
                if !value.is_empty() {
                    headers.insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
                }
            }
            own_page(&ours, &headers).is_ok()
        };
        let (json, own, same) = ("application/json", "https://localhost:3080", "same-origin");
        assert!(sent(json, own, same));
        assert!(sent("application/json; charset=utf-8", own, same));
        for (kind, origin, site) in [
            ("text/plain", own, same),
            ("application/x-www-form-urlencoded", own, same),
            ("", own, same),
            (json, "https://evil.test", same),
            (json, "https://localhost:3081", same),
            (json, "null", same),
            (json, "", same),
            (json, own, "same-site"),
            (json, own, "cross-site"),
            (json, own, "none"),
            (json, own, ""),
        ] {
            assert!(!sent(kind, origin, site), "{kind} {origin} {site}");
        }
    }

    #[test]
    fn the_page_has_nothing_of_others_and_nothing_inline() {
        assert!(!PAGE.contains("<style") && !PAGE.contains("style=") && !PAGE.contains("onclick"));
        assert_eq!(PAGE.matches("<script").count(), PAGE.matches("src=\"/web/page.js\"></script>").count());
        for text in [PAGE, STYLE] {
            assert!(!text.contains("https://") && !text.contains("http://"), "{text}");
        }
    }
}
