//! The place of a client that has none: who sits here speaks the connection protocol by function calls.
//!
//! Whoever comes by a page has no SSH client. The gate takes that part itself, above the transport alone: what it says
//! goes into the [`Link`] as a client's packets do, and is judged, counted, recorded and told there as theirs is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::limits::{PIPE_PACKET_MAX, PIPE_WINDOW, SEAT_CHANNELS_MAX};
use crate::link::Link;
use crate::pipe::{Feed, Pipe, pipe};
use crate::relay::Violation;
use crate::side::Side;
use crate::wire::{Fields, Packet};
use crate::write::{self, one_line};

/// What comes before the data of an extended stream: the type, two numbers and a length.
const EXTENDED_HEAD: usize = 13;

/// Takes the packets for a seat; a clone is another handle to the same one.
pub(crate) type Inbox = mpsc::UnboundedSender<Bytes>;

/// A client's place.
pub(crate) struct Seat {
    link: Arc<Link>,
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    next: u32,
    all: Vec<Lane>,
    /// No more packets come.
    over: bool,
}

/// One channel.
struct Lane {
    /// Our number for it.
    own: u32,
    opened: Option<oneshot::Sender<Result<Channel, String>>>,
    open: Option<Open>,
}

struct Open {
    feed: Feed,
    /// The target's number for it.
    theirs: u32,
    answers: VecDeque<oneshot::Sender<bool>>,
    ending: watch::Sender<Option<String>>,
}

/// A channel that the target has confirmed.
pub(crate) struct Channel {
    pub(crate) stream: Pipe,
    /// Our number for it.
    pub(crate) own: u32,
    /// How what ran there has ended, once it has.
    pub(crate) ending: watch::Receiver<Option<String>>,
}

impl Seat {
    /// A seat at this link, and what packets for it go to.
    pub(crate) fn take(link: Arc<Link>) -> (Arc<Self>, Inbox) {
        let (inbox, packets) = mpsc::unbounded_channel();
        let seat = Arc::new(Self { link, lanes: Mutex::default() });
        tokio::spawn(Arc::clone(&seat).attend(packets));
        (seat, inbox)
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, packet: &[u8]) {
        self.link.packet(Side::Client, packet);
    }

    /// Takes what comes until the session is over. What waits here is bounded: data by the windows, the rest by the
    /// link's own count.
    async fn attend(self: Arc<Self>, mut packets: mpsc::UnboundedReceiver<Bytes>) {
        while let Some(packet) = packets.recv().await {
            if let Err(violation) = self.packet(&packet) {
                self.link.broken(violation);
            }
        }
        let mut lanes = self.lock();
        lanes.over = true;
        let all = std::mem::take(&mut lanes.all);
        drop(lanes);
        all.iter().filter_map(|lane| lane.open.as_ref()).for_each(|open| open.feed.close());
    }

    /// Opens a session channel.
    pub(crate) async fn channel(&self) -> Result<Channel, String> {
        let (opened, answer) = oneshot::channel();
        let own = {
            let mut lanes = self.lock();
            if lanes.over {
                return Err(over());
            }
            if lanes.all.len() >= SEAT_CHANNELS_MAX {
                return Err("this page has too many channels open".to_owned());
            }
            let own = lanes.next;
            lanes.next = lanes.next.wrapping_add(1);
            lanes.all.push(Lane { own, opened: Some(opened), open: None });
            own
        };
        self.say(&write::open_session(own, PIPE_WINDOW, PIPE_PACKET_MAX));
        answer.await.unwrap_or_else(|_| Err(over()))
    }

    /// Asks for something on a channel and waits for the answer.
    pub(crate) async fn ask(&self, own: u32, name: &str, body: &[u8]) -> Result<bool, String> {
        let (answer, answered) = oneshot::channel();
        let theirs = {
            let mut lanes = self.lock();
            let open = lanes.open(own).ok_or_else(over)?;
            open.answers.push_back(answer);
            open.theirs
        };
        self.say(&write::channel_request(theirs, name, true, body));
        answered.await.map_err(|_| over())
    }

    /// Says something about a channel that needs no answer.
    pub(crate) fn tell(&self, own: u32, name: &str, body: &[u8]) {
        let theirs = self.lock().open(own).map(|open| open.theirs);
        if let Some(theirs) = theirs {
            self.say(&write::channel_request(theirs, name, false, body));
        }
    }

