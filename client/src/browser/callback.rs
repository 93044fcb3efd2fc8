//! The listener on loopback: it sends the browser to the gate's page, and takes the sealed answer from it.
//!
//! Anything on this machine may knock. Whoever does not know the number in the path, or brings what our key
//! does not open, is told that there is nothing here, and the wait goes on.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tapgate_api::{BrowserOutcome, path};
use tapgate_seal::{Key, SEALED_MAX};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

use crate::error::{Act as _, Failure, Result};
use crate::limits::{CALLBACK_CONNECTIONS_MAX, CALLBACK_HEAD_WAIT, CALLBACK_TRIES_MAX};

/// A bound port and the number without which nobody is heard there.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    nonce: String,
}

impl Listener {
    /// Any port of `127.0.0.1`. There is no way to name `[::1]` in a page's policy, so no page could post there.
    pub(super) async fn bind() -> Result<Self> {
        let act = || "no port of this machine can be listened on".to_owned();
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.act(act)?;
        let address = socket.local_addr().act(act)?;
        Ok(Self { socket, address, nonce: new_nonce()? })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// What the person clicks on.
    pub(super) fn link(&self) -> String {
        format!("http://{}/{}", self.address, self.nonce)
    }

    /// Serves until the answer has come, and the browser has been told where to go on.
    pub(super) async fn serve(self, callback: Callback) -> Result<BrowserOutcome> {
        let callback = Arc::new(callback);
        let (sender, mut outcomes) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(outcome) = outcomes.recv() => return Ok(outcome),
                Some(_) = connections.join_next() => {}
                accepted = self.socket.accept(), if connections.len() < CALLBACK_CONNECTIONS_MAX => {
                    // One that went away before it was accepted is no reason to stop.
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(connection(Arc::clone(&callback), stream, sender.clone()));
                    }
                }
            }
            if callback.tries.load(Ordering::Relaxed) >= CALLBACK_TRIES_MAX {
                return Err(Failure::new("somebody on this machine tries to answer in the browser's place")
                    .advise("see which programs run here, then start again"));
            }
        }
    }
}

/// What a request is measured by.
pub(super) struct Callback {
    host: String,
    nonce: String,
    key: Key,
    context: Vec<u8>,
    page: Url,
    tries: AtomicU32,
}

impl Callback {
    pub(super) fn new(listener: &Listener, key: Key, context: Vec<u8>, page: Url) -> Self {
        let (host, nonce) = (listener.address.to_string(), listener.nonce.clone());
        Self { host, nonce, key, context, page, tries: AtomicU32::new(0) }
    }

    async fn answer(&self, request: Request<Incoming>) -> (Response<Full<Bytes>>, Option<BrowserOutcome>) {
        // A name that was made to lead here is not ours.
        if text(request.headers(), header::HOST) != Some(&self.host) {
            return (plain(StatusCode::MISDIRECTED_REQUEST), None);
        }
        let path = request.uri().path();
        if *request.method() == Method::GET && path.strip_prefix('/') == Some(&self.nonce) {
            return (elsewhere(StatusCode::FOUND, self.page.as_str()), None);
        }
        if *request.method() != Method::POST || path.strip_prefix("/callback/") != Some(&self.nonce) {
            return (plain(StatusCode::NOT_FOUND), None);
        }
        let Some(outcome) = self.open(request).await else {
            self.tries.fetch_add(1, Ordering::Relaxed);
            return (plain(StatusCode::NOT_FOUND), None);
        };
        let place = match outcome {
            BrowserOutcome::Denied | BrowserOutcome::Exhausted | BrowserOutcome::Refused { .. } => path::BROWSER_DENIED,
            _ => path::BROWSER_APPROVED,
        };
        let place = self.page.join(place).map_or_else(|_| self.page.to_string(), String::from);
        (elsewhere(StatusCode::SEE_OTHER, &place), Some(outcome))
    }

    /// The outcome, where it was sealed to our key for this request, and a whole page brings it.
    async fn open(&self, request: Request<Incoming>) -> Option<BrowserOutcome> {
        let destination = text(request.headers(), HeaderName::from_static("sec-fetch-dest"));
        if destination.is_some_and(|destination| destination != "document") {
            return None;
        }
        let body = Limited::new(request.into_body(), SEALED_MAX + 16).collect().await.ok()?.to_bytes();
        let (_, sealed) = url::form_urlencoded::parse(&body).find(|(name, _)| name == "sealed")?;
        let message = self.key.open(&sealed, &self.context).ok()?;
        serde_json::from_slice(&message).ok()
    }
}

