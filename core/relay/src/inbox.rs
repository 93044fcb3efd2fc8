//! What is read of a peer and not used up yet, in memory that a peer who is silent does not hold.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

/// What is read at once, in bytes: what TLS gives with four records.
const ROOM: usize = 64 * 1024;

/// A read of less than this, in bytes, is one of a quiet time.
const LITTLE: usize = 4 * 1024;

/// After so many reads of a quiet time, the memory of a busy one is given back.
const QUIET_READS: u8 = 64;

thread_local! {
    /// Where all connections of a thread read into. Each takes it for one read only.
    static SHARED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that have arrived. A peer that is waited for holds none: the read itself goes to room that the thread's
/// connections share, and only what was there is kept.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: BytesMut,
    quiet: u8,
}

impl Inbox {
    /// Appends what is there, at most 64 KiB, once something is; answers how much that was, 0 at the end.
    ///
    /// Cancel safe: a read that has not ended has taken nothing.
    pub async fn fill(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        if self.bytes.is_empty() && self.quiet >= QUIET_READS {
            (self.bytes, self.quiet) = (BytesMut::new(), 0);
        }
        let read = poll_fn(|cx| {
            let mut room = SHARED.take();
            room.resize(ROOM, 0);
            let mut buf = ReadBuf::new(&mut room);
            let polled = Pin::new(&mut *from).poll_read(cx, &mut buf);
            let read = buf.filled().len();
            self.bytes.extend_from_slice(buf.filled());
            SHARED.set(room);
            ready!(polled)?;
            Poll::Ready(io::Result::Ok(read))
        })
        .await?;
        self.quiet = if read < LITTLE { self.quiet.saturating_add(1) } else { 0 };
        Ok(read)
    }
}

impl Deref for Inbox {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        &self.bytes
    }
}

impl DerefMut for Inbox {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn what_comes_is_kept_until_it_is_used_up_and_a_busy_times_memory_goes() {
        let (mut near, mut far) = tokio::io::duplex(2 * ROOM);
        let mut inbox = Inbox::default();
        near.write_all(&vec![7; ROOM + 5]).await.unwrap();
        assert_eq!(inbox.fill(&mut far).await.unwrap(), ROOM);
        assert_eq!(inbox.fill(&mut far).await.unwrap(), 5);
        assert!(inbox.len() == ROOM + 5 && inbox.iter().all(|byte| *byte == 7));
        inbox.advance(ROOM + 5);
        for _ in 0..=QUIET_READS {
            near.write_all(b"ab").await.unwrap();
            assert_eq!(inbox.fill(&mut far).await.unwrap(), 2);
            assert_eq!(&inbox[..], b"ab");
            inbox.advance(2);
        }
        assert!(inbox.capacity() < LITTLE, "{}", inbox.capacity());
        drop(near);
        assert_eq!(inbox.fill(&mut far).await.unwrap(), 0);
    }
}
