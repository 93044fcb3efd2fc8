//! One channel's bytes as a stream, for a connection inside a connection, under window credit.
//!
//! What comes in waits here, and the peer may send no more than the window that it was told; what goes out waits
//! for the peer's window. So nothing in here ever holds up the loop that the packets come from, and a reader that
//! stands still costs one window of memory.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{DATA_MAX, PIPE_PACKET_MAX, PIPE_QUEUE_MAX, PIPE_WINDOW};
use crate::write;

/// Queues a packet for the peer; `false` when its connection is gone.
pub(crate) type Send = Box<dyn Fn(Bytes) -> bool + std::marker::Send + Sync>;

/// The peer did what the window forbids, or spoke after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more was sent over a channel than it had window for")]
pub(crate) struct Overrun;

/// The stream's side of a channel. Dropping it closes the channel.
pub(crate) struct Pipe(Arc<Shared>);

/// The connection's side of a channel, which is fed with what the peer sends.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Shared>);

struct Shared {
    send: Send,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The peer's number for the channel.
    number: u32,
    /// What has come and is not read yet.
    inbox: VecDeque<Bytes>,
    /// How much the peer may still send.
    open: u32,
    /// How much was read that the peer has not been given back.
    read: u32,
    /// How much may still be sent.
    room: u32,
    /// How much of it goes into one packet.
    packet_max: usize,
    /// How much waits to be sent.
    queued: usize,
    /// The peer sends no more.
    ended: bool,
    /// The channel is closed, by either side, or its connection is gone.
    closed: bool,
    /// Our own end was said.
    said_eof: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

/// A channel whose peer gives it this number, window and packet size. The peer must have been told
/// [`PIPE_WINDOW`].
pub(crate) fn pipe(send: Send, number: u32, window: u32, packet_max: u32) -> (Pipe, Feed) {
    let packet_max = usize::try_from(packet_max.min(PIPE_PACKET_MAX)).unwrap_or_default();
    let state = State { number, open: PIPE_WINDOW, room: window, packet_max, ..State::default() };
    let shared = Arc::new(Shared { send, state: Mutex::new(state) });
    (Pipe(Arc::clone(&shared)), Feed(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        if !state.closed {
            state.closed = true;
            let number = state.number;
            // A connection that is gone has no channels to close.
            let _ = (self.send)(write::close(number));
        }
        state.wake();
    }
}

impl Feed {
    /// Data has come.
    pub(crate) fn data(&self, data: &[u8]) -> Result<(), Overrun> {
        let mut state = self.0.lock();
        if state.closed {
            return Ok(());
        }
        let length = u32::try_from(data.len()).ok().filter(|length| *length <= DATA_MAX).ok_or(Overrun)?;
        state.open = state.open.checked_sub(length).filter(|_| !state.ended).ok_or(Overrun)?;
        if length > 0 {
            state.inbox.push_back(Bytes::copy_from_slice(data));
        }
        state.reader.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// The peer gives more window.
    pub(crate) fn adjust(&self, bytes: u32) -> Result<(), Overrun> {
        let mut state = self.0.lock();
        state.room = state.room.checked_add(bytes).ok_or(Overrun)?;
        state.writer.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// The peer sends no more.
    pub(crate) fn eof(&self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.wake();
    }

    /// The peer has closed the channel, or its connection is gone. What has come can still be read.
    pub(crate) fn close(&self) {
        self.0.lock().ended = true;
        self.0.close();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        let mut taken = 0;
        while let Some(first) = state.inbox.front_mut().filter(|_| buf.remaining() > 0) {
            let part = first.len().min(buf.remaining());
            buf.put_slice(&first.split_to(part));
            taken += part;
            if !first.has_remaining() {
                state.inbox.pop_front();
            }
        }
        if taken == 0 && buf.remaining() > 0 && !state.ended && !state.closed {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // All that was open was counted in 32 bits.
        state.read = state.read.saturating_add(u32::try_from(taken).unwrap_or(u32::MAX));
        if state.read >= PIPE_WINDOW / 4 && !state.ended && !state.closed {
            let bytes = std::mem::take(&mut state.read);
            state.open = state.open.saturating_add(bytes);
            let _ = (self.0.send)(write::window_adjust(state.number, bytes));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        if state.closed || state.said_eof {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = usize::try_from(state.room).unwrap_or(usize::MAX);
        let part = bytes.len().min(room).min(state.packet_max).min(PIPE_QUEUE_MAX.saturating_sub(state.queued));
        if part == 0 && !bytes.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let packet = write::data(state.number, bytes.get(..part).unwrap_or_default());
        state.room -= u32::try_from(part).unwrap_or(state.room);
        state.queued += part;
        drop(state);
        let waiting = Waiting { packet, bytes: part, shared: Arc::clone(&self.0) };
        if (self.0.send)(Bytes::from_owner(waiting)) {
            Poll::Ready(Ok(part))
        } else {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        if !state.said_eof && !state.closed {
            state.said_eof = true;
            let _ = (self.0.send)(write::eof(state.number));
        }
        Poll::Ready(Ok(()))
    }
}

/// A packet in the connection's queue, counted until russh has taken it: a peer that names a giant window and
/// reads nothing must not fill the memory.
struct Waiting {
    packet: Bytes,
    bytes: usize,
    shared: Arc<Shared>,
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.packet
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.queued -= self.bytes;
        state.writer.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
