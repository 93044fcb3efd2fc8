//! The gate's own interface: `/v1` and the pages of `/web`, over HTTP/1.1 in TLS.

mod api;
mod apps;
mod ask;
pub(crate) mod audit;
mod byte_socket;
mod cookie;
mod desktops;
mod device;
mod live;
mod lock;
mod openapi;
mod page;
pub(crate) mod recordings;
mod reply;
mod reverse;
mod site;
mod sso;
mod terminal;
mod tickets;
mod version;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tapgate_api::{LiveSessionEntry, web_path};
use tapgate_authority::{Authority, AuthorityError};
use tapgate_identity::Identity;
use tapgate_model::{Clock, UnixTime, Version};
use tapgate_session::Gate;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::handover::{Desk, Question};
use crate::limits::{BODY_MAX, BODY_READ_MAX, LAST_REQUEST_MAX, REQUEST_HEAD_MAX, REQUEST_MAX};
use crate::tls::Opened;

pub(crate) use terminal::Terminals;
pub(crate) use tickets::Tickets;

/// What the handlers work with.
pub(crate) struct App {
    pub(crate) authority: Arc<Authority>,
    pub(crate) gate: Gate,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cluster: String,
    pub(crate) public_addr: String,
    pub(crate) names: Vec<String>,
    pub(crate) rp_id: String,
    pub(crate) origin: String,
    /// The host of the pages, where they have an origin of their own.
    pub(crate) pages_host: Option<String>,
    /// The door to applications.
    pub(crate) apps: Arc<tapgate_http::Http>,
    /// The desktops.
    pub(crate) desktops: Arc<tapgate_desktop::Desktop>,
    /// The pages that are on their way to one.
    pub(crate) tickets: Tickets,
    /// What is wrong with Kubernetes clusters.
    pub(crate) kube: tapgate_kube::Health,
    /// Who signs identities for them.
    pub(crate) signer: Arc<tapgate_http::Signer>,
    /// The audit log.
    pub(crate) audit: audit::AuditPlace,
    /// The oldest client that is served.
    pub(crate) min_client_version: Version,
    /// The recordings.
    pub(crate) library: recordings::Library,
    /// The SSH engine, for terminals in pages.
    pub(crate) ssh: Arc<tapgate_ssh::Ssh>,
    /// The terminals that are open.
    pub(crate) terminals: Terminals,
    /// The process before this one, while it has sessions.
    pub(crate) elder: Arc<Desk>,
    /// Held while a new state is read and installed.
    pub(crate) installing: Mutex<()>,
}

/// Who is calling, and from where.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) peer: SocketAddr,
    pub(crate) identity: Option<Arc<Identity>>,
    sni: Option<String>,
}

impl Caller {
    /// The identity, as long as its certificate is valid: a connection may outlive it.
    pub(crate) fn identity(&self, now: UnixTime) -> Option<&Arc<Identity>> {
        let address = |i: &&Arc<Identity>| i.source_ip().is_none_or(|ip| ip == self.peer.ip());
        self.identity.as_ref().filter(|i| now < i.not_after()).filter(address)
    }
}

/// Serves the interface.
pub(crate) struct Web {
    app: Arc<App>,
    router: Router,
    /// Whether connections are to end after what they are at. Whoever serves one listens.
    wind_up: watch::Sender<bool>,
}

impl Web {
    pub(crate) fn new(app: Arc<App>) -> Self {
        let router = api::router(Arc::clone(&app))
            .merge(page::router(&app, site::router(Arc::clone(&app))))
            .merge(sso::router(Arc::clone(&app)))
            .layer(middleware::from_fn_with_state(Arc::clone(&app), guard));
        Self { app, router, wind_up: watch::Sender::new(false) }
    }

    /// Lets connections end after the request that they are at, or is on its way; or no longer.
    pub(crate) fn wind_up(&self, wanted: bool) {
        self.wind_up.send_replace(wanted);
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.wind_up.receiver_count()
    }

    pub(crate) fn public_addr(&self) -> &str {
        &self.app.public_addr
    }

