//! What joins the two legs of a connection: packets wait here until the session is open, and then
//! pass from the one russh loop to the other without a task in between.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tapgate_audit::{Deed, Taped};
use tapgate_session::Live;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::credit::Queued;
use crate::held::{self, Held};
use crate::limits::{CONTROL_BACKLOG_MAX, EARLY_BYTES_MAX, EARLY_PACKETS_MAX, FIRST_CHANNEL_MAX, SILENCE_MAX};
use crate::relay::{Activity, Ground, Load, Opening, Relay, Violation};
use crate::rules::Rules;
use crate::seat::Inbox;
use crate::side::{Both, Side};
use crate::wire::Packet;

/// Why the link ended a connection by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A client that does not wait until its session is open.
    Early,
    /// A peer broke the protocol.
    Violation(Violation),
    /// A peer does not read, and the other one floods it.
    Flooded(Side),
    /// A peer says nothing any more.
    Silent(Side),
    /// The person gave up waiting.
    Quit,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Early => f.write_str("the client sent too much before its session was open"),
            Self::Violation(violation) => violation.fmt(f),
            Self::Flooded(side) => write!(f, "the {side} does not read what the other side sends"),
            Self::Quit => f.write_str("you pressed Ctrl-C before you tapped"),
            Self::Silent(side) => write!(f, "the {side} no longer answers"),
        }
    }
}

/// What takes packets for the client's side.
pub(crate) enum Voice {
    /// An SSH client's connection.
    Client(russh::server::Handle),
    /// A seat, for somebody who has no client.
    Seat(Inbox),
}

impl Voice {
    /// Queues a packet; `false` when nobody is there any more.
    fn send(&self, packet: Bytes) -> bool {
        match self {
            Self::Client(handle) => handle.send_raw(packet),
            Self::Seat(inbox) => inbox.send(packet).is_ok(),
        }
    }
}

/// Both legs' handles, and the session whose right they use.
pub(crate) struct Legs {
    pub(crate) client: Voice,
    pub(crate) target: russh::client::RawSender,
    /// The session. Only a spent grant makes one, so that nothing passes without.
    pub(crate) live: Live,
}

/// What joins the two legs of a connection.
pub(crate) struct Link {
    inner: Mutex<Inner>,
    /// Data has left for which withheld credit may be passed on.
    drained: Arc<Notify>,
    /// A packet has come before the session is open.
    arrived: Notify,
}

struct Inner {
    state: State,
    fault: Option<oneshot::Sender<Fault>>,
}

enum State {
    /// The session is being opened; packets wait.
    Early(Early),
    /// The session is open; packets pass.
    Open(Box<Course>),
    /// The session is over; packets are dropped.
    Over(Option<Live>),
}

