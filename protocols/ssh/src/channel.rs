//! The channels of one connection: each side's number for it, its credit, and who owes what.

use tapgate_audit::Deed;

use crate::credit::Credit;
use crate::forward::Forward;
use crate::limits::{CHANNELS_MAX, DATA_MAX};
use crate::replies::Replies;
use crate::sftp;
use crate::side::{Both, Side};
use crate::trace::Trace;

/// One direction of a channel: what this side sends.
#[derive(Debug)]
pub(crate) struct Direction {
    /// What it may still send.
    pub(crate) credit: Credit,
    /// How much data it may put into one packet.
    pub(crate) packet_max: u32,
    /// It will send no more data.
    pub(crate) eof: bool,
    /// It will send nothing more.
    pub(crate) closed: bool,
}

impl Direction {
    /// A direction with the window and packet size that its receiver named; with it what the
    /// sender is to be told of them.
    pub(crate) fn new(window: u32, packet_max: u32) -> (Self, u32, u32) {
        let (credit, told) = Credit::new(window);
        let packet_max = packet_max.min(DATA_MAX);
        (Self { credit, packet_max, eof: false, closed: false }, told, packet_max)
    }
}

/// What the log is told of a channel's data.
#[derive(Debug)]
pub(crate) enum Trail {
    /// Nothing.
    None,
    /// The files that are asked for.
    Sftp(Box<sftp::Reader>),
    /// Where the connection goes, and how much it carried.
    Forward(Box<Forward>),
}

/// A channel that is asked for or open.
#[derive(Debug)]
pub(crate) struct Channel {
    /// Whether it is of the type `session`, which alone knows requests.
    pub(crate) is_session: bool,
    /// Who asked for it.
    pub(crate) opener: Side,
    /// Each side's own number for it; the answerer's is not known before it confirms.
    pub(crate) numbers: Both<Option<u32>>,
    /// What each side sends.
    pub(crate) sends: Both<Direction>,
    /// What each side asked and has no answer to.
    pub(crate) asked: Both<Replies>,
    /// What the log is told of it.
    pub(crate) trail: Trail,
    /// What a recording is told of it, where there is one.
    pub(crate) trace: Option<Trace>,
}

impl Channel {
    /// A channel that one side asks for, with the direction in which that side receives.
    pub(crate) fn asked_for(opener: Side, is_session: bool, number: u32, inward: Direction) -> Self {
        let (outward, ..) = Direction::new(0, 0);
        let sends = match opener {
            Side::Client => Both { client: outward, target: inward },
            Side::Target => Both { client: inward, target: outward },
        };
        let mut numbers = Both::default();
        *numbers.of_mut(opener) = Some(number);
        Self { is_session, opener, numbers, sends, asked: Both::default(), trail: Trail::None, trace: None }
    }

    /// What the log is told once the channel is over.
    pub(crate) fn over(&mut self) -> Option<Deed> {
        match std::mem::replace(&mut self.trail, Trail::None) {
            Trail::Forward(forward) if self.is_confirmed() => Some(forward.deed()),
            _ => None,
        }
    }

    fn is_confirmed(&self) -> bool {
        self.numbers.of(!self.opener).is_some()
    }
}

/// All channels of a connection. They are few, so they are searched one after the other.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Channel>);

impl Table {
    /// Whether another one would be too many.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= CHANNELS_MAX
    }

    /// Whether this side already has a channel by this number.
    pub(crate) fn has(&self, side: Side, number: u32) -> bool {
        self.0.iter().any(|c| *c.numbers.of(side) == Some(number))
    }

    /// Adds one.
    pub(crate) fn add(&mut self, channel: Channel) {
        self.0.push(channel);
    }

    /// The open channel that a packet from this side is for, by the other side's number; none once
    /// this side has closed it.
    pub(crate) fn open(&mut self, from: Side, number: u32) -> Option<&mut Channel> {
        self.0.iter_mut().find(|c| *c.numbers.of(!from) == Some(number) && c.is_confirmed() && !c.sends.of(from).closed)
    }

    /// The channel that the other side asked for under this number and this side has not answered.
    pub(crate) fn unanswered(&mut self, from: Side, number: u32) -> Option<&mut Channel> {
        self.0.iter_mut().find(|c| c.opener == !from && *c.numbers.of(!from) == Some(number) && !c.is_confirmed())
    }

    /// Forgets the channel that the other side asked for and this side refused.
    pub(crate) fn forget_refused(&mut self, from: Side, number: u32) {
        self.0.retain(|c| c.is_confirmed() || c.opener == from || *c.numbers.of(!from) != Some(number));
    }

    /// Takes out a channel that both sides have closed.
    pub(crate) fn take_closed(&mut self) -> Option<Channel> {
        let closed = self.0.iter().position(|c| c.sends.client.closed && c.sends.target.closed)?;
        Some(self.0.swap_remove(closed))
    }

    /// Every channel.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.0.iter()
    }

    /// Every channel, to change it.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.0.iter_mut()
    }
}
