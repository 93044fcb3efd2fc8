//! Dialling: the one place that spends a grant and connects to a target.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tapgate_model::TargetRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tracing::Instrument as _;

use crate::grant::Spend;
use crate::limits::DIAL_MAX;
use crate::live::{CutWatch, Entry};
use crate::report;
use crate::resolve;
use crate::snapshot::Record;
use crate::{About, Denial, EndReason, Gate, Grant, Live};

/// Why a granted session did not reach its target, in words for the user.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The tap was good for one session, and that was opened before.
    #[error("the tap was good for one session and is spent (tap again)")]
    Spent,
    /// An SSH key has counted backwards.
    #[error("your SSH key counted backwards, so there may be a copy of it (remove it with `tap ssh-key rm`)")]
    Copied,
    /// The store could not say whether the tap is spent, so it counts as spent.
    #[error("the gate can't check the tap now (try again later)")]
    Unsure,
    /// What was granted is no longer allowed.
    #[error("{}", .0.message())]
    Denied(Denial),
    /// The audit log can't be written, and nothing shall happen that it does not tell.
    #[error("the gate cannot record this session, and so does not open it (tell your administrator: is a disk full?)")]
    Unrecorded,
    /// Too many sessions.
    #[error("the gate has no room for another session (try again later)")]
    Full,
    /// The target does not answer.
    #[error("{} \"{}\" cannot be reached: {why} (is it up?)", .target.kind.title(), .target.name)]
    Unreachable {
        /// The target.
        target: TargetRef,
        /// What the attempt ran into.
        why: String,
    },
}

impl DialError {
    /// The true reason, for the log.
    pub fn reason(&self) -> String {
        match self {
            Self::Denied(denial) => denial.reason().to_string(),
            other => other.to_string(),
        }
    }
}

impl Grant {
    /// Spends the grant: the session becomes live, is looked at once more, and only then the
    /// target is connected to. A lock that lands in between cuts it here.
    pub async fn dial(self) -> Result<(Upstream, Live), DialError> {
        self.dial_at(None).await
    }

    /// The same, to one port of an application that lists several.
    pub async fn dial_at(self, port: Option<u16>) -> Result<(Upstream, Live), DialError> {
        let span = tracing::debug_span!("dial", target = %self.target().name);
        self.spend_and_connect(port).instrument(span).await
    }

    async fn spend_and_connect(self, port: Option<u16>) -> Result<(Upstream, Live), DialError> {
        let gate = self.gate.clone();
        if !gate.sink().takes_sessions() {
            return Err(self.refused(DialError::Unrecorded));
        }
        if let Some(spend) = self.spend
            && let Err(error) = pay(&gate, spend).await
        {
            return Err(self.refused(error));
        }
        let entry = Arc::new(Entry::of(self));
        let Some(live) = gate.live().enter(&gate, &entry) else {
            let error = DialError::Full;
            report::failed(gate.sink(), &entry, &error.reason(), &error.to_string());
            return Err(error);
        };
        let connected = match live.may_begin().map_err(DialError::Denied).and_then(|()| live.begin_tape()) {
            Err(error) => Err(error),
            Ok(()) => connect(&gate, &entry.record, live.cut(), port, Arc::default()).await,
        };
        match connected {
            Ok(upstream) => {
                live.begun(upstream.counts());
                Ok((upstream, live))
            }
            Err(error) => {
                report::failed(gate.sink(), &entry, &error.reason(), &error.to_string());
                live.finish(&EndReason::Error(error.to_string()));
                Err(error)
            }
        }
    }

    fn refused(self, error: DialError) -> DialError {
        let gate = self.gate.clone();
        report::failed(gate.sink(), &Arc::new(Entry::of(self)), &error.reason(), &error.to_string());
        error
    }
}

impl Live {
    /// Connects to the session's own target once more: for protocols whose one session has many
    /// connections there. The session must still be allowed; what it moves counts as the session's.
    pub async fn connect(&self) -> Result<Upstream, DialError> {
        self.connect_at(None).await
    }

