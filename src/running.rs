//! A gate that listens, and how it ends: at once, after its sessions, or by handing over to a fresh process.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_audit::{Event, Sink as _};
use tapgate_config::Config;
use tapgate_proof::Holder;
use tapgate_record::Deck;
use tapgate_relay::Protocol;
use tapgate_session::Gate;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::accept::{self, Edge, Port};
use crate::handover::{Elder, Heir, Voice, Wish};
use crate::limits::{DRAIN_LOOK, DRAIN_MAX, SETTLE_MAX};
use crate::notify;
use crate::start::{Opened, alone_in};
use crate::words::words;

/// A gate that listens.
pub(crate) struct Running {
    pub(crate) gate: Gate,
    pub(crate) opened: Opened,
    pub(crate) edge: Arc<Edge>,
    pub(crate) deck: Arc<Deck>,
    pub(crate) ports: Vec<Bound>,
    /// The admin port, and what ends its service.
    pub(crate) admin: Option<(StdListener, CancellationToken)>,
    /// Ends the accepting on every port.
    pub(crate) accepting: CancellationToken,
    /// What runs beside, until the gate closes.
    pub(crate) closing: CancellationToken,
    /// What runs to the very end.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: Vec<JoinHandle<()>>,
    /// The process before this one, while it has sessions.
    pub(crate) elder: Option<JoinHandle<()>>,
}

/// A listening socket, and what is spoken there.
pub(crate) struct Bound {
    pub(crate) listener: StdListener,
    pub(crate) only: Option<Arc<dyn Protocol>>,
}

/// What became of a hand-over.
pub(crate) enum HandedOver {
    /// The fresh process serves.
    Done(Heir),
    /// This one goes on as if nothing had been.
    Not(anyhow::Error),
    /// Neither of them has the data directory.
    Lost(anyhow::Error),
}

impl Running {
    /// Begins to accept on every port.
    pub(crate) fn accept(&mut self) -> Result<()> {
        self.accepting = CancellationToken::new();
        for Bound { listener, only } in &self.ports {
            let listener = listener.try_clone().and_then(TcpListener::from_std).context("can't accept connections")?;
            let port = Port { listener, only: only.clone() };
            self.tasks.push(tokio::spawn(accept::accept(port, Arc::clone(&self.edge), self.accepting.clone())));
        }
        Ok(())
    }

    /// Takes up with the process whose sockets this one has.
    pub(crate) async fn relieve(&mut self, mut elder: Elder) -> Result<()> {
        elder.relieve().await.context("the old process has gone before its time")?;
        let (gate, log, end) = (self.gate.clone(), Arc::clone(&self.opened.sink), self.stop.clone());
        self.elder = Some(tokio::spawn(elder.follow(gate, log, self.edge.web.desk(), end)));
        Ok(())
    }

    /// Starts a fresh process and lets it have everything but the live sessions.
    pub(crate) async fn hand_over(&mut self, config: &Config) -> HandedOver {
        let sockets = self.ports.iter().map(|port| &port.listener).chain(self.admin.iter().map(|(one, _)| one));
        let mut heir = match Heir::start(&sockets.collect::<Vec<_>>()) {
            Ok(heir) => heir,
            Err(error) => return HandedOver::Not(error),
        };
        tracing::info!(process = heir.id(), "A fresh process is to take over");
        let mut outcome = heir.is_good().await;
        if outcome.is_ok() {
            self.make_way().await;
            outcome = heir.take_over().await;
            if let Err(error) = outcome {
                heir.end().await;
                return match self.take_back(config) {
                    Ok(()) => HandedOver::Not(error),
                    Err(lost) => HandedOver::Lost(lost.context(error.to_string())),
                };
            }
        }
        match outcome {
            Ok(()) => HandedOver::Done(heir),
            Err(error) => {
                heir.end().await;
                HandedOver::Not(error)
            }
        }
    }

    /// Stops accepting (what comes waits in the kernel), lets what is under way come to its end, and frees the data
    /// directory.
    async fn make_way(&mut self) {
        self.accepting.cancel();
        self.edge.web.wind_up(true);
        tracing::info!("Makes way: who comes now waits for the fresh process");
        self.settle().await;
        let (log, store) = (Arc::clone(&self.opened.sink), Arc::clone(&self.opened.store));
        let freed = tokio::task::spawn_blocking(move || {
            store.set_away(true);
            log.let_go();
        });
        if let Err(error) = freed.await {
            tracing::error!(%error, "The data directory could not be freed in peace");
        }
        self.opened.alone = None;
    }

    /// Waits for handshakes and requests that are under way, for a moment.
    async fn settle(&self) {
        let Edge { arriving, handshakes, web, .. } = &*self.edge;
        let until = Instant::now() + SETTLE_MAX;
        while arriving.len() + handshakes.count() + web.open() > 0 && Instant::now() < until {
            sleep(DRAIN_LOOK).await;
        }
    }

