//! An open session: both directions, the cancel requests and the log beside them, and how it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use tapgate_relay::Io;
use tapgate_session::{CutReason, EndReason, Live};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::judge::Judge;
use crate::keys::{Order, Registered};
use crate::limits::{CANCELS_MAX, FAREWELL_MAX, JUDGED_MAX, TOLD_END_MAX, TOLD_WAITING_MAX, WHOLE_MAX};
use crate::relay::{self, End, Eye, Step};
use crate::said::{Said, Told};
use crate::target::{Canceller, Target, TargetStream};
use crate::watch::Watch;
use crate::wire::{self, Broken, Frame, Severity, text};

/// A session whose two legs are ready.
pub(crate) struct Session {
    pub(crate) client: Box<dyn Io>,
    pub(crate) target: Target,
    pub(crate) live: Live,
    pub(crate) key: Registered,
    pub(crate) judge: Judge,
    /// Whether the client has read `AuthenticationOk` already, before it was asked for its tap.
    pub(crate) greeted: bool,
}

/// Why a session is over.
enum Over {
    Client,
    Target(Option<std::io::Error>),
    Cut(CutReason),
    Idle(Duration),
    Broken(&'static str, Broken),
}

impl Over {
    /// What the client reads, with its SQLSTATE; nothing where it has left.
    fn message(&self, target: &str) -> Option<(&'static str, String)> {
        Some(match self {
            Self::Client => return None,
            Self::Target(None) => ("08006", format!("the database \"{target}\" closed the connection")),
            Self::Target(Some(error)) => {
                ("08006", format!("the connection to the database \"{target}\" broke: {error} (connect again)"))
            }
            Self::Cut(reason) => ("57P01", format!("this session was ended: {reason}")),
            Self::Idle(limit) => {
                ("57P05", format!("this session was ended: nothing was said for {} seconds", limit.as_secs()))
            }
            Self::Broken(who, why) => ("08P01", format!("this session was ended: the {who} sent {why}")),
        })
    }
}

impl From<Over> for EndReason {
    fn from(over: Over) -> Self {
        match over {
            Over::Client => Self::Client,
            Over::Target(None) => Self::Target,
            Over::Target(Some(error)) => Self::Error(format!("the target's connection broke: {error}")),
            Over::Cut(reason) => Self::Cut(reason),
            Over::Idle(_) => Self::Idle,
            Over::Broken(who, why) => Self::Error(format!("the {who} sent {why}")),
        }
    }
}

/// What both directions share.
struct Shared<'a> {
    watch: Mutex<Watch>,
    judge: &'a Judge,
    live: &'a Live,
    /// In boxes: a channel sets aside room for many at once, of which an idle session has none.
    told: mpsc::Sender<Box<Told>>,
    /// When something was said last, by either side.
    active: Mutex<Instant>,
    /// Whether the client has a part of a frame only.
    within: AtomicBool,
}

impl Shared<'_> {
    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stir(&self) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Tells the log what is over, as far as it keeps up.
    fn tell(&self, watch: &mut Watch) {
        for told in watch.over() {
            if !self.live.has_room() {
                self.live.did_with(|| self.judge.deed(&told, None));
            } else if let Err(full) = self.told.try_send(Box::new(told)) {
                let told = full.into_inner();
                self.live.did_with(|| self.judge.deed(&told, None));
            }
        }
    }

    /// Tells the log what has got no answer; answers whether the client has taken its leave, and whether the target
    /// has told it why it ends.
    fn finish(&self) -> (bool, bool) {
        let mut watch = self.watch();
        watch.finish();
        self.tell(&mut watch);
        (watch.has_left(), watch.was_dismissed())
    }

    /// Waits until the client has said nothing for as long as the role allows, while nothing was under way.
    async fn idleness(&self, limit: Option<Duration>) -> Duration {
        let Some(limit) = limit else { return std::future::pending().await };
        loop {
            let active = *self.active.lock().unwrap_or_else(PoisonError::into_inner);
            let end = if self.watch().rests() { active + limit } else { Instant::now() + limit };
            if end <= Instant::now() {
                return limit;
            }
            sleep_until(end).await;
        }
    }
}

/// Looks at what the client says.
struct Upward<'a>(&'a Shared<'a>);