    /// The same, to another port of an application that lists it.
    pub async fn connect_at(&self, port: Option<u16>) -> Result<Upstream, DialError> {
        self.still_allowed().map_err(DialError::Denied)?;
        connect(&self.gate, self.record(), self.cut(), port, self.counts()).await
    }
}

/// Spends what is good for one session.
async fn pay(gate: &Gate, spend: Spend) -> Result<(), DialError> {
    let unsure = |error| {
        tracing::error!(%error, "Could not spend a one-time tap");
        DialError::Unsure
    };
    if !gate.spender().spend(spend.proof, spend.until).await.map_err(unsure)? {
        return Err(DialError::Spent);
    }
    match spend.count {
        Some((key, to)) if !gate.spender().count(key, to).await.map_err(unsure)? => Err(DialError::Copied),
        _ => Ok(()),
    }
}

async fn connect(
    gate: &Gate,
    record: &Arc<Record>,
    mut cut: CutWatch,
    port: Option<u16>,
    counts: Arc<Counts>,
) -> Result<Upstream, DialError> {
    // Where nodes lie on the way, the first of them is what is connected to, and what the words are about.
    let first = record.about.hops().first().map_or(&record.target, |hop| &hop.node);
    let unreachable = |why: String| DialError::Unreachable { target: first.clone(), why };
    let address = match port {
        None => Some(record.address.clone()),
        Some(port) => record.about.app().and_then(|app| app.at_port(port)),
    };
    let Some(address) = address else { return Err(unreachable("it has no such port".to_owned())) };
    let stream = tokio::select! {
        reason = cut.wanted() => return Err(DialError::Denied(Denial::session(reason.to_string()))),
        connected = tokio::time::timeout(DIAL_MAX, reach(record, &address)) => connected,
    };
    let late = || Err(format!("no answer within {} seconds", DIAL_MAX.as_secs()));
    let stream = stream.unwrap_or_else(|_| late());
    if record.about.app().is_some() {
        gate.known().note(&record.target, gate.clock().now(), stream.as_ref().map(drop).map_err(String::as_str));
    }
    let stream = stream.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(|e| unreachable(e.to_string()))?;
    Ok(Upstream { stream, record: Arc::clone(record), counts })
}

/// A connection to one of a target's addresses; why there is none is told without them.
#[expect(clippy::disallowed_methods, reason = "this is the one place that connects to a target")]
pub(crate) async fn reach(record: &Record, address: &str) -> Result<TcpStream, String> {
    let stream = match record.about.app() {
        // The address that was looked at is the one that is connected to: a name can't turn in between.
        Some(app) if !app.allow_local_addresses => TcpStream::connect(&*resolve::allowed(address).await?).await,
        _ => TcpStream::connect(address).await,
    };
    stream.map_err(|error| in_words(&error))
}

/// The failure without the address, which is not the client's to know.
pub(crate) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to it".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        kind => kind.to_string(),
    }
}

/// A connection to a target. It exists only beside the [`Live`] session that it belongs to, and
/// counts the bytes that pass.
pub struct Upstream {
    stream: TcpStream,
    record: Arc<Record>,
    counts: Arc<Counts>,
}

/// Bytes to the target and from it, encryption included.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
}

impl Upstream {
    /// What the protocol must know of the target.
    pub fn about(&self) -> &About {
        &self.record.about
    }

    /// The target.
    pub fn target(&self) -> &TargetRef {
        &self.record.target
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// The socket itself, for an engine that keeps its own connections, and where it reports what passes. Whoever
    /// takes it uses it for this session alone, and no longer than that lives.
    pub fn hand_over(self) -> (TcpStream, Meter) {
        (self.stream, Meter(self.counts))
    }
}

/// Where an engine that reads and writes the socket itself reports what has passed.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Counts>);

impl Meter {
    /// So many bytes more went to the target, and came from it.
    pub fn moved(&self, up: usize, down: usize) {
        add(&self.0.up, up);
        add(&self.0.down, down);
    }
}

fn add(count: &AtomicU64, bytes: usize) {
    count.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl AsyncRead for Upstream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        add(&self.counts.down, buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Upstream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            add(&self.counts.up, *written);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
