//! The relay of one connection: a packet comes in, packets go out, and nothing else happens.
//!
//! Packets are passed on as they came, with the peers' own channel numbers, so that replies, window
//! credit and exit statuses keep the order in which the peers sent them. The relay judges what may
//! pass, counts, and answers what it refuses. It does no I/O and knows no time.

use bytes::Bytes;
use tapgate_audit::{Deed, Taped};

use crate::channel::{Channel, Direction, Table, Trail};
use crate::credit::Queued;
use crate::forward::{self, Forward};
use crate::replies::{Answered, Full, Replies};
use crate::rules::{self, Asked, OpenRule, RequestRule, Rules};
use crate::side::{Both, Side};
use crate::trace::Trace;
use crate::wire::{Packet, WireError};
use crate::write::{self, OpenFailure};

/// Where the data of an extended stream begins: behind the type, two numbers and a length.
const EXTENDED_HEAD: usize = 13;

/// What a packet counts as while it waits to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load<'a> {
    /// A packet outside the windows.
    Control,
    /// So many bytes of data, counted here.
    Data(&'a Queued, u32),
}

/// What a relay needs of its surroundings.
pub(crate) trait Ground {
    /// Queues a packet for one side; never waits.
    fn send(&mut self, to: Side, packet: Bytes, load: Load<'_>);

    /// Whether the session may have one more of these; the refusal is for the user.
    fn may_open(&mut self, what: Opening) -> Result<(), String>;

    /// Tells the audit log what was done; never waits.
    fn did(&mut self, deed: Deed);

    /// Whether the session is recorded.
    fn is_taped(&self) -> bool {
        false
    }

    /// Tells the recording what happened in a channel; never waits.
    fn taped(&self, _channel: u32, _what: Taped<'_>) {}
}

/// What is opened beyond the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A channel, by the client.
    Channel,
    /// A port or socket at the target.
    Listener,
    /// A channel, by the target, for a connection to such a listener.
    Inbound,
}

/// What a peer did against the protocol. The connection ends with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// Bytes that are no packet.
    #[error("the {0} broke the SSH protocol: {1}")]
    Wire(Side, WireError),
    /// More data than the other side has room for.
    #[error("the {0} sent more data than channel {1} has window for")]
    Overrun(Side, u32),
    /// A window beyond what the protocol knows.
    #[error("the {0} opened channel {1}'s window beyond 4 GiB")]
    Window(Side, u32),
    /// Something about a channel that is not there.
    #[error("the {0} spoke of channel {1}, which is not open")]
    NoChannel(Side, u32),
    /// A number that is in use.
    #[error("the {0} gave two channels the number {1}")]
    Number(Side, u32),
    /// An answer to nothing.
    #[error("the {0} answered a request that nobody made")]
    Unasked(Side),
    /// A flood of requests.
    #[error("the {0} has too many requests open")]
    Flood(Side),
}

/// Whether a person did something: data and requests count, and what keeps a connection alive doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Yes.
    Person,
    /// No.
    Machine,
}

/// The relay of one connection.
#[derive(Debug)]
pub(crate) struct Relay {
    rules: Rules,
    channels: Table,
    /// What each side asked about the connection and has no answer to.
    asked: Both<Replies>,
    /// What the client asked for by which the target may open channels.
    invited: Asked,
    /// How many channels were recorded.
    traced: u32,
}

impl Relay {
    /// A relay under these rules.
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, channels: Table::default(), asked: Both::default(), invited: Asked::default(), traced: 0 }
    }

    /// Whether the target has closed every channel that it had.
    pub(crate) fn target_is_done(&self) -> bool {
        self.channels.iter().all(|channel| channel.sends.target.closed)
    }

    /// The session is over: what is still to be told of its channels is told.
    pub(crate) fn over(&mut self, ground: &mut impl Ground) {
        for trace in self.channels.iter_mut().filter_map(|channel| channel.trace.as_mut()) {
            trace.settle(&mut |channel, what| ground.taped(channel, what));
        }
        for deed in self.channels.iter_mut().filter_map(Channel::over) {
            ground.did(deed);
        }
    }

    /// Takes a packet from one side.
    pub(crate) fn packet(&mut self, ground: &mut impl Ground, from: Side, bytes: &[u8]) -> Result<Activity, Violation> {
        let packet = Packet::parse(bytes).map_err(|e| Violation::Wire(from, e))?;
        let mut turn = Turn { relay: self, ground, from, bytes };
        turn.take(packet)?;
        Ok(activity(packet))
    }

    /// Asks a side whether it is still there.
    pub(crate) fn keepalive(&mut self, ground: &mut impl Ground, to: Side) {
        // Its answer takes its turn among the answers to what the other side asked. A side that
        // owes that many answers is asked enough.
        if self.asked.of_mut(!to).own().is_ok() {
            ground.send(to, write::keepalive(), Load::Control);
        }
    }

    /// Passes on credit that was withheld, now that data has left.
    pub(crate) fn drained(&mut self, ground: &mut impl Ground) {
        for channel in self.channels.iter_mut() {
            for side in [Side::Client, Side::Target] {
                pass_credit(channel, ground, side);
            }
        }
    }
}

