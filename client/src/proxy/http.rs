//! Requests at a port of loopback: each must show the run's secret and name the port itself; then it is passed on.
//!
//! Every page that a browser on this machine has open can send requests to any port here. It can't know the secret,
//! and can't have a name of its own lead here unnoticed, because the `Host` must be this one.

use std::convert::Infallible;
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::Mutex;

use super::listen::Local;
use super::secret::Secret;
use crate::error::{Act as _, Result};
use crate::ssh::tunnel::carry;

/// The header that carries the secret, where `Authorization` is the application's own.
pub const HEADER: &str = "Tap-Proxy-Secret";

type Answer = Response<BoxBody<Bytes, hyper::Error>>;
type Sender = Arc<Mutex<SendRequest<Incoming>>>;

/// What a port demands.
pub struct Serve {
    secret: Secret,
    port: u16,
}

/// Why a request is not passed on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It names another host.
    Host,
    /// It does not show the secret.
    Secret,
}

impl Serve {
    /// For this secret and port.
    pub const fn new(secret: Secret, port: u16) -> Self {
        Self { secret, port }
    }

    /// Serves one connection of a local program; `reach` makes its tunnel, once a good request has come.
    pub async fn connection<F, R, S>(self: &Arc<Self>, local: Local, reach: F) -> Result<()>
    where
        F: Fn() -> R,
        R: Future<Output = Result<S>>,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let sender: Mutex<Option<Sender>> = Mutex::new(None);
        let service = service_fn(|mut request: Request<Incoming>| {
            let (sender, reach) = (&sender, &reach);
            async move {
                if let Err(wrong) = self.check(request.headers_mut()) {
                    return Ok::<_, Infallible>(refusal(&wrong));
                }
                let passed = async {
                    let sender = connected(sender, reach).await?;
                    pass(&sender, request).await
                };
                Ok(passed.await.unwrap_or_else(|failure| {
                    eprintln!("ERROR: {failure}");
                    told(StatusCode::BAD_GATEWAY, &failure.to_string())
                }))
            }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(hyper_util::rt::TokioTimer::new())
            .serve_connection(TokioIo::new(local), service)
            .with_upgrades()
            .await;
        // A program that hangs up, or speaks no HTTP, ends its own connection only.
        served.or(Ok(()))
    }

    /// Looks at host and secret; takes the secret out, so that the application never sees it.
    pub(crate) fn check(&self, headers: &mut HeaderMap) -> std::result::Result<(), Wrong> {
        let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
        let host = headers.get(HOST).and_then(text).unwrap_or_default();
        let ours = [format!("{}:{}", Ipv4Addr::LOCALHOST, self.port), format!("localhost:{}", self.port)];
        if !ours.contains(&host) {
            return Err(Wrong::Host);
        }
        if let Some(shown) = headers.remove(HEADER).as_ref().and_then(text) {
            return if self.secret.is(&shown) { Ok(()) } else { Err(Wrong::Secret) };
        }
        let authorization = headers.get(AUTHORIZATION).and_then(text).unwrap_or_default();
        let shown = match authorization.split_once(' ') {
            Some(("Bearer", token)) => token.to_owned(),
            Some(("Basic", pair)) => {
                let pair = STANDARD.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok());
                pair.and_then(|pair| pair.split_once(':').map(|(_, word)| word.to_owned())).unwrap_or_default()
            }
            _ => String::new(),
        };
        if !self.secret.is(&shown) {
            return Err(Wrong::Secret);
        }
        headers.remove(AUTHORIZATION);
        Ok(())
    }
}

/// The connection's tunnel, made for its first request, and again where it was closed meanwhile.
async fn connected<F, R, S>(kept: &Mutex<Option<Sender>>, reach: &F) -> Result<Sender>
where
    F: Fn() -> R,
    R: Future<Output = Result<S>>,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut kept = kept.lock().await;
    if let Some(sender) = kept.as_ref()
        && !sender.lock().await.is_closed()
    {
        return Ok(Arc::clone(sender));
    }
    let stream = TokioIo::new(reach().await?);
    let broken = || "the gate ended the tunnel".to_owned();
    let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.act(broken)?;
    tokio::spawn(connection.with_upgrades());
    let sender = Arc::new(Mutex::new(sender));
    *kept = Some(Arc::clone(&sender));
    Ok(sender)
}

async fn pass(sender: &Sender, mut request: Request<Incoming>) -> Result<Answer> {
    let ours = hyper::upgrade::on(&mut request);
    let broken = || "the gate ended the tunnel".to_owned();
    let mut sender = sender.lock().await;
    sender.ready().await.act(broken)?;
    let mut response = sender.send_request(request).await.act(broken)?;
    drop(sender);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let theirs = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) else { return };
            let (input, output) = split(TokioIo::new(ours));
            // Either side may hang up at any time.
            carry(TokioIo::new(theirs), input, output).await.ok();
        });
    }
    Ok(response.map(BodyExt::boxed))
}

fn refusal(wrong: &Wrong) -> Answer {
    let (status, text) = match wrong {
        Wrong::Host => {
            (StatusCode::MISDIRECTED_REQUEST, "this proxy has another host name (use 127.0.0.1 and its port)")
        }
        Wrong::Secret => {
            (StatusCode::UNAUTHORIZED, "the secret of this proxy is missing or wrong (send the header that tap names)")
        }
    };
    told(status, text)
}

fn told(status: StatusCode, text: &str) -> Answer {
    let body = Full::new(Bytes::from(format!("{text}\n"))).map_err(|never: Infallible| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_secret_and_names_the_port_is_let_through() {
        let secret = Secret::generate().unwrap();
        let word = secret.reveal().to_owned();
        let serve = Serve::new(secret, 4321);
        let check = |lines: &[(&'static str, &str)]| {
            let mut headers: HeaderMap =
                lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            (serve.check(&mut headers), headers)
        };
        let host = ("host", "127.0.0.1:4321");
        assert_eq!(check(&[host]).0, Err(Wrong::Secret));
        assert_eq!(check(&[host, ("tap-proxy-secret", "x")]).0, Err(Wrong::Secret));
        for other in ["evil.example:4321", "127.0.0.1", "127.0.0.1:80", ""] {
            assert_eq!(check(&[("host", other), ("tap-proxy-secret", &word)]).0, Err(Wrong::Host), "{other}");
        }
        let basic = format!("Basic {}", STANDARD.encode(format!("any:{word}")));
        for good in [
            ("tap-proxy-secret", word.as_str()),
            ("authorization", &format!("Bearer {word}")),
            ("authorization", &basic),
        ] {
            let (passed, headers) = check(&[("host", "localhost:4321"), good]);
            assert_eq!(passed, Ok(()), "{good:?}");
            assert!(headers.values().all(|value| !value.to_str().unwrap().contains(&word)), "the secret went on");
            assert_eq!(headers.len(), 1);
        }
        let (passed, headers) = check(&[host, ("tap-proxy-secret", &word), ("authorization", "Bearer own")]);
        assert_eq!((passed, headers.get("authorization").unwrap().to_str().unwrap()), (Ok(()), "Bearer own"));
    }
}