impl Link {
    /// A link, and the news of what goes wrong on it.
    pub(crate) fn new() -> (Arc<Self>, oneshot::Receiver<Fault>) {
        let (fault, faults) = oneshot::channel();
        let inner = Inner { state: State::Early(Early::default()), fault: Some(fault) };
        (Arc::new(Self { inner: Mutex::new(inner), drained: Arc::default(), arrived: Notify::new() }), faults)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a packet from one side; never waits.
    pub(crate) fn packet(&self, from: Side, bytes: &[u8]) {
        let mut inner = self.lock();
        let taken = match &mut inner.state {
            State::Early(early) => early.push(from, bytes).inspect(|()| self.arrived.notify_one()),
            State::Open(course) => course.packet(from, bytes),
            State::Over(_) => Ok(()),
        };
        inner.end_on(taken);
    }

    /// Ends the connection for what a peer did elsewhere on it.
    pub(crate) fn broken(&self, violation: Violation) {
        self.lock().end_on(Err(Fault::Violation(violation)));
    }

    /// Opens the session: what has waited passes first, in its order.
    pub(crate) fn open(&self, legs: Legs) {
        let mut inner = self.lock();
        let State::Early(early) = std::mem::replace(&mut inner.state, State::Over(None)) else { return };
        let mut course = Course::new(legs, Arc::clone(&self.drained));
        course.ground.held = early.held;
        let taken = early.packets.into_iter().try_for_each(|(from, bytes)| course.packet(from, &bytes));
        inner.state = State::Open(Box::new(course));
        inner.end_on(taken);
    }

    /// Waits for the client's first session channel and confirms it, so that something can be said there. The caller
    /// sets the deadline.
    pub(crate) async fn hold_first_channel(&self, client: &russh::server::Handle) {
        self.seek(|early| {
            early.held = early.packets.iter().find_map(|(_, packet)| Held::confirm(packet, client));
            early.held.is_some().then_some(())
        })
        .await;
    }

    /// Waits until it is known what the client will run there. The caller sets the deadline.
    pub(crate) async fn first_command(&self) -> String {
        self.seek(|early| early.packets.iter().find_map(|(_, packet)| Held::command(packet))).await
    }

    /// Says something on the channel that is held; whether it could be said.
    pub(crate) fn say(&self, text: &str) -> bool {
        match &mut self.lock().state {
            State::Early(early) => early.held.as_mut().is_some_and(|held| held.say(text)),
            State::Open(_) | State::Over(_) => false,
        }
    }

    /// Waits for something among the packets that came before the session is open.
    async fn seek<T>(&self, mut find: impl FnMut(&mut Early) -> Option<T>) -> T {
        loop {
            match &mut self.lock().state {
                State::Early(early) => {
                    if let Some(found) = find(early) {
                        return found;
                    }
                }
                State::Open(_) | State::Over(_) => {}
            }
            self.arrived.notified().await;
        }
    }

    /// Ends the passing of packets; answers the session, once.
    pub(crate) fn close(&self) -> Option<Live> {
        let mut inner = self.lock();
        inner.over();
        match &mut inner.state {
            State::Over(live) => live.take(),
            State::Early(_) | State::Open(_) => None,
        }
    }

    /// Whether the target has left no channel open.
    pub(crate) fn target_is_done(&self) -> bool {
        match &self.lock().state {
            State::Open(course) => course.relay.target_is_done(),
            State::Early(_) | State::Over(_) => true,
        }
    }

    /// When the person at the client last did something.
    pub(crate) fn active(&self) -> Option<Instant> {
        match &self.lock().state {
            State::Open(course) => Some(course.active),
            State::Early(_) | State::Over(_) => None,
        }
    }

    /// Asks both sides whether they are still there, and ends the session where one has been silent.
    pub(crate) fn keep_alive(&self) {
        let mut inner = self.lock();
        if let State::Open(course) = &mut inner.state {
            let kept = course.keep_alive();
            inner.end_on(kept);
        }
    }

    /// Waits until data has left for which withheld credit may be passed on, and passes it on.
    pub(crate) async fn pass_credit(&self) {
        self.drained.notified().await;
        if let State::Open(course) = &mut self.lock().state {
            course.relay.drained(&mut course.ground);
        }
    }
}

impl Inner {
    fn end_on(&mut self, taken: Result<(), Fault>) {
        if let Err(fault) = taken {
            self.over();
            // The receiver is gone where the connection ends anyway.
            let _ = self.fault.take().map(|news| news.send(fault));
        }
    }

    fn over(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over(None)) {
            State::Open(mut course) => {
                course.relay.over(&mut course.ground);
                State::Over(Some(course.ground.live))
            }
            State::Over(live) => State::Over(live),
            State::Early(_) => State::Over(None),
        };
    }
}

/// Packets that came before the session was open.
#[derive(Default)]
struct Early {
    packets: Vec<(Side, Bytes)>,
    bytes: usize,
    /// The first channel, where the client is asked for a tap on it.
    held: Option<Held>,
    /// Whether an answer is due to a request about the connection.
    owed: bool,
}

impl Early {
    fn push(&mut self, from: Side, bytes: &[u8]) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.packets.len() >= EARLY_PACKETS_MAX || self.bytes > EARLY_BYTES_MAX {
            return Err(Fault::Early);
        }
        match self.held.as_mut().map(|held| held.early(bytes, self.owed)) {
            Some(held::Early::Answered) => {
                self.bytes -= bytes.len();
                return Ok(());
            }
            Some(held::Early::Quits) => return Err(Fault::Quit),
            Some(held::Early::Waits) | None => {}
        }
        self.owed |= matches!(Packet::parse(bytes), Ok(Packet::GlobalRequest { want_reply: true, .. }));
        self.packets.push((from, Bytes::copy_from_slice(bytes)));
        Ok(())
    }
}

/// An open session's relay, with what it needs.
struct Course {
    relay: Relay,
    ground: Footing,
    /// When each side last said something.
    heard: Both<Instant>,
    /// When the person at the client last did something.
    active: Instant,
}

impl Course {
    fn new(legs: Legs, drained: Arc<Notify>) -> Self {
        let terms = legs.live.terms();
        let rules = Rules {
            port_forwarding: terms.port_forwarding,
            forward_agent: terms.forward_agent,
            file_copy: terms.ssh_file_copy,
        };
        let now = Instant::now();
        let ground = Footing {
            client: legs.client,
            target: legs.target,
            live: legs.live,
            first: Some(now),
            begun: now,
            backlog: Both::default(),
            drained,
            held: None,
        };
        Self { relay: Relay::new(rules), ground, heard: Both { client: now, target: now }, active: now }
    }

