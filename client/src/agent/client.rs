//! Talking to the agent, and starting it where there is none.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use tapgate_api::SessionCertificates;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::server::READY;
use super::wire::{Answer, Ask, Window, exchange_now, receive, send};
use crate::error::{Act as _, Failure, Result};
use crate::keys::{Seed, SessionKey, from_base64, to_base64};
use crate::limits::{AGENT_ANSWER_WAIT, AGENT_START_WAIT};
use crate::profile::Home;

/// A way to the agent. One connection for each ask: they are few, and the agent may end between.
#[derive(Debug, Clone)]
pub struct AgentClient {
    socket: PathBuf,
    program: PathBuf,
}

/// A window that the agent keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number, to sign with.
    pub id: u64,
    /// Its certificates.
    pub certificates: SessionCertificates,
}

impl AgentClient {
    /// The agent whose socket is at this path; `program` is the `tap` that starts one.
    pub const fn at(socket: PathBuf, program: PathBuf) -> Self {
        Self { socket, program }
    }

    /// The agent of this home.
    pub fn of(home: &Home) -> Result<Self> {
        home.run()?;
        let program = std::env::current_exe().act(|| "the path of tap cannot be told".to_owned())?;
        Ok(Self::at(home.agent_socket()?, program))
    }

    /// The window for this, where the agent keeps one. No agent, no window.
    pub async fn find(&self, window: Window) -> Result<Option<Kept>> {
        let Some(stream) = self.connect().await? else { return Ok(None) };
        match exchange(stream, &Ask::Find { window }).await {
            Ok(Answer::Window { id, certificates }) => Ok(Some(Kept { id, certificates })),
            // An agent that is just ending hangs up, and has no windows.
            Ok(Answer::Absent) | Err(_) => Ok(None),
            Ok(other) => Err(unexpected(other)),
        }
    }

    /// Gives a window to the agent, which is started where there is none.
    pub async fn put(&self, window: Window, certificates: SessionCertificates, key: Seed) -> Result<Kept> {
        let stream = match self.connect().await? {
            Some(stream) => stream,
            None => self.start().await?,
        };
        let ask = Ask::Put { window, certificates, key };
        let answer = match exchange(stream, &ask).await {
            Ok(answer) => answer,
            // It was just ending, so a new one is due.
            Err(_) => exchange(self.start().await?, &ask).await?,
        };
        match answer {
            Answer::Window { id, certificates } => Ok(Kept { id, certificates }),
            other => Err(unexpected(other)),
        }
    }

    /// The signature of an SSH authentication request by a window's key.
    pub async fn sign(&self, id: u64, data: &[u8]) -> Result<Vec<u8>> {
        let gone = || Failure::new("the agent has ended");
        let stream = self.connect().await?.ok_or_else(gone)?;
        match exchange(stream, &Ask::Sign { id, data: to_base64(data) }).await? {
            Answer::Signature { signature } => from_base64(&signature),
            other => Err(unexpected(other)),
        }
    }

    /// The signature of a TLS handshake by a window's key, waited for on this thread.
    pub fn sign_now(&self, id: u64, data: &[u8]) -> Result<Vec<u8>> {
        let act = || "the agent cannot be asked".to_owned();
        let mut stream = std::os::unix::net::UnixStream::connect(&self.socket).act(act)?;
        let peer = getsockopt(&stream, PeerCredentials).act(act)?;
        if peer.uid() != nix::unistd::geteuid().as_raw() {
            return Err(Failure::new(format!("{} is served by another user", self.socket.display())));
        }
        stream.set_read_timeout(Some(AGENT_ANSWER_WAIT)).act(act)?;
        stream.set_write_timeout(Some(AGENT_ANSWER_WAIT)).act(act)?;
        match exchange_now(&mut stream, &Ask::Sign { id, data: to_base64(data) })? {
            Answer::Signature { signature } => from_base64(&signature),
            other => Err(unexpected(other)),
        }
    }

    /// The key of a Kubernetes window.
    pub async fn key(&self, id: u64) -> Result<SessionKey> {
        let gone = || Failure::new("the agent has ended");
        let stream = self.connect().await?.ok_or_else(gone)?;
        match exchange(stream, &Ask::Key { id }).await? {
            Answer::Key { key } => SessionKey::from_seed(&key),
            other => Err(unexpected(other)),
        }
    }

    /// Has the agent forget everything and end; no agent is no failure.
    pub async fn clear(&self) -> Result<()> {
        let Some(stream) = self.connect().await? else { return Ok(()) };
        match exchange(stream, &Ask::Clear).await {
            Ok(Answer::Cleared) => Ok(()),
            Ok(other) => Err(unexpected(other)),
            // It was just ending: then nobody listens any more.
            Err(failure) => match self.connect().await? {
                None => Ok(()),
                Some(_) => Err(failure),
            },
        }
    }

    /// Starts the agent in the background; its first line says that a socket is there.
    async fn start(&self) -> Result<UnixStream> {
        let act = || "the agent cannot be started".to_owned();
        let mut child = Command::new(&self.program)
            .arg("agent")
            .arg(&self.socket)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .act(act)?;
        let mut ready = [0; READY.len()];
        let mut output = child.stdout.take().ok_or_else(|| Failure::new(act()))?;
        let read = timeout(AGENT_START_WAIT, output.read_exact(&mut ready)).await;
        read.map_err(|_| Failure::new(act()))?.act(act)?;
        // Where another `tap` was starting one at the same time, its socket may be a moment away.
        for _ in 0..20 {
            if let Some(stream) = self.connect().await? {
                return Ok(stream);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure::new(act()))
    }

    async fn connect(&self) -> Result<Option<UnixStream>> {
        // Nobody listens: refused where an agent was killed, not found where there was none.
        let Ok(stream) = UnixStream::connect(&self.socket).await else { return Ok(None) };
        let peer = stream.peer_cred().act(|| "the agent's user cannot be told".to_owned())?;
        if peer.uid() != nix::unistd::geteuid().as_raw() {
            return Err(Failure::new(format!("{} is served by another user", self.socket.display()))
                .advise("use --no-agent, and set TAP_HOME to a folder of your own"));
        }
        Ok(Some(stream))
    }
}

async fn exchange(mut stream: UnixStream, ask: &Ask) -> Result<Answer> {
    let talk = async {
        send(&mut stream, ask).await?;
        receive(&mut stream).await?.ok_or_else(|| Failure::new("the agent has ended"))
    };
    timeout(AGENT_ANSWER_WAIT, talk).await.map_err(|_| Failure::new("the agent does not answer"))?
}

fn unexpected(answer: Answer) -> Failure {
    match answer {
        Answer::Refused { why } => Failure::new(format!("the agent refused: {why}")),
        _ => Failure::new("the agent gave another answer than was asked for").advise("run tap logout, then try again"),
    }
}
