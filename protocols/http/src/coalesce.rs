//! Small writes that go out together, in memory that is held only until they have.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::WRITE_BUFFER;

/// Holds writes back until they are flushed or are too many: a response's head and body go out as one TLS record.
/// `tokio`'s own `BufWriter` does the same, but holds its memory as long as the connection is open.
pub(crate) struct Coalesce<T> {
    io: T,
    held: BytesMut,
}

impl<T: AsyncWrite + Unpin> Coalesce<T> {
    pub(crate) fn new(io: T) -> Self {
        Self { io, held: BytesMut::new() }
    }

    /// Writes what is held.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(written);
        }
        self.held = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Coalesce<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Coalesce<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() + bytes.len() > WRITE_BUFFER {
            ready!(self.drain(cx))?;
        }
        if bytes.len() >= WRITE_BUFFER {
            return Pin::new(&mut self.io).poll_write(cx, bytes);
        }
        if self.held.is_empty() {
            self.held.reserve(WRITE_BUFFER);
        }
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn small_writes_wait_for_a_flush_and_all_arrive_in_order() {
        let (near, mut far) = tokio::io::duplex(100);
        let mut near = Coalesce::new(near);
        near.write_all(b"head ").await.unwrap();
        near.write_all(b"body").await.unwrap();
        let mut heard = [0; 9];
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), far.read(&mut heard)).await.is_err());
        near.flush().await.unwrap();
        assert_eq!(near.held.capacity(), 0);
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"head body");
        let large: Vec<u8> = (0..3 * WRITE_BUFFER).map(|at| at.to_le_bytes()[0]).collect();
        let sent = large.clone();
        tokio::spawn(async move {
            for part in [&b"first"[..], &sent, b"last"] {
                near.write_all(part).await.unwrap();
            }
            near.shutdown().await.unwrap();
        });
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert!(all == [&b"first"[..], &large, b"last"].concat());
    }
}
