//! The old process, as the fresh one sees it.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tapgate_audit::Sink as _;
use tapgate_session::Gate;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::desk::{Asked, Waiting};
use super::{Desk, ElderWord, HeirWord, Log, Talk, hear, tell};
use crate::limits::{DRAIN_MAX, FOLLOW_LOOK, HEIR_START_MAX};
use crate::words::words;

/// The process whose sockets this one has.
pub(crate) struct Elder {
    talk: Talk,
}

impl Elder {
    /// The one at the other end of standard input.
    pub(crate) fn on_standard_input() -> Result<Self> {
        let input = std::io::stdin().as_fd().try_clone_to_owned().context("standard input is no hand-over's socket")?;
        Ok(Self { talk: Talk::over(UnixStream::from(input))? })
    }

    /// Says that all is good, and waits for the data directory.
    pub(crate) async fn makes_way(&mut self) -> Result<()> {
        self.talk.tell(&HeirWord::Good).await?;
        match timeout(HEIR_START_MAX, hear(&mut self.talk.reader)).await {
            Ok(Ok(Some(ElderWord::Free))) => Ok(()),
            Ok(Ok(Some(ElderWord::Event(_) | ElderWord::Sessions { .. }))) => {
                bail!("the old process told what it was not asked for yet")
            }
            Ok(Ok(None)) => bail!("the old process has gone"),
            Ok(Err(error)) => Err(error),
            Err(_) => bail!("the old process did not free the data directory in time"),
        }
    }

    /// Says that this process serves.
    pub(crate) async fn relieve(&mut self) -> Result<()> {
        self.talk.tell(&HeirWord::Open).await
    }

    /// Writes what happens in the old process's sessions, has it review them by each policy, and asks it what is to be
    /// known of them, until it has gone.
    pub(crate) async fn follow(self, gate: Gate, log: Arc<Log>, desk: Arc<Desk>, end: CancellationToken) {
        let Talk { mut reader, mut writer } = self.talk;
        let (mut questions, waiting) = (desk.open(), Waiting::default());
        let hearing = async {
            loop {
                match hear(&mut reader).await {
                    Ok(Some(ElderWord::Event(event))) => log.record(*event),
                    Ok(Some(ElderWord::Sessions { number, sessions, more })) => waiting.told(number, sessions, more),
                    Ok(Some(ElderWord::Free)) => {}
                    Ok(None) => return tracing::info!("The old process has gone"),
                    Err(error) => return tracing::error!(error = words(&error), "The old process is lost"),
                }
            }
        };
        let telling = async {
            let (mut seen, mut ticks) = (None, interval(FOLLOW_LOOK));
            let mut sign_outs = gate.sign_outs();
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = end.cancelled() => break,
                    Some(Asked { question, answer }) = questions.recv() => {
                        let number = waiting.number(answer);
                        if tell(&mut writer, &HeirWord::Asks { number, question }).await.is_err() {
                            break;
                        }
                    }
                    Ok(session) = sign_outs.recv() => {
                        if tell(&mut writer, &HeirWord::SignedOut(session)).await.is_err() {
                            break;
                        }
                    }
                }
                // At first once more: files may have changed before this process read them.
                let now = Some(gate.installed());
                if now != seen && tell(&mut writer, &HeirWord::Changed).await.is_err() {
                    break;
                }
                seen = now;
            }
            // Where it has gone already there is nobody to be told.
            tell(&mut writer, &HeirWord::End).await.unwrap_or_default();
            tokio::time::sleep(DRAIN_MAX).await;
        };
        tokio::select! {
            () = hearing => {}
            () = telling => tracing::warn!("The old process is left behind"),
        }
    }
}
