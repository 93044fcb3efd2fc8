//! The relay of an open session: commands up, answers down, and an end that both sides can read.

mod decide;
mod down;
mod scribe;
mod up;
mod waiting;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_common::constants::CapabilityFlags as Flags;
use tapgate_relay::Io;
use tapgate_session::{CutReason, EndReason, Live, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::limits::{FAREWELL_MAX, STOP_MAX, TOLD_MAX};
use crate::wire::error::ServerError;
use crate::wire::framed::header;
use decide::Rules;
use scribe::{Scribe, Told};
use waiting::Waiting;

pub(crate) use decide::Standing;
pub(crate) use up::READ_ONLY;

/// Why a relay is over.
#[derive(Debug, Clone)]
enum Over {
    /// The client said goodbye, or is gone.
    Client,
    /// The target closed; `true` where its own last words were passed on.
    Target(bool),
    /// The session was cut.
    Cut(CutReason),
    /// Nothing moved for so long.
    Idle(Duration),
    /// One side spoke nonsense.
    Nonsense(&'static str),
    /// The relay was told to stop.
    Stopped,
}

impl Over {
    /// What the client reads; nothing where it is gone or knows already.
    fn words(&self, target: &str) -> Option<ServerError> {
        match self {
            Self::Client | Self::Stopped | Self::Target(true) => None,
            Self::Target(false) => Some(ServerError::ended(format!("database \"{target}\" closed the connection"))),
            Self::Cut(reason) => Some(ServerError::ended(format!("this session was ended: {reason}"))),
            Self::Idle(limit) => Some(ServerError::idle(format!(
                "this session was ended: nothing was said for {} seconds (connect again)",
                limit.as_secs()
            ))),
            Self::Nonsense(what) => Some(ServerError::out_of_order(format!("this session was ended: {what}"))),
        }
    }
}

impl From<Over> for EndReason {
    fn from(over: Over) -> Self {
        match over {
            Over::Client | Over::Stopped => Self::Client,
            Over::Target(_) => Self::Target,
            Over::Cut(reason) => Self::Cut(reason),
            Over::Idle(_) => Self::Idle,
            Over::Nonsense(what) => Self::Error(what.to_owned()),
        }
    }
}

/// What both directions share.
struct Course<'a> {
    live: &'a Live,
    rules: Rules<'a>,
    waiting: Waiting,
    /// In boxes: a channel sets aside room for many at once, of which an idle session has none.
    told: mpsc::Sender<Box<Told>>,
    /// Set when the relay must come to a packet's end and stop.
    stop: CancellationToken,
    /// Why, where one direction found a reason.
    fault: Mutex<Option<Over>>,
    /// When something moved last.
    moved: Mutex<Instant>,
}

impl Course<'_> {
    fn stir(&self) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_move(&self) -> Instant {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the relay for this reason.
    fn give_up(&self, over: Over) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(over);
        self.stop.cancel();
    }
}

/// The two legs of a session.
pub(crate) struct Legs {
    pub(crate) client: Box<dyn Io>,
    pub(crate) target: TlsStream<Upstream>,
    /// What both agreed on.
    pub(crate) flags: Flags,
}

/// Relays to the session's end, says goodbye, and finishes the session.
pub(crate) async fn run(legs: Legs, live: Live, standing: Standing<'_>) {
    let Legs { client, target, flags } = legs;
    let (mut client_in, mut client_out) = split(client);
    let (mut target_in, mut target_out) = split(target);
    let (told, tellings) = mpsc::channel(TOLD_MAX);
    let mut scribe = Scribe::new(standing.classifier.clone(), live.terms().db.audit_text, tellings);
    let course = Course {
        live: &live,
        rules: Rules::new(&live, standing, flags),
        waiting: Waiting::new(flags.contains(Flags::CLIENT_DEPRECATE_EOF)),
        told,
        stop: CancellationToken::new(),
        fault: Mutex::default(),
        moved: Mutex::new(Instant::now()),
    };
    let mut down = down::Down::new(&course);
    let pumps = Box::pin(async {
        tokio::select! {
            over = up::run(&course, &mut client_in, &mut target_out) => over,
            over = down.run(&mut target_in, &mut client_out) => over,
            never = scribe.write(&live) => never,
        }
    });
    let over = watch(&course, pumps).await;
    let words = over.words(live.target().name.as_str()).zip(down.boundary());
    let unanswered = course.waiting.unanswered();
    farewell(&mut client_in, &mut client_out, words).await;
    // The target is told as well, so that it need not wait for its own timeouts.
    drop(timeout(STOP_MAX, quit(&mut target_out)).await);
    scribe.finish(&live, down.untold(), unanswered).await;
    live.finish(&over.into());
}

/// Runs the directions until one of them, or anything from outside, ends the session.
async fn watch(course: &Course<'_>, mut pumps: impl Future<Output = Over> + Unpin) -> Over {
    let mut cut = course.live.cut();
    let over = tokio::select! {
        biased;
        reason = cut.wanted() => Over::Cut(reason),
        limit = idle(course) => Over::Idle(limit),
        () = course.stop.cancelled() => Over::Stopped,
        over = &mut pumps => over,
    };
    if matches!(over, Over::Cut(_) | Over::Idle(_) | Over::Stopped) {
        course.stop.cancel();
        // What is under way comes to its packet's end, so that the last words can be read.
        drop(timeout(STOP_MAX, pumps).await);
    }
    match over {
        Over::Stopped => {
            let fault = course.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
            fault.unwrap_or(Over::Stopped)
        }
        over => over,
    }
}

/// Waits until nothing has moved for as long as the role allows.
async fn idle(course: &Course<'_>) -> Duration {
    let Some(limit) = course.live.terms().client_idle_timeout else { return std::future::pending().await };
    loop {
        let end = course.last_move() + limit;
        if end <= Instant::now() {
            return limit;
        }
        sleep_until(end).await;
    }
}

/// Says the last words, where a packet may stand, and lets the client read them.
async fn farewell(from: &mut ReadHalf<Box<dyn Io>>, to: &mut WriteHalf<Box<dyn Io>>, words: Option<(ServerError, u8)>) {
    let said = async {
        let Some((error, number)) = words else { return to.shutdown().await };
        let payload = error.encode();
        to.write_all(&[&header(payload.len(), number)[..], &payload].concat()).await?;
        to.flush().await?;
        to.shutdown().await?;
        // A close with something of the client's unread would reset the connection, and the words with it.
        let mut rest = [0; 1024];
        while from.read(&mut rest).await? > 0 {}
        Ok(())
    };
    drop(timeout(FAREWELL_MAX, said).await);
}

async fn quit(target: &mut WriteHalf<TlsStream<Upstream>>) -> std::io::Result<()> {
    target.write_all(&[1, 0, 0, 0, 1]).await?;
    target.shutdown().await
}
