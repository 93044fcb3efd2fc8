//! Carries a session's bytes both ways until one side ends, the session is cut, or nobody does anything for too long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tapgate_session::{EndReason, Live};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::{Instant, Timeout, sleep_until, timeout};

use crate::limits::{COPY_BUFFER, WRITE_MAX};

/// What becomes of bytes that one side said.
pub struct Passed<'a> {
    /// What goes on to the other side.
    pub bytes: &'a [u8],
    /// Whether somebody did something: pressed a key, moved the pointer.
    pub stirs: bool,
}

/// Looks at what one side says.
pub trait Eye {
    /// Looks at the next bytes. The error, in words, ends the session before they are passed on.
    fn pass<'a>(&'a mut self, said: &'a [u8]) -> Result<Passed<'a>, &'static str>;
}

/// Passes everything as it is.
pub struct Blind {
    /// Whether what passes counts as somebody's doing.
    pub stirs: bool,
}

impl Eye for Blind {
    fn pass<'a>(&'a mut self, said: &'a [u8]) -> Result<Passed<'a>, &'static str> {
        Ok(Passed { bytes: said, stirs: self.stirs })
    }
}

/// How long a session may do nothing.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long nobody may do anything, where the role does not say less.
    pub idle_max: Duration,
    /// How long the last bytes may take once one side has ended.
    pub linger_max: Duration,
}

/// How one way ended.
enum Ended {
    /// Its side closed.
    Closed,
    /// Its side said what may not pass.
    Barred(&'static str),
    /// It broke.
    Broken(String),
}

/// Carries bytes until the session is over; `up` looks at the client's, `down` at the target's.
pub async fn carry(
    client: impl AsyncRead + AsyncWrite + Unpin,
    target: impl AsyncRead + AsyncWrite + Unpin,
    live: &Live,
    pace: Pace,
    (up, down): (impl Eye, impl Eye),
) -> EndReason {
    let idle = live.terms().client_idle_timeout.unwrap_or(pace.idle_max).min(pace.idle_max);
    let mut cut = live.cut();
    let stirred = Stirred::new();
    let (from_client, to_client) = split(client);
    let (from_target, to_target) = split(target);
    let mut upward = Box::pin(copy(from_client, to_target, up, &stirred));
    let mut downward = Box::pin(copy(from_target, to_client, down, &stirred));
    // No loop: what waits on a clock is made once, and not with every byte that passes.
    tokio::select! {
        reason = cut.wanted() => EndReason::Cut(reason),
        ended = &mut upward => over(ended, EndReason::Client, timeout(pace.linger_max, &mut downward)).await,
        ended = &mut downward => over(ended, EndReason::Target, timeout(pace.linger_max, &mut upward)).await,
        () = stirred.rests(idle) => EndReason::Idle,
    }
}

/// When somebody last did something, in milliseconds since the session began.
struct Stirred {
    begun: Instant,
    last: AtomicU64,
}

impl Stirred {
    fn new() -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0) }
    }

    fn now(&self) {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(since, Ordering::Relaxed);
    }

    /// Waits until nobody has done anything for so long.
    async fn rests(&self, idle: Duration) {
        loop {
            let due = self.begun + Duration::from_millis(self.last.load(Ordering::Relaxed)) + idle;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// What the end of one way makes of the session. Where its side closed, the other may still have something to say.
async fn over(ended: Ended, closed: EndReason, other: Timeout<impl Future<Output = Ended>>) -> EndReason {
    match ended {
        Ended::Closed => match other.await {
            Ok(Ended::Barred(why)) => EndReason::Error(why.to_owned()),
            _ => closed,
        },
        Ended::Barred(why) => EndReason::Error(why.to_owned()),
        Ended::Broken(why) => EndReason::Error(why),
    }
}

/// One way, to its end.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut eye: impl Eye,
    stirred: &Stirred,
) -> Ended {
    let mut buffer = vec![0; COPY_BUFFER];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => read,
            // Many hang up without a word within TLS.
            Err(error) if is_hang_up(error.kind()) => break,
            Err(error) => return Ended::Broken(error.kind().to_string()),
        };
        let passed = match eye.pass(buffer.get(..read).unwrap_or_default()) {
            Ok(passed) => passed,
            Err(why) => return Ended::Barred(why),
        };
        if passed.stirs {
            stirred.now();
        }
        match timeout(WRITE_MAX, write(&mut to, passed.bytes)).await {
            Ok(Ok(())) => {}
            // The other side has gone, which its own way says.
            Ok(Err(error)) if is_hang_up(error.kind()) => return Ended::Closed,
            Ok(Err(error)) => return Ended::Broken(error.kind().to_string()),
            Err(_) => return Ended::Broken("the other side does not read".to_owned()),
        }
    }
    // Best effort: the other side may have gone first.
    drop(timeout(Duration::from_secs(1), to.shutdown()).await);
    Ended::Closed
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    to.write_all(bytes).await?;
    to.flush().await
}

const fn is_hang_up(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, UnexpectedEof | ConnectionReset | BrokenPipe | ConnectionAborted)
}
