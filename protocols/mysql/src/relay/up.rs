//! From the client to the target: each command is read, decided on, and passed on as it is.

use bytes::Buf as _;
use tapgate_relay::{Inbox, Io};
use tapgate_session::Upstream;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio_rustls::client::TlsStream;

use super::decide::Decision;
use super::scribe::{About, Fate, Told};
use super::{Course, Over};
use crate::command::Command;
use crate::limits::{COMMAND_MAX, FRAME_MAX, STATEMENT_MAX};
use crate::wire::error::ServerError;
use crate::wire::framed::{header, parse_header};

/// What makes a session of the target read-only.
pub(crate) const READ_ONLY: &[u8] = b"\x03SET SESSION TRANSACTION READ ONLY";

/// Passes commands on until something ends it.
pub(super) async fn run(
    course: &Course<'_>,
    from: &mut ReadHalf<Box<dyn Io>>,
    to: &mut WriteHalf<TlsStream<Upstream>>,
) -> Over {
    let mut up = Up { course, from, to, read: Inbox::default(), last: None };
    match up.commands().await {
        Err(End::Client) => Over::Client,
        // What the target has said before it closed is still on its way down.
        Err(End::Target) => std::future::pending().await,
        Err(End::Nonsense(what)) => {
            course.give_up(Over::Nonsense(what));
            std::future::pending().await
        }
        Ok(never) => match never {},
    }
}

/// Why there are no further commands.
enum End {
    Client,
    Target,
    Nonsense(&'static str),
}

/// Where the rest of a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToTarget,
    Nowhere,
}

struct Up<'a> {
    course: &'a Course<'a>,
    from: &'a mut ReadHalf<Box<dyn Io>>,
    to: &'a mut WriteHalf<TlsStream<Upstream>>,
    read: Inbox,
    /// What was prepared last.
    last: Option<About>,
}

impl Up<'_> {
    async fn commands(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            self.fill(4).await?;
            let (length, number) = self.header();
            if self.course.waiting.lock().file {
                self.file_part(length).await?;
                continue;
            }
            if number != 0 {
                return Err(End::Nonsense("the client's packets came out of order"));
            }
            self.course.waiting.room().await;
            self.command(length).await?;
        }
    }

    fn header(&self) -> (usize, u8) {
        self.read.first_chunk().map_or((0, 0), |head| parse_header(*head))
    }

    /// A part of a file that the client sends; an empty one is the end.
    async fn file_part(&mut self, length: usize) -> Result<(), End> {
        self.pass(Way::ToTarget, length).await?;
        if length == 0 {
            self.course.waiting.lock().file = false;
        }
        self.flush().await
    }

    async fn command(&mut self, length: usize) -> Result<(), End> {
        let first = if length > 0 { self.fill(5).await.map(|()| self.read.get(4).copied())? } else { None };
        let most = if first.is_some_and(Command::is_text) { STATEMENT_MAX } else { COMMAND_MAX };
        let seen = length.min(most);
        self.fill(4 + seen).await?;
        let payload = self.read.get(4..4 + seen).unwrap_or_default();
        let waiting = &self.course.waiting;
        let decision = self.course.rules.decide(payload, seen == length, waiting, &mut self.last).await;
        match decision {
            Decision::Leave => Err(End::Client),
            Decision::Pass(None, _) => {
                self.pass_packet(Way::ToTarget, length).await?;
                self.flush().await
            }
            Decision::Pass(Some(form), about) => {
                // Before the command goes, so that its answer finds it. The number follows its last frame's.
                let frames = u8::try_from(length / FRAME_MAX).unwrap_or_default();
                waiting.due(form, frames.wrapping_add(1), about);
                self.pass_packet(Way::ToTarget, length).await?;
                self.flush().await
            }
            Decision::Instead(payload, form, about) => {
                self.pass_packet(Way::Nowhere, length).await?;
                self.course.waiting.due(form, 1, about);
                self.write(&payload).await?;
                self.flush().await
            }
            Decision::Reset => {
                waiting.due(crate::answer::Form::Status, 1, None);
                self.pass_packet(Way::ToTarget, length).await?;
                self.course.waiting.due_own();
                self.write(READ_ONLY).await?;
                self.flush().await
            }
            Decision::Refuse(error, about) => self.refuse(length, &error, about).await,
        }
    }

    /// Answers a command itself, once everything before it is answered.
    async fn refuse(&mut self, length: usize, error: &ServerError, about: Option<About>) -> Result<(), End> {
        let last = self.pass_packet(Way::Nowhere, length).await?;
        let payload = error.encode();
        if let Some(about) = about
            && let Ok(room) = self.course.told.reserve().await
        {
            room.send(Box::new(Told { about, rows: None, fate: Fate::Refused(error.message.clone()) }));
        }
        self.course.waiting.say([&header(payload.len(), last.wrapping_add(1))[..], &payload].concat());
        Ok(())
    }

    /// The rest of a packet, all its frames; answers the last one's number.
    async fn pass_packet(&mut self, way: Way, length: usize) -> Result<u8, End> {
        let (mut length, mut number) = (length, 0);
        loop {
            self.pass(way, length).await?;
            if length < FRAME_MAX {
                return Ok(number);
            }
            self.fill(4).await?;
            number = number.wrapping_add(1);
            let (next, said) = self.header();
            if said != number {
                return Err(End::Nonsense("the client's packets came out of order"));
            }
            length = next;
        }
    }

    /// One frame with its header.
    async fn pass(&mut self, way: Way, length: usize) -> Result<(), End> {
        let mut left = length + 4;
        while left > 0 {
            if self.read.is_empty() {
                self.fill(1).await?;
            }
            let take = left.min(self.read.len());
            if way == Way::ToTarget {
                let part = self.read.get(..take).unwrap_or_default();
                self.to.write_all(part).await.map_err(|_| End::Target)?;
            }
            self.read.advance(take);
            left -= take;
        }
        Ok(())
    }

    async fn write(&mut self, payload: &[u8]) -> Result<(), End> {
        let packet = [&header(payload.len(), 0)[..], payload].concat();
        self.to.write_all(&packet).await.map_err(|_| End::Target)
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.to.flush().await.map_err(|_| End::Target)
    }

    /// Reads until so much is here.
    async fn fill(&mut self, count: usize) -> Result<(), End> {
        while self.read.len() < count {
            match self.read.fill(self.from).await {
                Ok(1..) => self.course.stir(),
                Ok(0) | Err(_) => return Err(End::Client),
            }
        }
        Ok(())
    }
}