    fn take_back(&mut self, config: &Config) -> Result<()> {
        self.opened.alone = Some(alone_in(&config.data_dir)?);
        self.opened.sink.take_back().context("the audit log can't be taken back")?;
        self.opened.store.set_away(false);
        self.edge.web.wind_up(false);
        self.accept()
    }

    /// After a hand-over: sees the live sessions to their end, for so long at most.
    pub(crate) async fn see_out(mut self, heir: Heir, drain: Duration, hurry: impl Future<Output = ()>) {
        tracing::info!(process = heir.id(), sessions = self.gate.live_count(), "A fresh process has taken over");
        let (mut wishes, Voice { events, answers, told }) = heir.serve();
        self.opened.sink.send_by(events);
        self.close();
        // The admin port is the fresh process's as well.
        if let Some((_, served)) = self.admin.take() {
            served.cancel();
        }
        let (edge, gate) = (Arc::clone(&self.edge), self.gate.clone());
        let wanted = async move {
            loop {
                match wishes.recv().await {
                    Some(Wish::Review) => {
                        if !review(&edge).await {
                            return tracing::error!("What is true now can't be read: no session goes on");
                        }
                    }
                    Some(Wish::SignOut(session)) => {
                        gate.end_held(&Holder::WebSession(session));
                    }
                    Some(Wish::Answer(number, question)) => {
                        answers.give(number, edge.web.answer(&question).await).await;
                    }
                    Some(Wish::End) => return tracing::info!("The fresh process ends, and this one with it"),
                    None => return tracing::error!("The fresh process is gone: nothing could be recorded any more"),
                }
            }
        };
        let ended = async {
            tokio::select! {
                () = wanted => {}
                () = hurry => {}
            }
        };
        self.drain(drain, ended).await;
        // Who was too slow reads that the gate is closing.
        self.settle().await;
        self.finish().await;
        // What is on its way to the log arrives before this process is gone.
        if timeout(DRAIN_MAX, told).await.is_err() {
            tracing::error!("The audit log of the fresh process is too slow");
        }
    }

    /// Stops accepting, lets the live sessions go on for so long at most, and ends.
    pub(crate) async fn end(mut self, drain: Duration, hurry: impl Future<Output = ()>) {
        self.accepting.cancel();
        notify::stopping(self.gate.live_count());
        self.close();
        self.drain(drain, hurry).await;
        let gone = Event::gate_stopped(env!("CARGO_PKG_VERSION"));
        let log = Arc::clone(&self.opened.sink);
        self.finish_after(|| log.record(gone)).await;
    }

    /// Ends at once, with a word to each session.
    pub(crate) async fn stop(self) {
        self.end(Duration::ZERO, std::future::pending()).await;
    }

    /// Nothing more is opened: whoever comes finds no port, and whoever is here opens no session.
    fn close(&mut self) {
        tracing::info!(sessions = self.gate.live_count(), "The gate is closing");
        self.ports.clear();
        self.closing.cancel();
        self.gate.close();
        self.edge.web.wind_up(true);
    }

    /// Waits for the last session, so long at most, and then cuts what there is.
    async fn drain(&self, drain: Duration, hurry: impl Future<Output = ()>) {
        let last = async {
            let elder = || self.elder.as_ref().is_some_and(|elder| !elder.is_finished());
            while self.gate.live_count() > 0 || elder() {
                sleep(DRAIN_LOOK).await;
            }
        };
        tokio::select! {
            () = last => {}
            () = sleep(drain) => {}
            () = hurry => {}
        }
        self.gate.cut_all();
        let told = timeout(DRAIN_MAX, async {
            while self.gate.live_count() > 0 {
                sleep(DRAIN_LOOK).await;
            }
        });
        if told.await.is_err() {
            tracing::warn!(sessions = self.gate.live_count(), "Closed with sessions still open");
        }
    }

    async fn finish(self) {
        self.finish_after(|| {}).await;
    }

    /// Ends all that runs, and writes what is to be written.
    async fn finish_after(mut self, last: impl FnOnce()) {
        self.stop.cancel();
        if let Some(elder) = self.elder.take()
            && timeout(DRAIN_MAX * 2, elder).await.is_err()
        {
            tracing::warn!("The old process did not end in time");
        }
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "A part of the gate broke");
            }
        }
        self.deck.close();
        last();
        if let Err(error) = self.opened.sink.end() {
            tracing::error!(%error, "The audit log could not be written to its end");
        }
    }
}

/// Reads what is true now and reviews every session by it; whether it could be read.
async fn review(edge: &Arc<Edge>) -> bool {
    let edge = Arc::clone(edge);
    let read = tokio::task::spawn_blocking(move || edge.web.install()).await;
    let read = read.context("the reading broke").and_then(|read| Ok(read?));
    read.inspect_err(|error| tracing::error!(error = words(error), "The policy can't be read")).is_ok()
}
