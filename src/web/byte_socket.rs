//! A WebSocket (RFC 6455) of one of our pages, as a stream of bytes: where its messages are cut means nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::{Buf as _, Bytes};
use futures::{Sink as _, SinkExt as _, Stream as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tapgate_authority::Fault;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::limits::{SOCKET_BUFFER, SOCKET_CLOSE_MAX, SOCKET_MESSAGE_MAX};

/// What is said where a session was not opened.
pub(super) const REFUSED: u16 = 4403;
/// What is said where one has ended.
pub(super) const ENDED: u16 = 4000;

/// How long the reason of a closing message may be (RFC 6455 section 5.5).
const REASON_MAX: usize = 123;

/// A page that wants to go on in this way.
pub(super) struct Handshake {
    accept: String,
    upgrade: OnUpgrade,
}

/// The stream.
pub(super) struct ByteSocket {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    /// What has come and was not read yet.
    unread: Bytes,
}

impl Handshake {
    /// Looks at the request: browsers send the cookie along whoever asks, so that the origin alone says whose page it is.
    pub(super) fn of(request: &mut Request<Body>, origins: &[String]) -> Result<Self, Fault> {
        if !is_ours(request.headers(), origins) {
            return Err(Fault::denied("this was not sent by the gate's own page"));
        }
        let wrong = || Fault::invalid("this is no way to begin a WebSocket", "open the gate's own page");
        let key = key(request.headers()).ok_or_else(wrong)?;
        let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(wrong)?;
        Ok(Self { accept: derive_accept_key(&key), upgrade })
    }

    /// The answer that lets the page go on.
    pub(super) fn answer(&self) -> Response {
        let fixed = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
        ];
        let mut response = (StatusCode::SWITCHING_PROTOCOLS, fixed).into_response();
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }

    /// The stream, once the answer was sent.
    pub(super) async fn open(self) -> io::Result<ByteSocket> {
        let upgraded = self.upgrade.await.map_err(io::Error::other)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(SOCKET_BUFFER)
            // Each message goes out at once: waiting is for whoever writes.
            .write_buffer_size(0)
            .max_message_size(Some(SOCKET_MESSAGE_MAX))
            .max_frame_size(Some(SOCKET_MESSAGE_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        Ok(ByteSocket { socket, unread: Bytes::new() })
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn is_ours(headers: &HeaderMap, origins: &[String]) -> bool {
    let site = text(headers, HeaderName::from_static("sec-fetch-site"));
    let origin = text(headers, header::ORIGIN);
    origins.iter().any(|ours| ours == origin) && matches!(site, "" | "same-origin")
}

/// The key of a request that is right in all else.
fn key(headers: &HeaderMap) -> Option<Vec<u8>> {
    let has = |name, word: &str| text(headers, name).split(',').any(|one| one.trim().eq_ignore_ascii_case(word));
    let right = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && text(headers, header::SEC_WEBSOCKET_VERSION) == "13";
    let key = text(headers, header::SEC_WEBSOCKET_KEY);
    (right && key.len() == 24).then(|| key.as_bytes().to_vec())
}

impl ByteSocket {
    /// Says why it ends, and waits a moment for the page to have read it.
    pub(super) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: shortened(reason).into() };
        let closed = async {
            self.socket.send(Message::Close(Some(frame))).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<_, Error>(())
        };
        // Best effort: a page that has gone needs no reason.
        drop(timeout(SOCKET_CLOSE_MAX, closed).await);
    }
}

/// As much of a reason as there is room for.
fn shortened(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default()
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

impl AsyncRead for ByteSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
        }
        let take = self.unread.len().min(buf.remaining());
        buf.put_slice(self.unread.get(..take).unwrap_or_default());
        self.unread.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(broken)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(broken)
    }

    /// Its end is told with a reason, by whoever knows it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn only_our_own_page_begins_one() {
        let ours = ["https://localhost:3080".to_owned()];
        let asks = |origin: &str, site: &str| {
            let mut all = headers(&[("origin", origin)]);
            if !site.is_empty() {
                all.insert("sec-fetch-site", site.parse().unwrap());
            }
            is_ours(&all, &ours)
        };
        assert!(asks("https://localhost:3080", "same-origin") && asks("https://localhost:3080", ""));
        for (origin, site) in [
            ("https://evil.test", "cross-site"),
            ("https://evil.test", ""),
            ("https://localhost:3080", "same-site"),
            ("https://localhost:3081", "same-origin"),
            ("null", ""),
            ("", ""),
        ] {
            assert!(!asks(origin, site), "{origin} {site}");
        }
        assert!(!is_ours(&HeaderMap::new(), &ours));
    }

    #[test]
    fn keys() {
        let right = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(key(&headers(&right)).is_some());
        for (at, value) in [(0, "keep-alive"), (1, "h2c"), (2, "8"), (3, "short")] {
            let mut wrong = right;
            wrong[at].1 = value;
            assert!(key(&headers(&wrong)).is_none(), "{value}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_letters() {
        assert_eq!(shortened("gone"), "gone");
        assert_eq!(shortened(&"ä".repeat(100)).len(), 122);
    }
}
