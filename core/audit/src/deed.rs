//! What somebody did within a session, as far as the gate understands its protocol.

use crate::{DeedFacts, Event, StatementText, Text};

/// One thing that was done in a session. It was asked of the target, which may have refused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A command; `None` for a shell.
    Command(Option<Text>),
    /// A subsystem, by its name.
    Subsystem(Text),
    /// A file operation.
    Sftp {
        /// The operation's word.
        operation: &'static str,
        /// The path.
        path: Text,
        /// The second path, where there is one.
        to: Option<Text>,
    },
    /// A forwarded connection that is over, or a listener that was asked for.
    Forward {
        /// Which way.
        way: Way,
        /// What the target connected to or listened at.
        destination: Text,
        /// Where the connection came from.
        origin: Text,
        /// Bytes from the client to the target.
        bytes_up: u64,
        /// Bytes from the target to the client.
        bytes_down: u64,
    },
    /// A text of statements that was said to a database.
    Statement(Statement),
    /// A request to an application, which is answered.
    Request {
        /// Its method.
        method: Text,
        /// Its path, without the query, which may hold secrets.
        path: Text,
        /// The status of the answer; none where there was no answer.
        status: Option<u16>,
        /// The connection that it came on, by its number in the operator's log.
        connection: Option<Text>,
    },
    /// A desktop was entered.
    Desktop {
        /// How its side is secured.
        security: &'static str,
        /// The picture's width and height, where the gate sees them.
        screen: Option<(u16, u16)>,
        /// The channels that the client asked for and has.
        channels: Vec<Text>,
        /// Those that it asked for and does not have.
        denied: Vec<Text>,
    },
    /// A request to a Kubernetes API server that was answered.
    Kube {
        /// What was asked, as the API server reads it: `get`, `list`, `delete` and so on.
        verb: Text,
        /// The path, or the resource with its subresource.
        resource: Text,
        /// The namespace; empty where there is none.
        namespace: Text,
        /// The object's name; empty for a collection.
        name: Text,
        /// The HTTP status of the answer.
        status: u16,
    },
    /// Something that is not told in detail, and why.
    Untold(Text),
}

/// A text of statements that was said to a database, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it does, as far as its text tells: `read`, `write`, `ddl`; none where there is no statement in it.
    pub classes: Vec<Text>,
    /// The tables that it names.
    pub tables: Vec<Text>,
    /// The text, as much of it as the role has recorded.
    pub text: Option<StatementText>,
    /// How many rows it read or changed, where the target said so.
    pub rows: Option<u64>,
    /// What became of it: `done`, `refused: …`, `failed: …`, `unanswered`.
    pub outcome: Text,
}

/// Which way a forwarded connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The client opened it, and the target connected onwards.
    Local,
    /// It came in at the target's listener, and the client connected onwards.
    Remote,
    /// No connection yet: the target was asked to listen.
    Listen,
}

impl Way {
    /// The word for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Listen => "listen",
        }
    }
}

impl Event {
    /// Something was done in a session.
    pub fn deed(of: DeedFacts, deed: Deed) -> Self {
        match deed {
            Deed::Command(command) => Self::SessionCommand { of, command },
            Deed::Subsystem(subsystem) => Self::SessionSubsystem { of, subsystem },
            Deed::Sftp { operation, path, to } => Self::SessionSftp { of, operation: operation.into(), path, to },
            Deed::Forward { way, destination, origin, bytes_up, bytes_down } => {
                Self::SessionForward { of, way: way.as_str().into(), destination, origin, bytes_up, bytes_down }
            }
            Deed::Statement(Statement { classes, tables, text, rows, outcome }) => {
                Self::DbQuery { of, classes, tables, text, rows, outcome }
            }
            Deed::Request { method, path, status, connection } => {
                Self::SessionRequest { of, method, path, status, connection }
            }
            Deed::Kube { verb, resource, namespace, name, status } => {
                Self::KubeRequest { of, verb, resource, namespace, name, status }
            }
            Deed::Desktop { security, screen, channels, denied } => {
                let (width, height) = screen.unzip();
                let (security, denied_channels) = (security.into(), denied);
                Self::DesktopSession { of, security, width, height, channels, denied_channels }
            }
            Deed::Untold(what) => Self::SessionUntold { of, what },
        }
    }
}
