//! Fuzz bodies: plain functions that panic where something is wrong.

use bytes::Bytes;

use crate::relay::{Ground, Load, Opening, Relay};
use crate::rules::Rules;
use crate::side::{Both, Side};
use crate::wire::Packet;

/// One packet of any bytes.
pub fn packet(bytes: &[u8]) {
    let _ = Packet::parse(bytes);
}

/// An SSH user name of any bytes.
pub fn user_name(bytes: &[u8]) {
    if let Ok(user) = str::from_utf8(bytes)
        && let Ok(destination) = crate::name::Destination::parse(user, "gate.example")
    {
        let again = crate::name::Destination::parse(&destination.principal(), "gate.example");
        assert_eq!(again.as_ref(), Ok(&destination), "a principal must read as itself");
    }
}

/// A conversation: each chunk is one packet, the first byte says from whom. Every packet that the
/// relay sends must be one itself.
pub fn conversation(bytes: &[u8]) {
    let mut relay = Relay::new(Rules { port_forwarding: true, forward_agent: true, file_copy: false });
    let mut ground = Judge::default();
    let mut rest = bytes;
    while let [head, length, tail @ ..] = rest {
        let (chunk, after) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = after;
        let from = if head & 1 == 0 { Side::Client } else { Side::Target };
        if relay.packet(&mut ground, from, chunk).is_err() {
            return;
        }
        if head & 2 != 0 {
            relay.drained(&mut ground);
        }
    }
    relay.over(&mut ground);
}

/// What a client says to an SFTP server, and the server to it: the first byte of each chunk says who.
pub fn sftp(bytes: &[u8]) {
    let mut reader = crate::sftp::Reader::default();
    for chunk in bytes.chunks(61) {
        match chunk {
            [head, rest @ ..] if head & 1 == 0 => reader.client(rest, &mut |_| {}),
            [_, rest @ ..] => reader.target(rest, &mut |_| {}),
            [] => {}
        }
    }
}

/// An answer of a target's SFTP server.
pub fn sftp_answer(bytes: &[u8]) {
    crate::files::read_any(bytes);
}

/// Looks at what a relay sends.
#[derive(Default)]
struct Judge {
    sent: Both<usize>,
}

impl Ground for Judge {
    fn send(&mut self, to: Side, packet: Bytes, load: Load<'_>) {
        assert!(Packet::parse(&packet).is_ok(), "the relay sent what is no packet: {packet:?}");
        *self.sent.of_mut(to) += packet.len();
        if let Load::Data(queued, bytes) = load {
            queued.remove(bytes);
        }
    }

    fn did(&mut self, deed: tapgate_audit::Deed) {
        assert!(format!("{deed:?}").len() < 16 * 1024, "what the log is told has a bound");
    }

    fn may_open(&mut self, _: Opening) -> Result<(), String> {
        if self.sent.client % 7 == 6 { Err("no\nmore".to_owned()) } else { Ok(()) }
    }
}
