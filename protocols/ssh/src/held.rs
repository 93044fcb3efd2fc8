//! The first channel of a client that is asked for its tap: the gate confirms it itself, says on its stderr where to
//! tap, and hands it over to the target afterwards.
//!
//! The client then knows the channel by a number of the gate's; what it sends there gets the target's number, once that
//! is known. The target's packets need nothing of the kind: they name the client's own number.

use std::collections::VecDeque;

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
    /// How much more the client was told that it may send than the target has said by now.
    advance: u32,
    /// What the target will still take.
    credit: u32,
    /// What the client has sent by that advance, in its order: targets give credit only once a command runs.
    waiting: VecDeque<Bytes>,
    /// What can go to the target now.
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
            advance: HELD_WINDOW,
            credit: 0,
            waiting: VecDeque::new(),
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
            Target::Known(number) => {
                let packet = addressed(packet, *number);
                self.release(packet)
            }
            Target::Asked(waiting) => {
                waiting.push(Bytes::copy_from_slice(packet));
                None
            }
            Target::Unasked | Target::Refused => None,
        }
    }

    /// The packet, where it may go to the target now. Data waits for credit, and what ends the data waits behind it;
    /// requests and credit for the target do not.
    fn release(&mut self, packet: Bytes) -> Option<Bytes> {
        if self.advance == 0 && self.waiting.is_empty() {
            return Some(packet);
        }
        let kind = packet.first().copied();
        let in_order = matches!(kind, Some(number::DATA | number::EXTENDED_DATA | number::EOF | number::CLOSE));
        if in_order && (!self.waiting.is_empty() || !self.afford(&packet)) {
            self.waiting.push_back(packet);
            return None;
        }
        Some(packet)
    }

    /// Whether the target will take this now; it is counted then.
    fn afford(&mut self, packet: &[u8]) -> bool {
        let length = match Packet::parse(packet) {
            Ok(Packet::Data { length, .. }) => length,
            _ => 0,
        };
        let affords = length <= self.credit;
        if affords {
            self.credit -= length;
        }
        affords
    }

    /// What the client gets of what the relay sends it. The target's confirmation is for the gate: the client has one,
    /// and gets what its target gives beyond what it was told.
    pub(crate) fn outward(&mut self, packet: Bytes) -> Option<Bytes> {
        match &self.target {
            Target::Asked(_) if recipient_of_answer(&packet) == Some(self.theirs) => self.answered(&packet),
            Target::Known(_) if self.advance > 0 || !self.waiting.is_empty() => match Packet::parse(&packet) {
                Ok(Packet::WindowAdjust { recipient, bytes }) if recipient == self.theirs => self.credited(bytes),
                _ => Some(packet),
            },
            _ => Some(packet),
        }
    }

    fn answered(&mut self, packet: &[u8]) -> Option<Bytes> {
        let Some((number, window)) = confirmed(packet) else {
            self.target = Target::Refused;
            return Some(write::close(self.theirs));
        };
        if let Target::Asked(waiting) = std::mem::replace(&mut self.target, Target::Known(number)) {
            for packet in waiting {
                let packet = self.release(addressed(&packet, number));
                self.ready.extend(packet);
            }
        }
        self.credited(window)
    }

    /// The target takes so much more; the client is told what exceeds that which it was told already.
    fn credited(&mut self, bytes: u32) -> Option<Bytes> {
        self.credit = self.credit.saturating_add(bytes);
        let told = bytes.min(self.advance);
        self.advance -= told;
        while let Some(packet) = self.waiting.pop_front() {
            if !self.afford(&packet) {
                self.waiting.push_front(packet);
                break;
            }
            self.ready.push(packet);
        }
        let rest = bytes - told;
        (rest > 0).then(|| write::window_adjust(self.theirs, rest))
    }

    /// What waited for the target's number or credit, and can go there now.
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
