//! Requests of local programs to clusters: each must show the run's secret and name the port itself, and goes on over
//! a connection whose tap is good.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, http};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tapgate_model::{Login, tunnel};
use tokio::io::split;
use tokio::sync::Mutex;
use tokio_rustls::TlsAcceptor;

use super::taps::Taps;
use crate::error::{Act as _, Failure, Result};
use crate::limits::RETRY_BYTES_MAX;
use crate::proxy::http::{Serve, Wrong};
use crate::proxy::listen::Local;
use crate::ssh::tunnel::carry;

type Body = BoxBody<Bytes, hyper::Error>;
type Answer = Response<Body>;

const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// What all connections share.
pub(super) struct Pass {
    pub(super) taps: Taps,
    pub(super) serve: Arc<Serve>,
    pub(super) tls: TlsAcceptor,
}

/// The connection to the gate that belongs to one local connection.
struct Kept {
    sender: SendRequest<Body>,
    tap: u64,
    by_login: bool,
}

/// A request whose body may be sent once more.
struct Again {
    head: http::request::Parts,
    body: Bytes,
}

impl Pass {
    /// Serves one connection of a local program.
    pub(super) async fn connection(self: Arc<Self>, local: Local) -> Result<()> {
        // A program that does not trust the run's certificate hangs up.
        let Ok(stream) = self.tls.accept(local).await else { return Ok(()) };
        let kept: Mutex<Option<Kept>> = Mutex::new(None);
        let service = service_fn(|request| {
            let (pass, kept) = (&self, &kept);
            async move { Ok::<_, Infallible>(pass.answer(kept, request).await) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        // A program that hangs up, or speaks no HTTP, ends its own connection only.
        served.or(Ok(()))
    }

    async fn answer(&self, kept: &Mutex<Option<Kept>>, mut request: Request<Incoming>) -> Answer {
        match self.serve.check(request.headers_mut()) {
            Err(Wrong::Host) => {
                return status(
                    StatusCode::MISDIRECTED_REQUEST,
                    "this proxy has another host name (use its kubeconfig)",
                );
            }
            Err(Wrong::Secret) => {
                return status(
                    StatusCode::UNAUTHORIZED,
                    "the secret of this proxy is missing or wrong (use its kubeconfig)",
                );
            }
            Ok(()) => {}
        }
        let cluster = request.uri().path().split('/').nth(1).unwrap_or_default();
        let Some(login) = self.taps.login(cluster).cloned() else {
            return status(StatusCode::NOT_FOUND, "this proxy does not serve that cluster (name it to tap proxy kube)");
        };
        self.passed(kept, request, &login).await.unwrap_or_else(|failure| {
            eprintln!("ERROR: {failure}");
            status(StatusCode::BAD_GATEWAY, &failure.to_string())
        })
    }

    /// Passes a request on; where the gate wants a fresh tap for it, asks for one and passes it on once more.
    async fn passed(
        &self,
        kept: &Mutex<Option<Kept>>,
        mut request: Request<Incoming>,
        login: &Login,
    ) -> Result<Answer> {
        let host = HeaderValue::from_str(&self.taps.host()).act(|| "the gate's name can't be sent".to_owned())?;
        request.headers_mut().insert(HOST, host);
        let on_client = hyper::upgrade::on(&mut request);
        let (head, body) = request.into_parts();
        let small = body.size_hint().upper().is_some_and(|size| size <= RETRY_BYTES_MAX);
        let (body, again) = if small {
            let limit = usize::try_from(RETRY_BYTES_MAX).unwrap_or(usize::MAX);
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|_| Failure::new("the request ended early"))?.to_bytes();
            (whole(body.clone()), Some(Again { head: head.clone(), body }))
        } else {
            (body.boxed(), None)
        };
        let (mut response, tap) = self.send(kept, Request::from_parts(head, body), login).await?;
        if let Some(again) = again.filter(|_| response.headers().contains_key(tunnel::FRESH_TAP)) {
            self.taps.anew(tap).await?;
            (response, _) = self.send(kept, Request::from_parts(again.head, whole(again.body)), login).await?;
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let on_gate = hyper::upgrade::on(&mut response);
            tokio::spawn(async move {
                let (Ok(client), Ok(gate)) = (on_client.await, on_gate.await) else { return };
                let (input, output) = split(TokioIo::new(client));
                // Either side may hang up at any time.
                carry(TokioIo::new(gate), input, output).await.ok();
            });
        }
        Ok(response.map(BodyExt::boxed))
    }

    /// Sends a request under a tap that is good; answers under which.
    async fn send(
        &self,
        kept: &Mutex<Option<Kept>>,
        mut request: Request<Body>,
        login: &Login,
    ) -> Result<(Response<Incoming>, u64)> {
        let broken = || "the gate ended the connection".to_owned();
        let mut kept = kept.lock().await;
        let tap = self.taps.current().await?;
        if kept.as_ref().is_none_or(|kept| kept.tap != tap || kept.sender.is_closed()) {
            let reached = self.taps.reach().await?;
            let stream = TokioIo::new(reached.stream);
            let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.act(broken)?;
            tokio::spawn(connection.with_upgrades());
            *kept = Some(Kept { sender, tap: reached.tap, by_login: reached.by_login });
        }
        let Some(Kept { sender, tap, by_login }) = kept.as_mut() else { return Err(Failure::new(broken())) };
        if let (true, Login::Kube { user, .. }) = (*by_login, login)
            && !request.headers().contains_key(IMPERSONATE_USER)
        {
            let user = HeaderValue::from_str(user).act(|| "the user's name can't be sent".to_owned())?;
            request.headers_mut().insert(IMPERSONATE_USER, user);
        }
        sender.ready().await.act(broken)?;
        Ok((sender.send_request(request).await.act(broken)?, *tap))
    }
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}

/// A refusal as Kubernetes clients read it.
fn status(code: StatusCode, message: &str) -> Answer {
    let reason = match code {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::BAD_GATEWAY => "ServiceUnavailable",
        _ => "BadRequest",
    };
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code.as_u16(),
    });
    let mut response = Response::new(whole(Bytes::from(status.to_string())));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