fn activity(packet: Packet<'_>) -> Activity {
    match packet {
        Packet::Open { .. } | Packet::Data { .. } | Packet::Eof { .. } => Activity::Person,
        Packet::Request { name, .. } if name != rules::KEEPALIVE => Activity::Person,
        _ => Activity::Machine,
    }
}

/// Tells a sender of the credit that is free for it by now.
fn pass_credit(channel: &mut Channel, ground: &mut impl Ground, sender: Side) {
    if channel.sends.client.closed || channel.sends.target.closed {
        return;
    }
    let bytes = channel.sends.of_mut(sender).credit.release();
    // The other side's credit goes to the sender under the sender's own number.
    if let (1.., Some(number)) = (bytes, *channel.numbers.of(sender)) {
        ground.send(sender, write::window_adjust(number, bytes), Load::Control);
    }
}

/// One packet's turn.
struct Turn<'a, G> {
    relay: &'a mut Relay,
    ground: &'a mut G,
    from: Side,
    bytes: &'a [u8],
}

impl<G: Ground> Turn<'_, G> {
    fn take(&mut self, packet: Packet<'_>) -> Result<(), Violation> {
        match packet {
            Packet::GlobalRequest { name, want_reply, body } => self.global_request(name, want_reply, body),
            Packet::RequestSuccess | Packet::RequestFailure => self.global_answer(),
            Packet::Open { kind, sender, window, packet_max, body } => {
                self.open(kind, sender, (window, packet_max), body)
            }
            Packet::OpenConfirmation { recipient, sender, window, packet_max } => {
                self.confirm(recipient, sender, window, packet_max)
            }
            Packet::OpenFailure { recipient, .. } => self.refused(recipient),
            Packet::WindowAdjust { recipient, bytes } => self.adjust(recipient, bytes),
            Packet::Data { recipient, length, main } => self.data(recipient, length, main),
            Packet::Eof { recipient } => self.eof(recipient),
            Packet::Close { recipient } => self.close(recipient),
            Packet::Request { recipient, name, want_reply, body } => self.request(recipient, name, want_reply, body),
            Packet::Success { recipient } | Packet::Failure { recipient } => self.answer(recipient),
        }
    }

    fn forward(&mut self, load: Load<'_>) {
        self.ground.send(!self.from, Bytes::copy_from_slice(self.bytes), load);
    }

    fn reply(&mut self, packet: Bytes) {
        self.ground.send(self.from, packet, Load::Control);
    }

    fn flood(&self) -> Violation {
        Violation::Flood(self.from)
    }

    fn no_channel(&self, number: u32) -> Violation {
        Violation::NoChannel(self.from, number)
    }

    fn global_request(&mut self, name: &str, want_reply: bool, body: &[u8]) -> Result<(), Violation> {
        let flood = self.flood();
        let rule = match self.relay.rules.global(self.from, name) {
            RequestRule::Listen if !self.listen(name, body) => RequestRule::Refuse,
            rule => rule,
        };
        let asked = self.relay.asked.of_mut(self.from);
        match rule {
            RequestRule::Pass | RequestRule::Agent | RequestRule::Listen => {
                if want_reply {
                    asked.relayed().map_err(|Full| flood)?;
                }
                self.forward(Load::Control);
            }
            RequestRule::Refuse => {
                if want_reply && asked.refused().map_err(|Full| flood)? {
                    self.reply(write::request_failure());
                }
            }
        }
        Ok(())
    }

    /// Whether the target may be asked to listen; the protocol has no words for a no.
    fn listen(&mut self, name: &str, body: &[u8]) -> bool {
        let Some(deed) = forward::listener(name, body) else { return false };
        let may = self.ground.may_open(Opening::Listener).is_ok();
        if may {
            self.relay.invited.listener = true;
            self.ground.did(deed);
        }
        may
    }

    fn global_answer(&mut self) -> Result<(), Violation> {
        let asker = !self.from;
        let Answered { forward, refusals } =
            self.relay.asked.of_mut(asker).answered().ok_or(Violation::Unasked(self.from))?;
        if forward {
            self.forward(Load::Control);
        }
        for _ in 0..refusals {
            self.ground.send(asker, write::request_failure(), Load::Control);
        }
        Ok(())
    }

    fn open(&mut self, kind: &str, number: u32, room: (u32, u32), body: &[u8]) -> Result<(), Violation> {
        if self.relay.channels.has(self.from, number) {
            return Err(Violation::Number(self.from, number));
        }
        let forward = Forward::parse(kind, body);
        if let Err((why, words)) = self.may_open(kind, forward.is_some()) {
            self.reply(write::open_failure(number, why, &words));
            return Ok(());
        }
        let (inward, window, packet_max) = Direction::new(room.0, room.1);
        let mut channel = Channel::asked_for(self.from, kind == "session", number, inward);
        if channel.is_session && self.ground.is_taped() {
            self.relay.traced += 1;
            channel.trace = Some(Trace::new(self.relay.traced));
        }
        channel.trail = forward.map_or(Trail::None, |forward| Trail::Forward(Box::new(forward)));
        self.relay.channels.add(channel);
        // The window stands after the type, its length and the sender's number.
        let packet = write::with_window(self.bytes, 1 + 4 + kind.len() + 4, window, packet_max);
        self.ground.send(!self.from, packet, Load::Control);
        Ok(())
    }

    /// Whether this side may open a channel of this type; `leads` where it says whereto it forwards.
    fn may_open(&mut self, kind: &str, leads: bool) -> Result<(), (OpenFailure, String)> {
        let prohibited = |words: String| (OpenFailure::Prohibited, words);
        let rule = self.relay.rules.open(self.from, kind, self.relay.invited);
        if let OpenRule::Refuse(words) = rule {
            return Err(prohibited(words.to_owned()));
        }
        if self.relay.channels.is_full() {
            return Err((OpenFailure::Shortage, "this connection has too many channels open".to_owned()));
        }
        if rule == OpenRule::Weigh {
            if kind != "session" && !leads {
                return Err(prohibited("this does not say whereto it forwards".to_owned()));
            }
            let what = if self.from == Side::Client { Opening::Channel } else { Opening::Inbound };
            self.ground.may_open(what).map_err(prohibited)?;
        }
        Ok(())
    }

    fn confirm(&mut self, recipient: u32, number: u32, window: u32, packet_max: u32) -> Result<(), Violation> {
        if self.relay.channels.has(self.from, number) {
            return Err(Violation::Number(self.from, number));
        }
        let no_channel = self.no_channel(recipient);
        let channel = self.relay.channels.unanswered(self.from, recipient).ok_or(no_channel)?;
        let (inward, window, packet_max) = Direction::new(window, packet_max);
        *channel.numbers.of_mut(self.from) = Some(number);
        *channel.sends.of_mut(!self.from) = inward;
        let packet = write::with_window(self.bytes, 1 + 4 + 4, window, packet_max);
        self.ground.send(!self.from, packet, Load::Control);
        Ok(())
    }

    fn refused(&mut self, recipient: u32) -> Result<(), Violation> {
        if self.relay.channels.unanswered(self.from, recipient).is_none() {
            return Err(self.no_channel(recipient));
        }
        self.relay.channels.forget_refused(self.from, recipient);
        self.forward(Load::Control);
        Ok(())
    }

    fn adjust(&mut self, recipient: u32, bytes: u32) -> Result<(), Violation> {
        // Credit for a channel that is just gone is harmless, and some peers send it.
        let Some(channel) = self.relay.channels.open(self.from, recipient) else { return Ok(()) };
        let passed = channel.sends.of_mut(!self.from).credit.give(bytes);
        let passed = passed.map_err(|_| Violation::Window(self.from, recipient))?;
        if passed > 0 {
            self.ground.send(!self.from, write::window_adjust(recipient, passed), Load::Control);
        }
        Ok(())
    }

    fn data(&mut self, recipient: u32, length: u32, main: &[u8]) -> Result<(), Violation> {
        let overrun = Violation::Overrun(self.from, recipient);
        let no_channel = self.no_channel(recipient);
        let channel = self.relay.channels.open(self.from, recipient).ok_or(no_channel.clone())?;
        let sends = channel.sends.of_mut(self.from);
        if sends.eof {
            return Err(no_channel);
        }
        if length > sends.packet_max || sends.credit.spend(length).is_err() {
            return Err(overrun);
        }
        sends.credit.queue().add(length);
        let load = Load::Data(sends.credit.queue(), length);
        self.ground.send(!self.from, Bytes::copy_from_slice(self.bytes), load);
        if self.from == Side::Target
            && let Some(trace) = &mut channel.trace
        {
            // What is no main data stands behind the number of its stream.
            let errors = if main.is_empty() { self.bytes.get(EXTENDED_HEAD..).unwrap_or_default() } else { &[] };
            let ground = &*self.ground;
            let bytes = if main.is_empty() { errors } else { main };
            trace.output(bytes, main.is_empty(), &mut |channel, what| ground.taped(channel, what));
        }
        match &mut channel.trail {
            Trail::None => {}
            Trail::Forward(forward) => forward.carry(self.from, length),
            Trail::Sftp(reader) if self.from == Side::Client => reader.client(main, &mut |deed| self.ground.did(deed)),
            Trail::Sftp(reader) => reader.target(main, &mut |deed| self.ground.did(deed)),
        }
        pass_credit(channel, self.ground, self.from);
        Ok(())
    }

    fn eof(&mut self, recipient: u32) -> Result<(), Violation> {
        let no_channel = self.no_channel(recipient);
        let channel = self.relay.channels.open(self.from, recipient).ok_or(no_channel)?;
        channel.sends.of_mut(self.from).eof = true;
        self.forward(Load::Control);
        Ok(())
    }

    fn close(&mut self, recipient: u32) -> Result<(), Violation> {
        let no_channel = self.no_channel(recipient);
        let channel = self.relay.channels.open(self.from, recipient).ok_or(no_channel)?;
        channel.sends.of_mut(self.from).closed = true;
        if let Some(deed) = self.relay.channels.take_closed().and_then(|mut channel| channel.over()) {
            self.ground.did(deed);
        }
        self.forward(Load::Control);
        Ok(())
    }

    fn request(&mut self, recipient: u32, name: &str, want_reply: bool, body: &[u8]) -> Result<(), Violation> {
        let (rules, flood) = (self.relay.rules, self.flood());
        // What comes after this side's own close has nobody to answer it.
        let Some(channel) = self.relay.channels.open(self.from, recipient) else { return Ok(()) };
        let rule = match rules.request(self.from, name, body) {
            _ if !channel.is_session && name != rules::KEEPALIVE => RequestRule::Refuse,
            rule => rule,
        };
        let asked = channel.asked.of_mut(self.from);
        if rule == RequestRule::Refuse {
            if want_reply && asked.refused().map_err(|Full| flood)? {
                // The asker knows the channel by its own number.
                if let Some(number) = *channel.numbers.of(self.from) {
                    self.reply(write::failure(number));
                }
            }
            return Ok(());
        }
        if want_reply {
            asked.relayed().map_err(|Full| flood)?;
        }
        self.relay.invited.agent |= rule == RequestRule::Agent;
        if let Some(deed) = rules::deed(name, body).filter(|_| self.from == Side::Client) {
            self.ground.did(deed);
        }
        if let Some(trace) = &mut channel.trace {
            let ground = &*self.ground;
            let mut tell = |channel, what: Taped<'_>| ground.taped(channel, what);
            match self.from {
                Side::Client => trace.asked(name, body, &mut tell),
                Side::Target => trace.told(name, body, &mut tell),
            }
        }
        if rules::is_sftp(name, body) && matches!(channel.trail, Trail::None) {
            channel.trail = Trail::Sftp(Box::default());
        }
        self.forward(Load::Control);
        Ok(())
    }

    fn answer(&mut self, recipient: u32) -> Result<(), Violation> {
        let asker = !self.from;
        let Some(channel) = self.relay.channels.open(self.from, recipient) else { return Ok(()) };
        let Answered { forward, refusals } =
            channel.asked.of_mut(asker).answered().ok_or(Violation::Unasked(self.from))?;
        if forward {
            self.forward(Load::Control);
        }
        for _ in 0..refusals {
            self.ground.send(asker, write::failure(recipient), Load::Control);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