impl Eye for Upward<'_> {
    fn wants(&self, kind: u8) -> Option<usize> {
        let judged = matches!(kind, b'Q' | b'P' | b'F') && self.0.judge.judges();
        Watch::wants_of_client(kind).then_some(if judged { JUDGED_MAX } else { WHOLE_MAX })
    }

    async fn look(&mut self, frame: Frame<'_>) -> Result<Step, Broken> {
        let shared = self.0;
        let said = match frame.kind {
            b'Q' => Some(frame.body),
            b'P' => Some(text(frame.body).1),
            _ => None,
        };
        let said = said.map(|body| text(body).0).map(|said| (said, Arc::new(Said::new(said, frame.whole))));
        let refused = match (frame.kind, &said) {
            (b'Q' | b'P', Some((whole, _))) => shared.judge.judge(Some(whole).filter(|_| frame.whole).copied()).await,
            (b'F', _) => shared.judge.judge(None).await,
            _ => None,
        };
        let step = match &refused {
            Some(_) => Step::Replace(shared.judge.stand_in(&frame)),
            None => Step::Pass,
        };
        shared.watch().client(&frame, said.map(|(_, said)| said), refused)?;
        Ok(step)
    }

    fn moved(&mut self) {
        self.0.stir();
        self.0.watch().stir();
    }
}

/// Looks at what the target says.
struct Downward<'a>(&'a Shared<'a>);

impl Eye for Downward<'_> {
    fn wants(&self, kind: u8) -> Option<usize> {
        let wants = Watch::wants_of_target(kind) || (kind == b'S' && self.0.judge.judges());
        wants.then_some(WHOLE_MAX)
    }

    async fn look(&mut self, frame: Frame<'_>) -> Result<Step, Broken> {
        let shared = self.0;
        if frame.kind == b'S' {
            let (name, value) = crate::login::setting(frame.body);
            shared.judge.setting(name, value);
            return Ok(Step::Pass);
        }
        let mut watch = shared.watch();
        let words = watch.target(&frame, |body| shared.judge.is_answer(body));
        shared.tell(&mut watch);
        Ok(words.map_or(Step::Pass, |words| Step::Replace(wire::error(Severity::Error, "42501", &words))))
    }

    fn moved(&mut self) {
        self.0.stir();
    }
}

impl Session {
    /// Runs the session to its end.
    pub(crate) async fn run(self) {
        let Self { mut client, target, live, mut key, judge, greeted } = self;
        let Target { stream, greeting, settings, canceller } = target;
        for (name, value) in &settings {
            judge.setting(name, value);
        }
        // AuthenticationOk, what the target said, the gate's own key, and that the session waits for statements.
        let own_key = canceller.key.as_ref().map(|_| key.key().message()).unwrap_or_default();
        let first = if greeted { Vec::new() } else { wire::frame(b'R', &[0; 4]) };
        let welcome = [&first, &greeting, &own_key, &wire::frame(b'Z', b"I")].map(Vec::as_slice).concat();
        if let Err(error) = async { client.write_all(&welcome).await.and(client.flush().await) }.await {
            tracing::debug!(%error, "A PostgreSQL client was gone before its session began");
            return live.finish(&EndReason::Client);
        }
        let over = relay(&mut client, stream, &live, &mut key, &canceller, &judge).await;
        drop(key);
        live.finish(&over.into());
    }
}

