//! The packets that a server says, beside those that the relay says too.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::number;

/// A packet of numbers and one string.
fn packet(kind: u8, numbers: &[u32], text: Option<&[u8]>) -> Bytes {
    let mut packet = BytesMut::with_capacity(32 + text.map_or(0, <[u8]>::len));
    packet.put_u8(kind);
    for number in numbers {
        packet.put_u32(*number);
    }
    if let Some(text) = text {
        put_string(&mut packet, text);
    }
    packet.freeze()
}

fn put_string(packet: &mut BytesMut, text: &[u8]) {
    packet.put_u32(u32::try_from(text.len()).unwrap_or_default());
    packet.put_slice(text);
}

pub(super) fn confirmation(recipient: u32, number: u32, window: u32, packet_max: u32) -> Bytes {
    packet(number::OPEN_CONFIRMATION, &[recipient, number, window, packet_max], None)
}

pub(super) fn data(recipient: u32, bytes: &[u8]) -> Bytes {
    packet(number::DATA, &[recipient], Some(bytes))
}

pub(super) fn stderr(recipient: u32, bytes: &[u8]) -> Bytes {
    packet(number::EXTENDED_DATA, &[recipient, 1], Some(bytes))
}

pub(super) fn eof(recipient: u32) -> Bytes {
    packet(number::EOF, &[recipient], None)
}

pub(super) fn close(recipient: u32) -> Bytes {
    packet(number::CLOSE, &[recipient], None)
}

pub(super) fn success(recipient: u32) -> Bytes {
    packet(number::SUCCESS, &[recipient], None)
}

pub(super) fn exit_status(recipient: u32, status: u32) -> Bytes {
    let mut said = request(recipient, "exit-status");
    said.put_u32(status);
    said.freeze()
}

pub(super) fn exit_signal(recipient: u32, signal: &str) -> Bytes {
    let mut said = request(recipient, "exit-signal");
    put_string(&mut said, signal.as_bytes());
    said.put_u8(0);
    put_string(&mut said, b"");
    put_string(&mut said, b"");
    said.freeze()
}

fn request(recipient: u32, name: &str) -> BytesMut {
    let mut said = BytesMut::from(packet(number::REQUEST, &[recipient], Some(name.as_bytes())));
    said.put_u8(0);
    said
}
