//! A connection of HTTP/1: its requests one after the other, and as little as can be held between them.
//!
//! pingora would hold what it serves a request with while it waits for the next one, which is most of what an idle
//! connection costs. So the wait is here, for the first byte alone, and pingora begins where there is something to do.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use pingora::apps::{HttpPersistentSettings, HttpServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::limits::{CLIENT_IDLE, HEAD_BUFFER};

/// Serves the requests of a connection until it ends, or rests for too long.
pub(crate) async fn serve<A: HttpServerApp>(app: &Arc<A>, mut stream: Stream, shutdown: &watch::Receiver<bool>) {
    let mut kept: Option<HttpPersistentSettings> = None;
    while let Some(head) = begun(&mut stream).await {
        let mut session = ServerSession::new_http1(stream);
        if let Some(mut kept) = kept.take() {
            kept.set_pipelined_prefix(head);
            kept.apply_to_session(&mut session);
        } else {
            session.set_keepalive(Some(CLIENT_IDLE.as_secs()));
            session.set_pipelined_prefix(head);
        }
        let Some(again) = app.process_new_http(session, shutdown).await else { return };
        (stream, kept) = again.consume();
    }
}

/// Waits for a request, and gives its first byte in a buffer for its head; `None` where none comes.
async fn begun(stream: &mut Stream) -> Option<BytesMut> {
    let mut first = [0; 1];
    let read = timeout(CLIENT_IDLE, stream.read(&mut first)).await.ok()?.ok()?;
    if read == 0 {
        return None;
    }
    // With room for the head: it would be read in small pieces otherwise.
    let mut head = BytesMut::with_capacity(HEAD_BUFFER);
    head.put_u8(first[0]);
    Some(head)
}
