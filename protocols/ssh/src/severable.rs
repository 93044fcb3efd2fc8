//! A stream that can be cut from outside, whatever its owner is waiting for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A stream that ends for its reader and fails for its writer once the token is cancelled.
pub(crate) struct Severable<S> {
    stream: S,
    token: CancellationToken,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Severable<S> {
    pub(crate) fn new(stream: S, token: CancellationToken) -> Self {
        let severed = Box::pin(token.clone().cancelled_owned());
        Self { stream, token, severed }
    }

    /// Whether the stream is cut; where it isn't, the task is woken when it will be.
    fn poll_severed(&mut self, cx: &mut Context<'_>) -> bool {
        self.severed.as_mut().poll(cx).is_ready()
    }

    fn broken(&self) -> io::Result<()> {
        if self.token.is_cancelled() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Severable<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.token.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending if self.poll_severed(cx) => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Severable<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.broken()?;
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending if self.poll_severed(cx) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            polled => polled,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.broken()?;
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending if self.poll_severed(cx) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            polled => polled,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.broken()?;
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending if self.poll_severed(cx) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            polled => polled,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_waiting_reader_and_a_waiting_writer_are_woken() {
        let (near, _far) = duplex(4);
        let token = CancellationToken::new();
        let mut stream = Severable::new(near, token.clone());
        let waiting = tokio::spawn(async move {
            let read = stream.read_u8().await.map_err(|e| e.kind());
            (read, stream.write_all(b"12345678").await.map_err(|e| e.kind()))
        });
        tokio::task::yield_now().await;
        token.cancel();
        let expect = (Err(io::ErrorKind::UnexpectedEof), Err(io::ErrorKind::BrokenPipe));
        assert_eq!(waiting.await.unwrap(), expect);

        let (near, _far) = duplex(4);
        let token = CancellationToken::new();
        let mut stream = Severable::new(near, token.clone());
        let waiting = tokio::spawn(async move { stream.write_all(b"12345678").await.map_err(|e| e.kind()) });
        tokio::task::yield_now().await;
        token.cancel();
        assert_eq!(waiting.await.unwrap(), Err(io::ErrorKind::BrokenPipe));
    }
}
