//! An open terminal: bytes both ways under credit, and whatever ends it.
//!
//! A browser's WebSocket has no brake of its own: a page gets whatever comes. So the page says what it has shown, and
//! the gate reads no more from the target than a little ahead of that; and the gate says what the target has taken,
//! and the page sends no more than a little ahead of that. A page that stops stalls its target, and nothing piles up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tapgate_api::{TerminalNews, TerminalWish};
use tapgate_relay::Io;
use tapgate_ssh::{Console, Shell};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::super::App;
use super::socket::{Socket, size};
use super::{Entered, Terminal};
use crate::limits::{
    TERMINAL_AHEAD_MAX, TERMINAL_PING_EVERY, TERMINAL_READ, TERMINAL_REST_MAX, TERMINAL_SILENCE_MAX, TERMINAL_TYPED_MAX,
};

/// How much may be typed ahead, as the page is told it.
pub(super) const TYPED_MAX: u64 = TERMINAL_TYPED_MAX;

/// How long the reason may come after the end itself.
const REASON_MAX: Duration = Duration::from_millis(500);

/// How a terminal has ended.
pub(super) enum Ended {
    /// The page is gone, or stays silent.
    Gone,
    /// The page is told this.
    Told(String),
}

/// What goes to the page.
enum Out {
    Message(Message),
    /// There was all that the target had to say.
    Last,
}

/// What the parts of an open terminal share.
struct Course {
    terminal: Arc<Terminal>,
    /// What the page has shown, in all, and what the target has taken.
    shown: watch::Sender<u64>,
    taken: AtomicU64,
    /// When the page last said anything, and when a person last did something there.
    heard: watch::Sender<Instant>,
    used: watch::Sender<Instant>,
    say: mpsc::Sender<Out>,
}

/// Runs the terminal until anything ends it.
pub(super) async fn run(
    app: &Arc<App>,
    entered: &mut Entered,
    console: &Console,
    (shell, stream): (Shell, impl Io),
    socket: &mut Socket,
) -> Ended {
    let now = Instant::now();
    // Few and small: output waits for its credit before it gets here.
    let (say, said) = mpsc::channel(4);
    let course = Course {
        terminal: Arc::clone(&entered.terminal),
        shown: watch::channel(0).0,
        taken: AtomicU64::new(0),
        heard: watch::channel(now).0,
        used: watch::channel(now).0,
        say,
    };
    let (output, input) = tokio::io::split(stream);
    let (sink, source) = socket.split();
    let (typed, typing) = mpsc::unbounded_channel();
    tokio::select! {
        biased;
        // A lock, an idle terminal: whatever else is under way, and whether the page reads or not.
        why = console.cut() => Ended::Told(why),
        ended = course.watch(app) => ended,
        () = course.listen(source, &shell, typed) => Ended::Gone,
        () = course.type_on(input, typing) => Ended::Told(ending(console, &shell).await),
        () = course.show(output) => Ended::Gone,
        all = write(sink, said, &mut entered.news) => {
            if all { Ended::Told(ending(console, &shell).await) } else { Ended::Gone }
        }
    }
}

/// Why there is no more output: the shell's end, else the session's.
async fn ending(console: &Console, shell: &Shell) -> String {
    // It is told a moment after the last output, or not at all.
    if let Ok(Some(how)) = timeout(REASON_MAX, shell.ended()).await {
        return format!("the shell has ended ({how})");
    }
    let over = timeout(REASON_MAX, console.over()).await;
    over.ok().flatten().unwrap_or_else(|| "the shell has ended".to_owned())
}

impl Course {
    /// Takes what the page says, until it is gone or breaks the rules.
    async fn listen(&self, mut source: SplitStream<&mut Socket>, shell: &Shell, typed: mpsc::UnboundedSender<Bytes>) {
        let mut received: u64 = 0;
        while let Some(Ok(message)) = source.next().await {
            let now = Instant::now();
            self.heard.send_replace(now);
            match message {
                Message::Binary(bytes) => {
                    self.used.send_replace(now);
                    received = received.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                    // Whoever waits for its credit is never that far ahead.
                    let ahead = received.saturating_sub(self.taken.load(Ordering::SeqCst));
                    if ahead > TYPED_MAX || typed.send(bytes).is_err() {
                        return;
                    }
                }
                Message::Text(text) => match serde_json::from_str(text.as_str()) {
                    Ok(TerminalWish::Size { cols, rows }) => shell.resize(size(cols, rows)),
                    Ok(TerminalWish::Shown { bytes }) => {
                        self.shown.send_modify(|shown| *shown = shown.saturating_add(bytes));
                    }
                    Ok(TerminalWish::Open { .. }) | Err(_) => return,
                },
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => return,
            }
        }
    }