    /// The way to the process before this one.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.app.elder)
    }

    /// Answers the process after this one about live sessions.
    pub(crate) async fn answer(&self, question: &Question) -> Vec<LiveSessionEntry> {
        live::answer(&self.app, question).await
    }

    /// Reads everything anew and makes the gate judge by it; where anything is wrong, all stays as it was.
    pub(crate) fn install(&self) -> Result<(), AuthorityError> {
        api::read_and_install(&self.app)
    }

    /// Serves one connection to its end. It is counted here before its arrival is over.
    pub(crate) async fn serve(&self, opened: Opened, peer: SocketAddr, arrival: TaskTrackerToken) {
        let mut wind_up = self.wind_up.subscribe();
        drop(arrival);
        let caller = Caller { peer, identity: opened.facts.identity, sni: opened.facts.sni };
        let router = TowerToHyperService::new(self.router.clone().layer(Extension(caller)));
        let service = service_fn(|request| {
            let answered = router.call(request);
            async {
                let mut answer = answered.await?;
                if *self.wind_up.borrow() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                    answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD_MAX)
            .serve_connection(TokioIo::new(opened.stream), service)
            // Pages go on in a WebSocket.
            .with_upgrades();
        let mut served = std::pin::pin!(served);
        // At once hyper would close connections that rest, and lose the requests that are on their way.
        let winding_up = async {
            wind_up.wait_for(|wanted| *wanted).await.map(drop).unwrap_or_default();
            sleep(LAST_REQUEST_MAX).await;
        };
        let ended = tokio::select! {
            ended = &mut served => ended,
            () = winding_up => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "An HTTP connection ended early");
        }
    }
}

/// Around every handler: the host is ours and the one that TLS was made for, and the answer, whatever it is,
/// comes in time and is kept by nobody, but for scripts that say otherwise.
async fn guard(
    axum::extract::State(app): axum::extract::State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let plain_elsewhere = host_name(&request) == "localhost";
    let mut response = if !is_for_us(&app, &caller, &request) {
        (StatusCode::MISDIRECTED_REQUEST, "this connection was made for another host name\n").into_response()
    } else if request.uri().path() == web_path::UPLOAD {
        // A file is as long as it is, and has limits of its own.
        next.run(request).await
    } else {
        let late = (StatusCode::SERVICE_UNAVAILABLE, "the gate took too long (try again)\n");
        timeout(REQUEST_MAX, answer(request, next)).await.unwrap_or_else(|_| late.into_response())
    };
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    // A browser would take it for every other server on that name too: on localhost those are others' own.
    if !plain_elsewhere {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, header::HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Hands the request on with its body read whole.
async fn answer(request: Request<Body>, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match whole(body).await {
        Ok(bytes) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The whole body. Of one that is too large the rest is read away up to a limit: a client that is cut off while
/// it sends does not read why.
async fn whole(mut body: Body) -> Result<Bytes, (StatusCode, &'static str)> {
    let (mut kept, mut read) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| (StatusCode::BAD_REQUEST, "the request's body broke off\n"))?;
        let data = frame.into_data().unwrap_or_default();
        read += data.len();
        if read > BODY_READ_MAX {
            break;
        }
        if read <= BODY_MAX {
            kept.extend_from_slice(&data);
        }
    }
    if read > BODY_MAX { Err((StatusCode::PAYLOAD_TOO_LARGE, "the request is too large\n")) } else { Ok(kept.freeze()) }
}

/// The name in the `Host` header, without its port.
fn host_name(request: &Request<Body>) -> &str {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(name, port)| if port.parse::<u16>().is_ok() { name } else { host })
}

fn is_for_us(app: &App, caller: &Caller, request: &Request<Body>) -> bool {
    let name = host_name(request);
    let known = app.names.iter().any(|n| n == name) && caller.sni.as_ref().is_none_or(|sni| sni == name);
    // The pages' own origin has the pages, and what they must know before anybody signs in.
    let path = request.uri().path();
    let a_page = || path == "/" || path == "/web" || path.starts_with("/web/") || path == tapgate_api::path::FIND;
    known && (app.pages_host.as_deref() != Some(name) || a_page())
}
