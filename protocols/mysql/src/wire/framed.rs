//! Packets of a login, one at a time: numbered, short, and never a byte read beyond.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::WireError;
use crate::limits::{FRAME_MAX, LOGIN_PACKET_MAX};

/// A stream of packets whose numbers go up by one, whoever sends.
pub(crate) struct Framed<S> {
    io: S,
    next: u8,
}

/// The header of a frame.
pub(crate) fn header(length: usize, number: u8) -> [u8; 4] {
    let [a, b, c, ..] = u32::try_from(length.min(FRAME_MAX)).unwrap_or_default().to_le_bytes();
    [a, b, c, number]
}

/// The length and the number that a header says.
pub(crate) fn parse_header([a, b, c, number]: [u8; 4]) -> (usize, u8) {
    (usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(FRAME_MAX), number)
}

impl<S> Framed<S> {
    /// The stream at this packet number.
    pub(crate) const fn at(io: S, next: u8) -> Self {
        Self { io, next }
    }

    /// The stream, and the number that comes next.
    pub(crate) fn into_parts(self) -> (S, u8) {
        (self.io, self.next)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    /// Reads one packet. Exactly its bytes are taken, so that what follows may be TLS.
    pub(crate) async fn read(&mut self) -> Result<Vec<u8>, WireError> {
        let mut head = [0; 4];
        self.io.read_exact(&mut head).await?;
        let (length, number) = parse_header(head);
        if length > LOGIN_PACKET_MAX {
            return Err(WireError::TooLong(length));
        }
        if number != self.next {
            return Err(WireError::OutOfOrder);
        }
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await?;
        self.next = number.wrapping_add(1);
        Ok(payload)
    }

    /// Waits until the peer is gone, or says what nobody asked for.
    pub(crate) async fn gone(&mut self) {
        let mut byte = [0; 1];
        drop(self.io.read(&mut byte).await);
    }

    /// Writes one packet, which is short.
    pub(crate) async fn write(&mut self, payload: &[u8]) -> Result<(), WireError> {
        if payload.len() > LOGIN_PACKET_MAX {
            return Err(WireError::TooLong(payload.len()));
        }
        let packet = [&header(payload.len(), self.next)[..], payload].concat();
        self.io.write_all(&packet).await?;
        self.io.flush().await?;
        self.next = self.next.wrapping_add(1);
        Ok(())
    }
}