    /// Passes on what is typed, as the target takes it.
    async fn type_on(&self, mut input: WriteHalf<impl Io>, mut typing: mpsc::UnboundedReceiver<Bytes>) {
        while let Some(bytes) = typing.recv().await {
            if input.write_all(&bytes).await.is_err() {
                return;
            }
            let bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.taken.fetch_add(bytes, Ordering::SeqCst);
            self.tell(&TerminalNews::Took { bytes }).await;
        }
        // The page is gone, which ends it elsewhere.
        std::future::pending::<()>().await;
    }

    /// Passes on what the target puts out, as far ahead of what is shown as it may be.
    async fn show(&self, mut output: ReadHalf<impl Io>) {
        let (mut sent, mut shown) = (0, self.shown.subscribe());
        let mut buffer = BytesMut::new();
        loop {
            if shown.wait_for(|shown| sent < shown.saturating_add(TERMINAL_AHEAD_MAX)).await.is_err() {
                return;
            }
            buffer.reserve(TERMINAL_READ);
            match output.read_buf(&mut (&mut buffer).limit(TERMINAL_READ)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
            let part = buffer.split().freeze();
            sent += u64::try_from(part.len()).unwrap_or(u64::MAX);
            if self.say.send(Out::Message(Message::Binary(part))).await.is_err() {
                return;
            }
        }
        // What is on its way goes out first.
        drop(self.say.send(Out::Last).await);
        std::future::pending::<()>().await;
    }

    async fn tell(&self, news: &TerminalNews) {
        if let Ok(text) = serde_json::to_string(news) {
            // Where nobody writes any more, the terminal is over.
            drop(self.say.send(Out::Message(Message::text(text))).await);
        }
    }

    /// Asks now and then whether the page is there, and whether who opened it is still signed in.
    async fn watch(&self, app: &Arc<App>) -> Ended {
        let mut tick = interval(TERMINAL_PING_EVERY);
        let mut checked = Instant::now();
        loop {
            tick.tick().await;
            if self.heard.borrow().elapsed() > TERMINAL_SILENCE_MAX {
                return Ended::Gone;
            }
            // A page that does not read will not hear it, and is silent.
            drop(self.say.try_send(Out::Message(Message::Ping(Bytes::new()))));
            let used = *self.used.borrow();
            // Looking at the web session keeps it alive: an idle terminal must not.
            if used < checked && used.elapsed() < TERMINAL_REST_MAX {
                continue;
            }
            checked = Instant::now();
            let (app, terminal) = (Arc::clone(app), Arc::clone(&self.terminal));
            let looked = tokio::task::spawn_blocking(move || {
                let (session, peer) = (&terminal.session, terminal.peer.ip());
                app.authority.web_session_of(session.user(), &session.number(), peer).map(drop)
            });
            match looked.await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) if fault.status < 500 => {
                    return Ended::Told(format!("this session was ended: {}", fault.error.message));
                }
                Ok(Err(_)) | Err(_) => {
                    return Ended::Told("the gate can't tell who you are now (try again)".to_owned());
                }
            }
        }
    }
}

/// Writes what there is for the page; answers whether that was all there will be, else the page is gone.
async fn write(
    mut sink: SplitSink<&mut Socket, Message>,
    mut said: mpsc::Receiver<Out>,
    news: &mut mpsc::Receiver<TerminalNews>,
) -> bool {
    loop {
        let message = tokio::select! {
            biased;
            Some(news) = news.recv() => match serde_json::to_string(&news) {
                Ok(text) => Message::text(text),
                Err(_) => continue,
            },
            out = said.recv() => match out {
                Some(Out::Message(message)) => message,
                Some(Out::Last) | None => return true,
            },
        };
        if sink.send(message).await.is_err() {
            return false;
        }
    }
}