    /// Takes a packet. The channel that was held for a tap has another number at the target than the client knows.
    fn packet(&mut self, from: Side, bytes: &[u8]) -> Result<(), Fault> {
        let Some(held) = &mut self.ground.held else { return self.pass(from, bytes) };
        if from == Side::Client {
            return match held.inward(bytes) {
                Some(bytes) => self.pass(from, &bytes),
                None => Ok(()),
            };
        }
        self.pass(from, bytes)?;
        let ready = self.ground.held.as_mut().map(Held::ready).unwrap_or_default();
        ready.iter().try_for_each(|bytes| self.pass(Side::Client, bytes))
    }

    fn pass(&mut self, from: Side, bytes: &[u8]) -> Result<(), Fault> {
        let now = Instant::now();
        *self.heard.of_mut(from) = now;
        let activity = self.relay.packet(&mut self.ground, from, bytes).map_err(Fault::Violation)?;
        if from == Side::Client && activity == Activity::Person {
            self.active = now;
        }
        let flooded = |side| self.ground.backlog.of(side).load(Ordering::Relaxed) > CONTROL_BACKLOG_MAX;
        match [Side::Client, Side::Target].into_iter().find(|side| flooded(*side)) {
            Some(side) => Err(Fault::Flooded(side)),
            None => Ok(()),
        }
    }

    fn keep_alive(&mut self) -> Result<(), Fault> {
        for side in [Side::Client, Side::Target] {
            if self.heard.of(side).elapsed() > SILENCE_MAX {
                return Err(Fault::Silent(side));
            }
            self.relay.keepalive(&mut self.ground, side);
        }
        Ok(())
    }
}

/// The ground that an open session's relay stands on.
struct Footing {
    client: Voice,
    target: russh::client::RawSender,
    live: Live,
    /// Since when the first channel may be opened without a verdict of its own.
    first: Option<Instant>,
    begun: Instant,
    backlog: Both<Arc<AtomicUsize>>,
    drained: Arc<Notify>,
    /// The channel that was held for a tap, where one was.
    held: Option<Held>,
}

impl Ground for Footing {
    fn send(&mut self, to: Side, packet: Bytes, load: Load<'_>) {
        let packet = match (&mut self.held, to) {
            (Some(held), Side::Client) => match held.outward(packet) {
                Some(packet) => packet,
                None => return,
            },
            _ => packet,
        };
        let count = match load {
            Load::Control => {
                let backlog = Arc::clone(self.backlog.of(to));
                backlog.fetch_add(packet.len(), Ordering::Relaxed);
                Count::Control(backlog)
            }
            Load::Data(queued, bytes) => Count::Data(queued.clone(), bytes, Arc::clone(&self.drained)),
        };
        let packet = Bytes::from_owner(Waiting { packet, count });
        // A leg that is gone ends the session by its own news.
        let _ = match to {
            Side::Client => self.client.send(packet),
            Side::Target => self.target.send(packet),
        };
    }

    fn may_open(&mut self, what: Opening) -> Result<(), String> {
        let covered = match what {
            Opening::Channel => self.first.take().is_some_and(|since| since.elapsed() < FIRST_CHANNEL_MAX),
            // `ssh -R` asks for it before its first channel. It carries nothing by itself.
            Opening::Listener => self.begun.elapsed() < FIRST_CHANNEL_MAX,
            Opening::Inbound => false,
        };
        if covered { Ok(()) } else { self.live.may_open().map_err(|denial| denial.message().to_owned()) }
    }

    fn did(&mut self, deed: Deed) {
        self.live.did(deed);
    }

    fn is_taped(&self) -> bool {
        self.live.tape().is_some()
    }

    fn taped(&self, channel: u32, what: Taped<'_>) {
        if let Some(tape) = self.live.tape() {
            tape.write(channel, what);
        }
    }
}

/// A packet in a leg's queue, counted until russh has taken it.
struct Waiting {
    packet: Bytes,
    count: Count,
}

enum Count {
    Control(Arc<AtomicUsize>),
    Data(Queued, u32, Arc<Notify>),
}

impl AsRef<[u8]> for Waiting {
    fn as_ref(&self) -> &[u8] {
        &self.packet
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        match &self.count {
            Count::Control(backlog) => {
                backlog.fetch_sub(self.packet.len(), Ordering::Relaxed);
            }
            Count::Data(queued, bytes, drained) => {
                if queued.remove(*bytes) {
                    drained.notify_one();
                }
            }
        }
    }
}
