//! From the target to the client: answers are followed to their end, and passed on as they are.

use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};
use tapgate_relay::{Inbox, Io};
use tapgate_session::Upstream;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio_rustls::client::TlsStream;

use super::scribe::{Deal, Fate, Told};
use super::waiting::{Entry, State};
use super::{Course, Over};
use crate::answer::{Outcome, Step};
use crate::limits::{FRAME_MAX, HEAD_MAX, WRITE_KEPT};
use crate::wire::framed::parse_header;

/// Where the bytes of a packet go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToClient,
    Nowhere,
}

/// The direction to the client.
pub(super) struct Down<'a> {
    course: &'a Course<'a>,
    read: Inbox,
    write: BytesMut,
    /// Bytes left of the frame that has begun.
    left: usize,
    /// Whether another frame of the same packet follows.
    more: bool,
    way: Way,
    /// Whether all that was passed on has reached the client.
    clean: bool,
    /// Whether the target's own last words have passed.
    told: bool,
    tellings: VecDeque<Told>,
}

impl<'a> Down<'a> {
    pub(super) fn new(course: &'a Course<'a>) -> Self {
        let (read, write) = (Inbox::default(), BytesMut::new());
        let (left, more, way) = (0, false, Way::ToClient);
        Self { course, read, write, left, more, way, clean: true, told: false, tellings: VecDeque::new() }
    }

    /// The number of the packet that may be said to the client now, if one may.
    pub(super) fn boundary(&self) -> Option<u8> {
        let number = || match self.course.waiting.lock().queue.front() {
            Some(Entry::Theirs { number, .. }) => *number,
            Some(Entry::Ours(_) | Entry::Words(_)) | None => 0,
        };
        (self.clean && (self.is_between() || self.way == Way::Nowhere)).then(number)
    }

    /// What has not reached the scribe.
    pub(super) fn untold(self) -> VecDeque<Told> {
        self.tellings
    }

    const fn is_between(&self) -> bool {
        self.left == 0 && !self.more
    }

    /// Passes answers on until something ends it.
    pub(super) async fn run(
        &mut self,
        from: &mut ReadHalf<TlsStream<Upstream>>,
        to: &mut WriteHalf<Box<dyn Io>>,
    ) -> Over {
        loop {
            let over = self.digest();
            if !self.write.is_empty() && self.send(to).await.is_err() {
                return Over::Client;
            }
            while !self.tellings.is_empty() {
                // Room first: whatever ends the relay meanwhile, nothing is lost on the way.
                let Ok(room) = self.course.told.reserve().await else { break };
                if let Some(told) = self.tellings.pop_front() {
                    room.send(Box::new(told));
                }
            }
            if let Some(over) = over {
                return over;
            }
            let read = tokio::select! {
                biased;
                () = self.course.stop.cancelled(), if self.left == 0 && !self.more => continue,
                () = self.course.waiting.for_down.notified() => continue,
                read = self.read.fill(from) => read,
            };
            match read {
                Ok(1..) => self.course.stir(),
                Ok(0) | Err(_) => return Over::Target(self.told),
            }
        }
    }

    async fn send(&mut self, to: &mut WriteHalf<Box<dyn Io>>) -> std::io::Result<()> {
        self.clean = false;
        to.write_all(&self.write).await?;
        to.flush().await?;
        self.write.clear();
        if self.write.capacity() > WRITE_KEPT {
            self.write = BytesMut::new();
        }
        self.clean = true;
        self.course.stir();
        Ok(())
    }

    /// Passes on what was read, up to where more is needed or something ends it.
    fn digest(&mut self) -> Option<Over> {
        loop {
            if self.is_between() {
                self.own_words();
                if self.course.stop.is_cancelled() {
                    return Some(Over::Stopped);
                }
            }
            if self.left > 0 {
                let take = self.left.min(self.read.len());
                self.pass(take);
                self.left -= take;
                if self.left > 0 {
                    return None;
                }
                continue;
            }
            let (length, number) = parse_header(*self.read.first_chunk()?);
            if let Err(over) = self.begin(length, number)? {
                return Some(over);
            }
            self.pass(4);
            (self.left, self.more) = (length, length == FRAME_MAX);
        }
    }

    /// A frame begins; `None` where more of it is needed to tell what it is.
    fn begin(&mut self, length: usize, number: u8) -> Option<Result<(), Over>> {
        let mut state = self.course.waiting.lock();
        if !self.more {
            let head = self.read.get(4..4 + length.min(HEAD_MAX))?;
            match step(&mut state, head, length, number, &mut self.tellings) {
                Ok(way) => self.way = way,
                Err(Over::Target(told)) => (self.told, self.way) = (told, Way::ToClient),
                Err(over) => return Some(Err(over)),
            }
            self.course.waiting.for_up.notify_one();
        } else if let Some(Entry::Theirs { number: next, .. }) = state.queue.front_mut() {
            *next = number.wrapping_add(1);
        }
        Some(Ok(()))
    }

    fn pass(&mut self, count: usize) {
        if self.way == Way::ToClient {
            self.write.extend_from_slice(self.read.get(..count).unwrap_or_default());
        }
        self.read.advance(count);
    }

    /// The gate's own words that are due now.
    fn own_words(&mut self) {
        let mut state = self.course.waiting.lock();
        while let Some(Entry::Words(packet)) = state.queue.front() {
            self.write.extend_from_slice(packet);
            state.pop();
            self.course.waiting.for_up.notify_one();
        }
    }
}

/// What a packet of the target means, and where it goes.
fn step(state: &mut State, head: &[u8], length: usize, packet: u8, tellings: &mut VecDeque<Told>) -> Result<Way, Over> {
    const NONSENSE: Over = Over::Nonsense("the target spoke nonsense");
    match state.queue.front_mut() {
        // Nobody asked: a server that ends says so, and is about to close.
        None if head.first() == Some(&0xff) => Err(Over::Target(true)),
        None | Some(Entry::Words(_)) => Err(Over::Nonsense("the target answered what nobody had asked")),
        Some(Entry::Ours(answer)) => match answer.packet(head, length) {
            Step::More => Ok(Way::Nowhere),
            Step::Ended(Outcome::Done) => {
                state.pop();
                Ok(Way::Nowhere)
            }
            Step::Ended(Outcome::Failed(_)) => Err(Over::Nonsense("the target does not stay read-only")),
            Step::File | Step::Strange => Err(NONSENSE),
        },
        Some(Entry::Theirs { answer, about, number }) => {
            *number = packet.wrapping_add(1);
            let step = answer.packet(head, length);
            let (rows, prepared, escapes) = (answer.rows, answer.prepared, answer.no_escapes);
            match step {
                Step::More => {}
                Step::File if about.as_ref().is_some_and(|about| about.file) => state.file = true,
                Step::File => {
                    return Err(Over::Nonsense("the target asked for a file of the client that nobody had offered"));
                }
                Step::Strange => return Err(NONSENSE),
                Step::Ended(outcome) => {
                    state.unreadable |= escapes;
                    if let Some(Entry::Theirs { about: Some(about), .. }) = state.pop() {
                        if let (Some(number), Outcome::Done) = (prepared, &outcome) {
                            state.keep(number, &about);
                        }
                        let counts = outcome == Outcome::Done && about.deal != Deal::Prepare;
                        tellings.push_back(Told { about, rows: counts.then_some(rows), fate: Fate::Answered(outcome) });
                    }
                }
            }
            Ok(Way::ToClient)
        }
    }
}
