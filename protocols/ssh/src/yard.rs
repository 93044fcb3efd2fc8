//! The connection that is jumped over: its packets, and the channels that lead back to the gate.
//!
//! Each channel is a [`Pipe`](crate::pipe::Pipe) of its own, so that one whose connection stands still holds up
//! neither its neighbours nor the loop that reads the packets.

use bytes::Bytes;
use russh::server::Handle;

use crate::jump::Jumper;
use crate::limits::{PIPE_PACKET_MAX, PIPE_WINDOW};
use crate::pipe::{Feed, pipe};
use crate::relay::Violation;
use crate::side::Side;
use crate::wire::{Fields, Packet};
use crate::write::{self, OpenFailure};

/// What a jumper has open.
pub(crate) struct Yard {
    jumper: Jumper,
    client: Handle,
    lanes: Vec<Lane>,
    next: u32,
}

/// One channel.
struct Lane {
    /// Our number for it.
    own: u32,
    /// The client's number for it.
    theirs: u32,
    feed: Feed,
}

impl Yard {
    pub(crate) const fn new(jumper: Jumper, client: Handle) -> Self {
        Self { jumper, client, lanes: Vec::new(), next: 0 }
    }

    /// Takes one packet of the client's; never waits.
    pub(crate) fn packet(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let packet = Packet::parse(bytes).map_err(|e| Violation::Wire(Side::Client, e))?;
        match packet {
            Packet::GlobalRequest { want_reply, .. } => {
                if want_reply {
                    self.say(write::request_failure());
                }
            }
            Packet::Open { kind, sender, window, packet_max, body } => {
                self.open(kind, sender, (window, packet_max), body)?;
            }
            Packet::Data { recipient, main, .. } => {
                let overrun = Violation::Overrun(Side::Client, recipient);
                self.lane(recipient)?.feed.data(main).map_err(|_| overrun)?;
            }
            Packet::WindowAdjust { recipient, bytes } => {
                // Credit for a channel that is just gone is harmless.
                if let Ok(lane) = self.lane(recipient) {
                    lane.feed.adjust(bytes).map_err(|_| Violation::Window(Side::Client, recipient))?;
                }
            }
            Packet::Eof { recipient } => self.lane(recipient)?.feed.eof(),
            Packet::Close { recipient } => {
                self.lane(recipient)?.feed.close();
                self.lanes.retain(|lane| lane.own != recipient);
            }
            Packet::Request { recipient, want_reply, .. } => {
                let theirs = self.lane(recipient)?.theirs;
                if want_reply {
                    self.say(write::failure(theirs));
                }
            }
            Packet::RequestSuccess
            | Packet::RequestFailure
            | Packet::Success { .. }
            | Packet::Failure { .. }
            | Packet::OpenConfirmation { .. }
            | Packet::OpenFailure { .. } => return Err(Violation::Unasked(Side::Client)),
        }
        Ok(())
    }

    fn say(&self, packet: Bytes) {
        // A client that is gone ends the connection by its own news.
        let _ = self.client.send_raw(packet);
    }

    fn lane(&self, own: u32) -> Result<&Lane, Violation> {
        let lane = self.lanes.iter().find(|lane| lane.own == own);
        lane.ok_or(Violation::NoChannel(Side::Client, own))
    }

    fn open(&mut self, kind: &str, theirs: u32, room: (u32, u32), body: &[u8]) -> Result<(), Violation> {
        if self.lanes.iter().any(|lane| lane.theirs == theirs) {
            return Err(Violation::Number(Side::Client, theirs));
        }
        let place = (kind == "direct-tcpip").then(|| place(body)).flatten();
        let Some(jump) = place.and_then(|(host, port)| self.jumper.jump(&host, port)) else {
            let words = "this connection leads to the gate's targets alone (name one, and port 22)";
            self.say(write::open_failure(theirs, OpenFailure::Prohibited, words));
            return Ok(());
        };
        let own = self.next;
        self.next = self.next.wrapping_add(1);
        let client = self.client.clone();
        let (stream, feed) = pipe(Box::new(move |packet| client.send_raw(packet)), theirs, room.0, room.1);
        self.lanes.push(Lane { own, theirs, feed });
        self.say(write::open_confirmation(theirs, own, PIPE_WINDOW, PIPE_PACKET_MAX));
        tokio::spawn(jump.land(Box::new(stream)));
        Ok(())
    }
}

/// The connection is over, and all that was inside it.
impl Drop for Yard {
    fn drop(&mut self) {
        self.lanes.iter().for_each(|lane| lane.feed.close());
    }
}

fn place(body: &[u8]) -> Option<(String, u32)> {
    let mut fields = Fields::new(body);
    Some((fields.lossy()?, fields.u32().ok()?))
}
