//! The first channel of a client that is asked for its tap: the gate confirms it itself, says on its stderr where to
//! tap, and hands it over to the target afterwards.
//!
//! The client then knows the channel by a number of the gate's; what it sends there gets the target's number, once that
//! is known. The target's packets need nothing of the kind: they name the client's own number.

use bytes::{BufMut as _, Bytes, BytesMut};
use russh::server::Handle;

use crate::limits::{HELD_PACKET_MAX, HELD_WINDOW};
use crate::wire::{Packet, number};
use crate::write;

/// The gate's number for it: far beyond those that targets count up to.
const OURS: u32 = 0x7fff_f000;

/// A channel that the gate has confirmed.
pub(crate) struct Held {
    client: Handle,
    /// The client's number for it.
    theirs: u32,
    /// What the client takes at first, and in one packet.
    room: (u32, u32),
    /// How much of that the gate has used.
    said: u32,
    /// Whether a terminal was asked for: then Ctrl-C is the person's no.
    terminal: bool,
    target: Target,
    /// What waited for the target's number, and goes there now.
    ready: Vec<Bytes>,
}

/// What the target has made of it.
enum Target {
    /// It was not asked.
    Unasked,
    /// It has not answered; this waits for its number.
    Asked(Vec<Bytes>),
    /// It knows the channel by this number.
    Known(u32),
    /// It has refused.
    Refused,
}

/// What becomes of a client's packet while it is held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Early {
    /// It waits.
    Waits,
    /// It was answered.
    Answered,
    /// The person gives up.
    Quits,
}

impl Held {
    /// Confirms the channel that this packet asks for; `None` where it asks for no session.
    pub(crate) fn confirm(packet: &[u8], client: &Handle) -> Option<Self> {
        let Ok(Packet::Open { kind: "session", sender, window, packet_max, .. }) = Packet::parse(packet) else {
            return None;
        };
        client.send_raw(write::open_confirmation(sender, OURS, HELD_WINDOW, HELD_PACKET_MAX)).then(|| Self {
            client: client.clone(),
            theirs: sender,
            room: (window, packet_max),
            said: 0,
            terminal: false,
            target: Target::Unasked,
            ready: Vec::new(),
        })
    }

    /// Says something on the client's stderr; whether it could be said.
    pub(crate) fn say(&mut self, text: &str) -> bool {
        let Ok(length) = u32::try_from(text.len()) else { return false };
        let fits = length <= self.room.1 && self.said.saturating_add(length) <= self.room.0;
        if fits {
            self.said += length;
        }
        fits && self.client.send_raw(write::stderr(self.theirs, text))
    }

    /// What a request on the channel starts, in words.
    pub(crate) fn command(packet: &[u8]) -> Option<String> {
        let Ok(Packet::Request { recipient: OURS, name, body, .. }) = Packet::parse(packet) else { return None };
        let text = || crate::wire::only_string(body).map(|text| String::from_utf8_lossy(text).into_owned());
        match name {
            "shell" => Some("a shell".to_owned()),
            "exec" => text(),
            "subsystem" => text().map(|name| format!("the subsystem {name}")),
            _ => None,
        }
    }

    /// Looks at a packet that came before the target is there. `owed` says whether an answer is due to a request about
    /// the connection that came before: answers keep their order.
    pub(crate) fn early(&mut self, packet: &[u8], owed: bool) -> Early {
        match Packet::parse(packet) {
            Ok(Packet::GlobalRequest { want_reply: true, name, .. }) if !owed && name == crate::rules::KEEPALIVE => {
                self.client.send_raw(write::request_failure());
                return Early::Answered;
            }
            Ok(Packet::Request { recipient: OURS, name: "pty-req", .. }) => self.terminal = true,
            Ok(Packet::Data { recipient: OURS, main, .. }) if self.terminal && main.contains(&CTRL_C) => {
                return Early::Quits;
            }
            _ => {}
        }
        Early::Waits
    }

    /// What the relay gets of a client's packet: the packet as the target knows the channel, or nothing yet.
    pub(crate) fn inward(&mut self, packet: &[u8]) -> Option<Bytes> {
        if let (Target::Unasked, Ok(Packet::Open { kind, sender, .. })) = (&self.target, Packet::parse(packet))
            && sender == self.theirs
        {
            self.target = Target::Asked(Vec::new());
            // What was said already is no longer free for the target.
            let left = self.room.0 - self.said;
            return Some(write::with_window(packet, 1 + 4 + kind.len() + 4, left, self.room.1));
        }
        if recipient(packet) != Some(OURS) {
            return Some(Bytes::copy_from_slice(packet));
        }
        match &mut self.target {
            Target::Known(number) => Some(addressed(packet, *number)),
            Target::Asked(waiting) => {
                waiting.push(Bytes::copy_from_slice(packet));
                None
            }
            Target::Unasked | Target::Refused => None,
        }
    }

    /// What the client gets of what the relay sends it. The target's confirmation is for the gate: the client has one,
    /// and gets the rest of its window.
    pub(crate) fn outward(&mut self, packet: Bytes) -> Option<Bytes> {
        if !matches!(self.target, Target::Asked(_)) || recipient_of_answer(&packet) != Some(self.theirs) {
            return Some(packet);
        }
        match confirmed(&packet) {
            Some((number, window)) => {
                let Target::Asked(waiting) = std::mem::replace(&mut self.target, Target::Known(number)) else {
                    return Some(packet);
                };
                self.ready = waiting.iter().map(|packet| addressed(packet, number)).collect();
                let rest = window.saturating_sub(HELD_WINDOW);
                (rest > 0).then(|| write::window_adjust(self.theirs, rest))
            }
            None => {
                self.target = Target::Refused;
                Some(write::close(self.theirs))
            }
        }
    }
}

impl Held {
    /// What waited for the target's number, and can go there now.
    pub(crate) fn ready(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.ready)
    }
}

/// The receiver's number in a packet about a channel that is open.
fn recipient(packet: &[u8]) -> Option<u32> {
    let kind = packet.first()?;
    (number::WINDOW_ADJUST..=number::FAILURE).contains(kind).then(|| number_at(packet))?
}

/// The asker's number in an answer to the wish for a channel.
fn recipient_of_answer(packet: &[u8]) -> Option<u32> {
    matches!(packet.first()?, &number::OPEN_CONFIRMATION | &number::OPEN_FAILURE).then(|| number_at(packet))?
}

fn number_at(packet: &[u8]) -> Option<u32> {
    packet.get(1..).and_then(|rest| rest.first_chunk::<4>()).map(|bytes| u32::from_be_bytes(*bytes))
}

/// The same packet to another number.
fn addressed(packet: &[u8], to: u32) -> Bytes {
    let mut changed = BytesMut::with_capacity(packet.len());
    changed.put_slice(packet.get(..1).unwrap_or_default());
    changed.put_u32(to);
    changed.put_slice(packet.get(5..).unwrap_or_default());
    changed.freeze()
}

/// The number and the window that a confirmation gives.
fn confirmed(packet: &[u8]) -> Option<(u32, u32)> {
    match Packet::parse(packet) {
        Ok(Packet::OpenConfirmation { sender, window, .. }) => Some((sender, window)),
        _ => None,
    }
}

/// What a person presses to give up.
const CTRL_C: u8 = 3;