/// One connection, one request. The outcome is handed on when the browser has its answer.
async fn connection(callback: Arc<Callback>, stream: TcpStream, outcomes: mpsc::Sender<BrowserOutcome>) {
    let (found, mut here) = mpsc::channel(1);
    let service = service_fn(|request| {
        let (callback, found) = (Arc::clone(&callback), found.clone());
        async move {
            let (response, outcome) = callback.answer(request).await;
            if let Some(outcome) = outcome {
                // A second one on the same connection finds the place taken, and is not needed.
                found.try_send(outcome).ok();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CALLBACK_HEAD_WAIT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A browser that has gone has been answered as far as it wanted to be; a body that never ends is cut.
    tokio::time::timeout(CALLBACK_HEAD_WAIT * 2, serving).await.map(drop).ok();
    if let Ok(outcome) = here.try_recv() {
        outcomes.send(outcome).await.ok();
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"There is nothing here.\n")));
    *response.status_mut() = status;
    guarded(response)
}

fn elsewhere(status: StatusCode, place: &str) -> Response<Full<Bytes>> {
    let Ok(place) = place.parse() else { return plain(StatusCode::NOT_FOUND) };
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, place);
    guarded(response)
}

fn guarded(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

/// A random UUID's text: 122 bits that nobody guesses.
fn new_nonce() -> Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).act(|| "the system gives no random bytes".to_owned())?;
    let number = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PAGE: &str = "https://localhost:3080/web/mfa/browser/R";

    struct Knocker {
        address: SocketAddr,
        nonce: String,
    }

    impl Knocker {
        /// Sends a request as it is, and answers the first line and the place that the answer names.
        #[expect(clippy::disallowed_methods, reason = "a test knocks at its own listener")]
        async fn knock(&self, line: &str, host: &str, more: &str, body: &str) -> (String, String) {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let place = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default();
            (answer.split(' ').nth(1).unwrap_or_default().to_owned(), place.to_owned())
        }

        async fn post(&self, sealed: &str, more: &str) -> (String, String) {
            let (host, line) = (self.address.to_string(), format!("POST /callback/{}", self.nonce));
            self.knock(&line, &host, more, &format!("sealed={sealed}")).await
        }
    }

    async fn listening() -> (Knocker, String, tokio::task::JoinHandle<Result<BrowserOutcome>>) {
        let (listener, key) = (Listener::bind().await.unwrap(), Key::generate());
        let knocker = Knocker { address: listener.address, nonce: listener.nonce.clone() };
        let public = key.public().to_owned();
        let callback = Callback::new(&listener, key, b"context".to_vec(), Url::parse(PAGE).unwrap());
        (knocker, public, tokio::spawn(listener.serve(callback)))
    }

    #[tokio::test]
    async fn strangers_are_told_nothing_and_end_nothing() {
        let (knocker, public, serving) = listening().await;
        let (host, nonce) = (knocker.address.to_string(), knocker.nonce.clone());
        let sealed = |context: &[u8]| tapgate_seal::seal(&public, context, br#"{"outcome":"denied"}"#).unwrap();
        for (line, host, status) in [
            ("GET /", host.as_str(), "404"),
            ("GET /favicon.ico", &host, "404"),
            ("POST /callback/d658314e-68f0-4ad4-be79-0181e6e0dae5", &host, "404"),
            (&format!("GET /callback/{nonce}"), &host, "404"),
            (&format!("POST /callback/{nonce}"), "evil.test", "421"),
            (&format!("GET /{nonce}"), "localhost:1", "421"),
        ] {
            assert_eq!(knocker.knock(line, host, "", "").await.0, status, "{line}");
        }
        assert_eq!(knocker.post("garbage", "").await.0, "404");
        assert_eq!(knocker.post(&sealed(b"another"), "").await.0, "404");
        assert_eq!(knocker.post(&sealed(b"context"), "Sec-Fetch-Dest: image\r\n").await.0, "404");
        assert_eq!(knocker.post(&"A".repeat(SEALED_MAX + 100), "").await.0, "404");
        assert!(!serving.is_finished());
        let (status, place) = knocker.knock(&format!("GET /{nonce}"), &host, "", "").await;
        assert_eq!((status.as_str(), place.as_str()), ("302", PAGE));
        let (status, place) = knocker.post(&sealed(b"context"), "Sec-Fetch-Dest: document\r\n").await;
        assert_eq!((status.as_str(), place.as_str()), ("303", "https://localhost:3080/web/mfa/denied"));
        assert!(matches!(serving.await.unwrap().unwrap(), BrowserOutcome::Denied));
    }

    #[tokio::test]
    async fn who_knows_the_number_and_guesses_is_stopped() {
        let (knocker, _, serving) = listening().await;
        for _ in 0..CALLBACK_TRIES_MAX {
            assert_eq!(knocker.post("garbage", "").await.0, "404");
        }
        assert!(serving.await.unwrap().is_err());
    }

    #[test]
    fn nonces_are_random_uuids() {
        let (one, other) = (new_nonce().unwrap(), new_nonce().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
    }
}
