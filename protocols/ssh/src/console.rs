//! A session at a node for somebody who has no SSH client: a page's terminal, and its files.
//!
//! It is asked for, granted, dialled, relayed, recorded and cut as every other client's is; only the client's end is a
//! [`Seat`] instead of a connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tapgate_identity::Identity;
use tapgate_model::{Kind, Login, LoginName, TargetName};
use tapgate_relay::Io;
use tapgate_session::{Ask, ConnectionFacts};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::limits::FLUSH_MAX;
use crate::link::{Link, Voice};
use crate::pipe::Pipe;
use crate::seat::{Channel, Seat};
use crate::serve::{ClientEnd, Course, Ssh, reach};
use crate::write::put_string;

/// What the terminal in a page calls itself.
const TERMINAL: &str = "xterm-256color";

/// Who wants to go where, without a client.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Who.
    pub identity: Arc<Identity>,
    /// Where to.
    pub target: TargetName,
    /// As whom.
    pub login: LoginName,
    /// Over which connection.
    pub facts: ConnectionFacts,
}

/// What became of a visit.
pub enum Visited {
    /// The session is open.
    Open(Console),
    /// A tap is due first.
    Tap,
    /// No, in words for the user.
    Refused(String),
}

/// An open session. It ends when this is dropped.
pub struct Console {
    seat: Arc<Seat>,
    over: watch::Receiver<Option<Farewell>>,
    _leave: DropGuard,
}

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
}

/// A shell in a terminal, beside the stream of its bytes.
pub struct Shell {
    seat: Arc<Seat>,
    own: u32,
    ending: watch::Receiver<Option<String>>,
}

/// A page's end of a session.
pub(crate) struct PageEnd {
    left: CancellationToken,
    over: watch::Sender<Option<Farewell>>,
}

/// Why a session is over.
#[derive(Clone)]
struct Farewell {
    message: String,
    /// It was cut: what is on its way is of no account any more.
    cut: bool,
}

impl PageEnd {
    /// Waits until the page is gone.
    pub(crate) async fn gone(&self) {
        self.left.cancelled().await;
    }

    /// Says why it is over.
    pub(crate) fn farewell(&self, message: &str, patience: Duration) {
        let message = message.strip_prefix("ERROR: ").unwrap_or(message).to_owned();
        self.over.send_replace(Some(Farewell { message, cut: patience < FLUSH_MAX }));
    }
}

impl Ssh {
    /// Opens a session for a visitor, where no tap is due or one was brought.
    pub async fn visit(&self, visit: &Visit) -> Visited {
        let login = Login::Unix(visit.login.clone());
        let ask = Ask {
            identity: &visit.identity,
            kind: Kind::Node,
            target: &visit.target,
            login: &login,
            connection: &visit.facts,
        };
        let grant = match self.gate().open_on_page(&ask) {
            Ok(Some(grant)) => grant,
            Ok(None) => return Visited::Tap,
            Err(refusal) => {
                tracing::info!(peer = %visit.facts.peer, user = %visit.identity.user(), target = %visit.target,
                    reason = refusal.reason(), "Refused a session");
                return Visited::Refused(refusal.message().to_owned());
            }
        };
        let (link, faults) = Link::new();
        let (target, live) = match reach(self, grant, &visit.target, &link).await {
            Ok(reached) => reached,
            Err(message) => return Visited::Refused(message),
        };
        let (seat, inbox) = Seat::take(Arc::clone(&link));
        let (left, (told, over)) = (CancellationToken::new(), watch::channel(None));
        let leave = left.clone().drop_guard();
        let client = ClientEnd::Page(PageEnd { left, over: told });
        tokio::spawn(Course { client, target, link, faults }.run(Voice::Seat(inbox), live));
        Visited::Open(Console { seat, over, _leave: leave })
    }
}

impl Console {
    /// A shell in a terminal of this size, and the stream of its bytes.
    pub async fn shell(&self, size: TerminalSize) -> Result<(Shell, Box<dyn Io>), String> {
        let Channel { stream, own, ending } = self.seat.channel().await?;
        let mut pty = BytesMut::new();
        put_string(&mut pty, TERMINAL);
        size.put(&mut pty);
        // No modes but those that the target has by itself.
        put_string(&mut pty, "\0");
        if !self.seat.ask(own, "pty-req", &pty).await? {
            return Err("the target gives no terminal".to_owned());
        }
        if !self.seat.ask(own, "shell", &[]).await? {
            return Err("the target gives no shell".to_owned());
        }
        Ok((Shell { seat: Arc::clone(&self.seat), own, ending }, Box::new(stream)))
    }

    /// A channel to the target's file server.
    pub(crate) async fn subsystem(&self, name: &str) -> Result<Pipe, String> {
        let Channel { stream, own, .. } = self.seat.channel().await?;
        let mut body = BytesMut::new();
        put_string(&mut body, name);
        if self.seat.ask(own, "subsystem", &body).await? {
            Ok(stream)
        } else {
            Err("files can't be copied here (your role may not allow it, or the target has no SFTP)".to_owned())
        }
    }

    /// Waits until the session is over, and says why; nothing where the page has left it.
    pub async fn over(&self) -> Option<String> {
        let mut over = self.over.clone();
        over.wait_for(Option::is_some).await.ok().and_then(|said| said.clone()).map(|said| said.message)
    }

    /// Waits until the session is cut, and says why.
    pub async fn cut(&self) -> String {
        let mut over = self.over.clone();
        let cut = |said: &Option<Farewell>| said.as_ref().is_some_and(|said| said.cut);
        let said = over.wait_for(cut).await.ok().and_then(|said| said.clone());
        match said {
            Some(said) => said.message,
            None => std::future::pending().await,
        }
    }

    /// Whether the session is still open.
    pub fn is_open(&self) -> bool {
        self.over.has_changed().is_ok() && self.over.borrow().is_none()
    }
}

impl Shell {
    /// The terminal has another size now.
    pub fn resize(&self, size: TerminalSize) {
        let mut body = BytesMut::new();
        size.put(&mut body);
        self.seat.tell(self.own, "window-change", &body);
    }

    /// Waits until the target says how the shell has ended; nothing where it closes the channel without a word.
    pub async fn ended(&self) -> Option<String> {
        let mut ending = self.ending.clone();
        ending.wait_for(Option::is_some).await.ok().and_then(|how| how.clone())
    }
}

impl TerminalSize {
    fn put(self, body: &mut BytesMut) {
        for number in [self.cols, self.rows, 0, 0] {
            body.put_u32(number);
        }
    }
}
