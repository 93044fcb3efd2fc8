//! The hand-over: a fresh process of the gate takes the sockets and the data directory, and the old one keeps its live
//! sessions to their end (ADR 0030).
//!
//! They talk over a pair of sockets, one line of JSON a word. The fresh process has its end as standard input.

mod desk;
mod elder;
mod heir;
mod log;
mod store;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tapgate_api::LiveSessionEntry;
use tapgate_audit::Event;
use tapgate_model::Digest;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

pub(crate) use desk::{Desk, Question};
pub(crate) use elder::Elder;
pub(crate) use heir::{Heir, Voice, Wish};
pub(crate) use log::Log;
pub(crate) use store::Lent;

use crate::limits::WORD_MAX;

/// How the fresh process is told what it is.
pub(crate) const FLAG: &str = "--heir";

/// What the old process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ElderWord {
    /// The data directory is free.
    Free,
    /// This happened in a session of the old process.
    Event(Box<Event>),
    /// An answer to the question of this number, or a part of it where more is to come.
    Sessions { number: u64, sessions: Vec<LiveSessionEntry>, more: bool },
}

/// What the fresh process says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeirWord {
    /// Whatever can be looked at beforehand is good.
    Good,
    /// It serves.
    Open,
    /// The policy, or something else that live sessions are reviewed by, is another one.
    Changed,
    /// This web session is over, and what it opened with it.
    SignedOut(Digest),
    /// A question about live sessions, and its number.
    Asks { number: u64, question: Question },
    /// It ends, and takes the old process along.
    End,
}

/// One who talks.
struct Talk {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Talk {
    fn over(stream: std::os::unix::net::UnixStream) -> Result<Self> {
        stream.set_nonblocking(true).context("the hand-over's socket can't be used")?;
        let (reader, writer) =
            UnixStream::from_std(stream).context("the hand-over's socket can't be used")?.into_split();
        Ok(Self { reader: BufReader::new(reader), writer })
    }

    async fn tell(&mut self, word: &impl Serialize) -> Result<()> {
        tell(&mut self.writer, word).await
    }

    /// Waits for this very word.
    async fn hears<T: DeserializeOwned + PartialEq + std::fmt::Debug>(&mut self, due: T, wait: Duration) -> Result<()> {
        match timeout(wait, hear::<T>(&mut self.reader)).await {
            Err(_) => bail!("it did not say {due:?} within {} seconds", wait.as_secs()),
            Ok(Ok(Some(word))) if word == due => Ok(()),
            Ok(Ok(Some(word))) => bail!("it said {word:?} where {due:?} was due"),
            Ok(Ok(None)) => bail!("it ended before it said {due:?} (its own log says why)"),
            Ok(Err(error)) => Err(error),
        }
    }
}

async fn tell(writer: &mut OwnedWriteHalf, word: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    writer.write_all(&line).await.context("the other process does not listen")
}

/// The next word; none where the other has gone.
async fn hear<T: DeserializeOwned>(reader: &mut BufReader<OwnedReadHalf>) -> Result<Option<T>> {
    let mut line = Vec::new();
    let read = reader.take(WORD_MAX).read_until(b'\n', &mut line).await.context("the other process can't be heard")?;
    if read == 0 {
        return Ok(None);
    }
    ensure!(line.ends_with(b"\n"), "the other process broke off within a word");
    serde_json::from_slice(&line).context("the other process says what this one does not know").map(Some)
}
