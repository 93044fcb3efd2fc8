//! A client's connection as pingora sees it: our own stream, what is known of it, and its end when a session ends.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tapgate_relay::Io;
use tapgate_session::ConnectionId;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::{Instrument as _, Span};

use crate::coalesce::Coalesce;
use crate::limits::{HEAD_BYTES_MAX, HEAD_MAX};
use crate::session::AppSession;

/// How a client reached us.
pub(crate) enum Way {
    /// At an application's own host name, by which the handshake was made.
    Host(String),
    /// Through a tunnel that leads to this one session.
    Tunnel(Arc<AppSession>),
}

/// What is known of a connection, by whoever serves its requests.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) way: Way,
    /// Its number, and what the log knows of it: HTTP/2 has a task for each request, which knows neither.
    id: Option<ConnectionId>,
    span: Span,
    /// Ends the connection: a session that used it is over.
    severed: CancellationToken,
    /// Why, in a WebSocket's own words, where the connection has become one.
    last_words: Mutex<Option<Vec<u8>>>,
    /// Whether bytes are a WebSocket's.
    upgraded: AtomicBool,
    /// Whether the next bytes belong to a request's head (HTTP/1).
    heading: AtomicBool,
    /// Which head that is.
    head: AtomicU64,
    /// When bytes last passed, in seconds after `began`.
    moved: AtomicU64,
    began: Instant,
}