    /// Takes one packet of the target's.
    fn packet(&self, bytes: &[u8]) -> Result<(), Violation> {
        let packet = Packet::parse(bytes).map_err(|e| Violation::Wire(Side::Target, e))?;
        match packet {
            Packet::GlobalRequest { want_reply, .. } => {
                if want_reply {
                    self.say(&write::request_failure());
                }
            }
            Packet::Open { sender, .. } => {
                self.say(&write::open_failure(sender, write::OpenFailure::Prohibited, "nothing is opened here"));
            }
            Packet::OpenConfirmation { recipient, sender, window, packet_max } => {
                self.confirmed(recipient, sender, (window, packet_max));
            }
            Packet::OpenFailure { recipient, .. } => self.refused(recipient, bytes),
            Packet::Data { recipient, main, .. } => {
                // A page has one place for both streams.
                let data = if main.is_empty() { bytes.get(EXTENDED_HEAD..).unwrap_or_default() } else { main };
                let feed = self.lock().open(recipient).map(|open| open.feed.clone());
                let overrun = Violation::Overrun(Side::Target, recipient);
                feed.map_or(Ok(()), |feed| feed.data(data).map_err(|_| overrun))?;
            }
            Packet::WindowAdjust { recipient, bytes } => {
                let feed = self.lock().open(recipient).map(|open| open.feed.clone());
                let window = Violation::Window(Side::Target, recipient);
                feed.map_or(Ok(()), |feed| feed.adjust(bytes).map_err(|_| window))?;
            }
            Packet::Eof { recipient } => self.with(recipient, |open| open.feed.eof()),
            Packet::Close { recipient } => {
                let lane = self.lock().remove(recipient);
                lane.and_then(|lane| lane.open).into_iter().for_each(|open| open.feed.close());
            }
            Packet::Request { recipient, name, want_reply, body } => self.asked(recipient, name, want_reply, body),
            Packet::Success { recipient } => self.answered(recipient, true),
            Packet::Failure { recipient } => self.answered(recipient, false),
            // Nothing is asked of the connection as a whole.
            Packet::RequestSuccess | Packet::RequestFailure => {}
        }
        Ok(())
    }

    fn with(&self, own: u32, act: impl FnOnce(&mut Open)) {
        if let Some(open) = self.lock().open(own) {
            act(open);
        }
    }

    fn confirmed(&self, own: u32, theirs: u32, (window, packet_max): (u32, u32)) {
        let link = Arc::clone(&self.link);
        let send = move |packet: Bytes| {
            link.packet(Side::Client, &packet);
            true
        };
        let (stream, feed) = pipe(Box::new(send), theirs, window, packet_max);
        let (ending, ended) = watch::channel(None);
        let waiting = {
            let mut lanes = self.lock();
            let Some(lane) = lanes.all.iter_mut().find(|lane| lane.own == own) else { return };
            lane.open = Some(Open { feed, theirs, answers: VecDeque::new(), ending });
            lane.opened.take()
        };
        // Whoever no longer waits for it drops it, which closes the channel.
        drop(waiting.map(|waiting| waiting.send(Ok(Channel { stream, own, ending: ended }))));
    }

    fn refused(&self, own: u32, bytes: &[u8]) {
        let lane = self.lock().remove(own);
        let mut fields = Fields::new(bytes.get(1..).unwrap_or_default());
        let words = (fields.u32(), fields.u32(), fields.lossy()).2.filter(|words| !words.is_empty());
        let words = words.map_or_else(|| "the target opened no channel".to_owned(), |words| one_line(&words));
        drop(lane.and_then(|lane| lane.opened).map(|waiting| waiting.send(Err(words))));
    }

    fn asked(&self, own: u32, name: &str, want_reply: bool, body: &[u8]) {
        let mut fields = Fields::new(body);
        let ending = match name {
            "exit-status" => fields.u32().ok().map(|status| format!("exit status {status}")),
            "exit-signal" => fields.lossy().map(|signal| format!("signal {}", one_line(&signal))),
            _ => None,
        };
        let mut theirs = None;
        self.with(own, |open| {
            theirs = Some(open.theirs);
            if ending.is_some() {
                open.ending.send_replace(ending);
            }
        });
        if let Some(theirs) = theirs.filter(|_| want_reply) {
            self.say(&write::failure(theirs));
        }
    }

    fn answered(&self, own: u32, yes: bool) {
        self.with(own, |open| {
            let waiting = open.answers.pop_front();
            // Whoever asked may have left.
            let _ = waiting.map(|waiting| waiting.send(yes));
        });
    }
}

impl Lanes {
    fn open(&mut self, own: u32) -> Option<&mut Open> {
        self.all.iter_mut().find(|lane| lane.own == own).and_then(|lane| lane.open.as_mut())
    }

    fn remove(&mut self, own: u32) -> Option<Lane> {
        let place = self.all.iter().position(|lane| lane.own == own)?;
        Some(self.all.swap_remove(place))
    }
}

fn over() -> String {
    "the session is over".to_owned()
}
