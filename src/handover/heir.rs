//! The fresh process, as the old one sees it.

use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

use anyhow::{Context as _, Result};
use command_fds::{CommandFdExt as _, FdMapping};
use tapgate_api::LiveSessionEntry;
use tapgate_model::Digest;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{ElderWord, FLAG, HeirWord, Question, Talk, hear, tell};
use crate::limits::{DRAIN_LOOK, HEIR_START_MAX, LAST_WORDS_MAX, LOG_AWAY_MAX, SESSIONS_IN_A_WORD};
use crate::words::words;

/// Where handed sockets begin, as `sd_listen_fds(3)` has it.
const FIRST_SOCKET: i32 = 3;

/// A fresh process of the gate.
pub(crate) struct Heir {
    child: Child,
    talk: Talk,
}

/// What the fresh process wants of the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To review its sessions by what the store says now.
    Review,
    /// To end what this web session has opened.
    SignOut(Digest),
    /// An answer to the question of this number.
    Answer(u64, Question),
    /// To end now.
    End,
}

impl Heir {
    /// Starts it: the program as it lies there now, with the words that this process was started with, and its sockets.
    pub(crate) fn start(sockets: &[&TcpListener]) -> Result<Self> {
        let (own, its) = UnixStream::pair().context("no socket for the hand-over")?;
        let mut words = std::env::args_os();
        let program = words.next().context("this process does not know its own name")?;
        let mut mappings = Vec::new();
        for (socket, child_fd) in sockets.iter().zip(FIRST_SOCKET..) {
            let parent_fd = socket.as_fd().try_clone_to_owned().context("a socket can't be handed over")?;
            mappings.push(FdMapping { parent_fd, child_fd });
        }
        let mut command = Command::new(&program);
        command.args(words.filter(|word| word != FLAG)).arg(FLAG).stdin(OwnedFd::from(its));
        command.env("LISTEN_FDS", mappings.len().to_string()).env_remove("LISTEN_PID");
        command.fd_mappings(mappings).context("a socket can't be handed over")?;
        let child = command.spawn().with_context(|| format!("can't start {}", program.display()))?;
        // What is left of the command holds the other end of the pair: it must be gone for the child's end to show.
        drop(command);
        Ok(Self { child, talk: Talk::over(own)? })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has looked at all that can be looked at beforehand.
    pub(crate) async fn is_good(&mut self) -> Result<()> {
        self.talk.hears(HeirWord::Good, HEIR_START_MAX).await
    }

    /// Lets it have the data directory, and waits until it serves.
    pub(crate) async fn take_over(&mut self) -> Result<()> {
        self.talk.tell(&ElderWord::Free).await?;
        self.talk.hears(HeirWord::Open, HEIR_START_MAX).await
    }

    /// Sees it gone: one that has failed gets a moment to say why.
    pub(crate) async fn end(mut self) {
        let until = Instant::now() + LAST_WORDS_MAX;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            sleep(DRAIN_LOOK).await;
        }
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            tracing::error!(%error, "The fresh process can't be ended");
        }
    }

    /// What it wishes from here on, where answers go, and where events for its log. The wishes end when it is gone; what is
    /// sent reaches it before the task ends.
    pub(crate) fn serve(self) -> (mpsc::Receiver<Wish>, Voice) {
        let Talk { mut reader, mut writer } = self.talk;
        let (wish, wishes) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Ok(Some(word)) = hear(&mut reader).await {
                let asked = match word {
                    HeirWord::Changed => Wish::Review,
                    HeirWord::SignedOut(session) => Wish::SignOut(session),
                    HeirWord::Asks { number, question } => Wish::Answer(number, question),
                    HeirWord::End => Wish::End,
                    HeirWord::Good | HeirWord::Open => continue,
                };
                if wish.send(asked).await.is_err() {
                    return;
                }
            }
        });
        let ((event, mut events), (answer, mut answers)) = (mpsc::channel(LOG_AWAY_MAX), mpsc::channel(1));
        let told = tokio::spawn(async move {
            loop {
                let word = tokio::select! {
                    Some(event) = events.recv() => ElderWord::Event(Box::new(event)),
                    Some(word) = answers.recv() => word,
                    else => return,
                };
                if let Err(error) = tell(&mut writer, &word).await {
                    let what = if matches!(word, ElderWord::Event(_)) { "An event" } else { "An answer" };
                    tracing::error!(error = words(&error), "{what} did not reach the fresh process");
                }
            }
        });
        (wishes, Voice { events: event, answers: Answers(answer), told })
    }
}

/// What this process says to the fresh one.
pub(crate) struct Voice {
    pub(crate) events: mpsc::Sender<tapgate_audit::Event>,
    pub(crate) answers: Answers,
    pub(crate) told: tokio::task::JoinHandle<()>,
}

/// The way of answers.
pub(crate) struct Answers(mpsc::Sender<ElderWord>);

impl Answers {
    /// Answers the question of this number, in as many words as it takes.
    pub(crate) async fn give(&self, number: u64, sessions: Vec<LiveSessionEntry>) {
        let mut rest = sessions.into_iter();
        loop {
            let sessions: Vec<_> = rest.by_ref().take(SESSIONS_IN_A_WORD).collect();
            let more = rest.len() > 0;
            if self.0.send(ElderWord::Sessions { number, sessions, more }).await.is_err() || !more {
                return;
            }
        }
    }
}