impl Connection {
    pub(crate) fn new(peer: SocketAddr, way: Way) -> Self {
        Self {
            peer,
            way,
            id: ConnectionId::current(),
            span: Span::current(),
            severed: CancellationToken::new(),
            last_words: Mutex::default(),
            upgraded: AtomicBool::new(false),
            heading: AtomicBool::new(true),
            head: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    /// Its number in the logs.
    pub(crate) const fn id(&self) -> Option<ConnectionId> {
        self.id
    }

    /// What is done for it: asks within are told to be its own.
    pub(crate) async fn within<F: Future>(&self, work: F) -> F::Output {
        let work = work.instrument(self.span.clone());
        match self.id {
            Some(id) => id.carry(work).await,
            None => work.await,
        }
    }

    /// Ends the connection. A WebSocket is told why.
    pub(crate) fn sever(&self, reason: &str) {
        if self.upgraded.load(Ordering::SeqCst) {
            *self.last_words.lock().unwrap_or_else(PoisonError::into_inner) = Some(close_frame(reason));
        }
        self.severed.cancel();
    }

    /// From here on the bytes are a WebSocket's.
    pub(crate) fn upgraded(&self) {
        self.upgraded.store(true, Ordering::SeqCst);
    }

    /// A head was read whole, or the next one is awaited.
    pub(crate) fn expects_head(&self, expects: bool) {
        self.heading.store(expects, Ordering::Relaxed);
        self.head.fetch_add(u64::from(expects), Ordering::Relaxed);
    }

    /// How long ago bytes last passed.
    pub(crate) fn rested(&self) -> Duration {
        let last = Duration::from_secs(self.moved.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }

    fn moved(&self) {
        self.moved.store(self.began.elapsed().as_secs(), Ordering::Relaxed);
    }
}

/// A WebSocket's close frame from a server: 1008, "policy violation" (RFC 6455 sections 5.5.1 and 7.4.1).
fn close_frame(reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = reason.get(..end).unwrap_or_default();
    let length = u8::try_from(reason.len() + 2).unwrap_or(2);
    [&[0x88, length][..], &1008_u16.to_be_bytes(), reason.as_bytes()].concat()
}

/// Our stream in the form that pingora takes.
pub(crate) struct ClientIo {
    // pingora wants a stream that may be shared; only `get_mut` is ever used, which locks nothing.
    io: Mutex<Coalesce<Box<dyn Io>>>,
    connection: Arc<Connection>,
    digest: Arc<ProxyDigest>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    alpn: ALPN,
    id: i32,
    /// The present head, its bytes, and when it must be whole.
    head_number: u64,
    head: usize,
    head_due: Option<Pin<Box<Sleep>>>,
    /// What is left to be said before a severed connection closes.
    parting: Option<Vec<u8>>,
}

/// Connections are told apart by a number; pingora reads it only in its logs.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl ClientIo {
    /// A stream of HTTP/2 where that was agreed on, else of HTTP/1.
    pub(crate) fn new(io: Box<dyn Io>, h2: bool, connection: Arc<Connection>) -> Option<Self> {
        // Nobody reads it, so it holds no room for headers.
        let response = ResponseHeader::build(200, Some(0)).ok()?;
        let facts: Box<dyn std::any::Any + Send + Sync> = Box::new(Arc::clone(&connection));
        Some(Self {
            io: Mutex::new(Coalesce::new(io)),
            digest: Arc::new(ProxyDigest::new(Box::new(response), Some(facts))),
            ended: Box::pin(connection.severed.clone().cancelled_owned()),
            connection,
            alpn: if h2 { ALPN::H2 } else { ALPN::H1 },
            id: i32::try_from(NEXT.fetch_add(1, Ordering::Relaxed) & 0x7fff_ffff).unwrap_or_default(),
            head_number: 0,
            head: 0,
            head_due: None,
            parting: None,
        })
    }

    fn inner(&mut self) -> Pin<&mut Coalesce<Box<dyn Io>>> {
        Pin::new(self.io.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says a WebSocket's last words, then nothing more.
    fn part(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.parting.is_none() {
            let words = self.connection.last_words.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.parting = Some(words.unwrap_or_default());
        }
        while let Some(words) = self.parting.take().filter(|words| !words.is_empty()) {
            match self.inner().poll_write(cx, &words) {
                Poll::Ready(Ok(n)) if n > 0 => self.parting = words.get(n..).map(<[u8]>::to_vec),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    self.parting = Some(words);
                    return Poll::Pending;
                }
            }
        }
        self.parting = Some(Vec::new());
        // Best effort: who does not read will see the connection close.
        if self.inner().poll_flush(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(io::Error::new(io::ErrorKind::ConnectionAborted, "the session is over"))
    }

    /// Whether the connection has to end now.
    fn over(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.ended.as_mut().poll(cx).is_ready() {
            return self.part(cx);
        }
        Poll::Pending
    }

    /// Watches over a head that comes in pieces: its size, and the time that it takes.
    fn watch_head(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let number = self.connection.head.load(Ordering::Relaxed);
        let heading = self.connection.heading.load(Ordering::Relaxed);
        if !heading || number != self.head_number {
            (self.head_number, self.head, self.head_due) = (number, 0, None);
        }
        if !heading {
            return Ok(());
        }
        if self.head > HEAD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the head of the request is too large"));
        }
        if self.head > 0 {
            let due = self.head_due.get_or_insert_with(|| Box::pin(tokio::time::sleep(HEAD_MAX)));
            if due.as_mut().poll(cx).is_ready() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the head of the request took too long"));
            }
        }
        Ok(())
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(error) = this.over(cx) {
            return Poll::Ready(Err(error));
        }
        if this.alpn != ALPN::H2 {
            this.watch_head(cx)?;
        }
        let before = buf.filled().len();
        let polled = this.inner().poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 {
            this.head += read;
            this.connection.moved();
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Poll::Ready(error) = this.over(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = this.inner().poll_write(cx, bytes);
        if polled.is_ready() {
            this.connection.moved();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Poll::Ready(error) = this.over(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = this.inner().poll_write_vectored(cx, bytes);
        if polled.is_ready() {
            this.connection.moved();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl fmt::Debug for ClientIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIo").field("peer", &self.connection.peer).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for ClientIo {
    async fn shutdown(&mut self) {
        // A client that has gone is no failure here.
        AsyncWriteExt::shutdown(self).await.ok();
    }
}

impl UniqueID for ClientIo {
    fn id(&self) -> i32 {
        self.id
    }
}

impl Ssl for ClientIo {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(self.alpn.clone())
    }
}

impl Peek for ClientIo {}

impl GetTimingDigest for ClientIo {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientIo {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl GetSocketDigest for ClientIo {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_is_told_why_in_one_frame() {
        assert_eq!(close_frame("no"), [0x88, 4, 0x03, 0xf0, b'n', b'o']);
        let long = close_frame(&"é".repeat(100));
        assert_eq!((long.len(), long.get(1)), (126, Some(&124)));
        assert!(std::str::from_utf8(&long[4..]).is_ok());
    }
}
