//! The packets that the relay itself says: refusals, answers, window credit and keepalives.

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::MESSAGE_MAX;
use crate::wire::number;

/// Why a channel is refused, in the protocol's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenFailure {
    /// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED`.
    Prohibited,
    /// `SSH_OPEN_RESOURCE_SHORTAGE`.
    Shortage,
}

/// `SSH_MSG_CHANNEL_OPEN_FAILURE`.
pub(crate) fn open_failure(recipient: u32, why: OpenFailure, description: &str) -> Bytes {
    let mut packet = start(number::OPEN_FAILURE, 17 + description.len());
    packet.put_u32(recipient);
    packet.put_u32(match why {
        OpenFailure::Prohibited => 1,
        OpenFailure::Shortage => 4,
    });
    put_string(&mut packet, &one_line(description));
    put_string(&mut packet, "");
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_OPEN` of type `direct-tcpip`, from nowhere in particular.
pub(crate) fn open_direct(sender: u32, window: u32, packet_max: u32, host: &str, port: u16) -> Bytes {
    let host = one_line(host);
    let mut packet = start(number::OPEN, 64 + host.len());
    put_string(&mut packet, "direct-tcpip");
    packet.put_u32(sender);
    packet.put_u32(window);
    packet.put_u32(packet_max);
    put_string(&mut packet, &host);
    packet.put_u32(u32::from(port));
    put_string(&mut packet, "127.0.0.1");
    packet.put_u32(0);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_OPEN` of type `session`.
pub(crate) fn open_session(sender: u32, window: u32, packet_max: u32) -> Bytes {
    let mut packet = start(number::OPEN, 24);
    put_string(&mut packet, "session");
    packet.put_u32(sender);
    packet.put_u32(window);
    packet.put_u32(packet_max);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_REQUEST`, with what belongs to it as it stands in the packet.
pub(crate) fn channel_request(recipient: u32, name: &str, want_reply: bool, body: &[u8]) -> Bytes {
    let mut packet = start(number::REQUEST, 10 + name.len() + body.len());
    packet.put_u32(recipient);
    put_string(&mut packet, name);
    packet.put_u8(u8::from(want_reply));
    packet.put_slice(body);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_OPEN_CONFIRMATION`.
pub(crate) fn open_confirmation(recipient: u32, sender: u32, window: u32, packet_max: u32) -> Bytes {
    let mut packet = start(number::OPEN_CONFIRMATION, 17);
    packet.put_u32(recipient);
    packet.put_u32(sender);
    packet.put_u32(window);
    packet.put_u32(packet_max);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_DATA`.
pub(crate) fn data(recipient: u32, data: &[u8]) -> Bytes {
    let mut packet = start(number::DATA, 9 + data.len());
    packet.put_u32(recipient);
    // INVARIANT: whoever sends data cuts it to what fits into one packet.
    packet.put_u32(u32::try_from(data.len()).expect("data of one packet"));
    packet.put_slice(data);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_EXTENDED_DATA` of the type that goes to stderr.
pub(crate) fn stderr(recipient: u32, text: &str) -> Bytes {
    let mut packet = start(number::EXTENDED_DATA, 13 + text.len());
    packet.put_u32(recipient);
    packet.put_u32(1);
    put_string(&mut packet, text);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_EOF`.
pub(crate) fn eof(recipient: u32) -> Bytes {
    let mut packet = start(number::EOF, 5);
    packet.put_u32(recipient);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_CLOSE`.
pub(crate) fn close(recipient: u32) -> Bytes {
    let mut packet = start(number::CLOSE, 5);
    packet.put_u32(recipient);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_WINDOW_ADJUST`.
pub(crate) fn window_adjust(recipient: u32, bytes: u32) -> Bytes {
    let mut packet = start(number::WINDOW_ADJUST, 9);
    packet.put_u32(recipient);
    packet.put_u32(bytes);
    packet.freeze()
}

/// `SSH_MSG_CHANNEL_FAILURE`.
pub(crate) fn failure(recipient: u32) -> Bytes {
    let mut packet = start(number::FAILURE, 5);
    packet.put_u32(recipient);
    packet.freeze()
}

/// `SSH_MSG_REQUEST_FAILURE`.
pub(crate) fn request_failure() -> Bytes {
    Bytes::from_static(&[number::REQUEST_FAILURE])
}

/// A global request that every peer answers and nobody obeys.
pub(crate) fn keepalive() -> Bytes {
    let mut packet = start(number::GLOBAL_REQUEST, 27);
    put_string(&mut packet, crate::rules::KEEPALIVE);
    packet.put_u8(1);
    packet.freeze()
}

/// The same packet with another window and packet size, which stand at this offset.
pub(crate) fn with_window(packet: &[u8], at: usize, window: u32, packet_max: u32) -> Bytes {
    let mut changed = BytesMut::from(packet);
    let fields = window.to_be_bytes().into_iter().chain(packet_max.to_be_bytes());
    for (byte, new) in changed.iter_mut().skip(at).zip(fields) {
        *byte = new;
    }
    changed.freeze()
}

/// A text that may stand on a stranger's terminal: one line, no control characters, not too long.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_MAX).collect()
}

fn start(kind: u8, size: usize) -> BytesMut {
    let mut packet = BytesMut::with_capacity(size);
    packet.put_u8(kind);
    packet
}

pub(crate) fn put_string(packet: &mut BytesMut, text: &str) {
    // INVARIANT: all strings written here are literals, were cut by `one_line`, or are paths within their limit.
    packet.put_u32(u32::try_from(text.len()).expect("a short text"));
    packet.put_slice(text.as_bytes());
}