/// Passes everything on until one of the ends comes; says it to the client.
async fn relay(
    client: &mut Box<dyn Io>,
    mut target: TargetStream,
    live: &Live,
    key: &mut Registered,
    canceller: &Canceller,
    judge: &Judge,
) -> Over {
    let (told, telling) = mpsc::channel(TOLD_WAITING_MAX);
    let mut scribe = Scribe { telling, current: None };
    let shared = Shared {
        watch: Mutex::default(),
        judge,
        live,
        told,
        active: Mutex::new(Instant::now()),
        within: AtomicBool::new(false),
    };
    let over = {
        let (mut from_client, mut to_client) = tokio::io::split(&mut *client);
        let (mut from_target, mut to_target) = tokio::io::split(&mut target);
        let (upward, unused) = (&mut Upward(&shared), AtomicBool::new(false));
        let up = relay::pass(&mut from_client, &mut to_target, upward, &unused);
        let downward = &mut Downward(&shared);
        let down = relay::pass(&mut from_target, &mut to_client, downward, &shared.within);
        let mut cut = live.cut();
        tokio::select! {
            biased;
            reason = cut.wanted() => Over::Cut(reason),
            end = down => of_target(end),
            end = up => of_client(end),
            limit = shared.idleness(live.terms().client_idle_timeout) => Over::Idle(limit),
            () = cancels(&mut key.orders, canceller, live) => unreachable_end(),
            () = scribe.write(judge, live) => unreachable_end(),
        }
    };
    let (left, dismissed) = shared.finish();
    let over = if left && matches!(over, Over::Target(_)) { Over::Client } else { over };
    let words = over.message(live.target().name.as_str()).filter(|_| !dismissed);
    let words = words.filter(|_| !shared.within.load(Ordering::Relaxed));
    let farewell = timeout(FAREWELL_MAX, goodbye(client, words));
    // Nothing more is told: what waits for the log is written to its end.
    drop(shared);
    let written = async {
        let _ = timeout(TOLD_END_MAX, scribe.write(judge, live)).await;
        scribe.rest(judge, live);
    };
    // How the target's side closes is of no interest any more.
    let (_, _, ()) = tokio::join!(farewell, timeout(FAREWELL_MAX, target.shutdown()), written);
    over
}

/// Both channels outlive the relay, which alone ends the session.
fn unreachable_end() -> Over {
    Over::Target(Some(std::io::Error::other("the session's bookkeeping ended")))
}

fn of_target(end: End) -> Over {
    match end {
        End::Closed => Over::Target(None),
        End::From(error) if is_abrupt(&error) => Over::Target(None),
        End::From(error) => Over::Target(Some(error)),
        End::To(_) => Over::Client,
        End::Broken(why) => Over::Broken("database", why),
    }
}

fn of_client(end: End) -> Over {
    match end {
        End::Closed | End::From(_) => Over::Client,
        End::To(error) if is_abrupt(&error) => Over::Target(None),
        End::To(error) => Over::Target(Some(error)),
        End::Broken(why) => Over::Broken("client", why),
    }
}

/// PostgreSQL, and libpq too, close without a farewell of TLS.
fn is_abrupt(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// The client's last words, and a moment in which what it still sends does not cut them off.
async fn goodbye(client: &mut Box<dyn Io>, words: Option<(&'static str, String)>) -> std::io::Result<()> {
    if let Some((code, message)) = words {
        client.write_all(&wire::error(Severity::Fatal, code, &message)).await?;
        client.flush().await?;
    }
    client.shutdown().await?;
    let mut rest = [0; 1024];
    while client.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Passes cancel requests on.
async fn cancels(orders: &mut mpsc::Receiver<Order>, canceller: &Canceller, live: &Live) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(order) = orders.recv(), if under_way.len() < CANCELS_MAX => under_way.push(Box::pin(async move {
                if let Err(error) = canceller.cancel(live).await {
                    tracing::info!(target = %live.target().name, %error, "Could not pass a cancel request on");
                }
                // Whoever asked may be gone already.
                let _ = order.send(());
            })),
            Some(()) = under_way.next() => {}
            else => std::future::pending().await,
        }
    }
}

/// Tells the log what was said, with what it does: that is found out here, where no statement waits for it.
struct Scribe {
    telling: mpsc::Receiver<Box<Told>>,
    /// What is being found out about.
    current: Option<Box<Told>>,
}

impl Scribe {
    /// Writes until nothing more can come. It may be dropped at any point and called again.
    async fn write(&mut self, judge: &Judge, live: &Live) {
        loop {
            if self.current.is_none() {
                self.current = self.telling.recv().await;
            }
            let Some(told) = &self.current else { return };
            let class = judge.class_of(told).await;
            live.did_with(|| judge.deed(told, class));
            self.current = None;
        }
    }

    /// Writes what is left without finding anything out.
    fn rest(&mut self, judge: &Judge, live: &Live) {
        while let Some(told) = self.current.take().or_else(|| self.telling.try_recv().ok()) {
            live.did_with(|| judge.deed(&told, judge.known(&told)));
        }
    }
}
