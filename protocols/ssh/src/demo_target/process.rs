//! One channel and its program: a shell or a command, over pipes or a terminal of its own.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use russh::server::Handle;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::say;
use crate::wire::{Fields, only_string};
use crate::write;

/// How long a terminal's last output is awaited once its program has ended; a program left in the
/// background may hold the terminal open for ever.
const LAST_OUTPUT_MAX: Duration = Duration::from_millis(300);

/// Environment variables that a client may set, as a stock `sshd` has them.
const ENV_PREFIXES: [&str; 2] = ["LANG", "LC_"];

/// What a client says on a channel.
pub(super) enum Input {
    Data(Bytes),
    Eof,
    Close,
    Window(u32),
    Request { name: String, want_reply: bool, body: Bytes },
}

/// A channel towards its client.
#[derive(Clone)]
pub(super) struct Channel {
    handle: Handle,
    /// The client's number for it.
    number: u32,
    /// What the client will still take.
    window: Arc<Semaphore>,
    packet_max: usize,
}

/// What a program is started with.
#[derive(Default)]
struct Setting {
    login: String,
    term: Option<(String, Size)>,
    env: HashMap<String, String>,
}

impl Channel {
    pub(super) fn new(handle: Handle, number: u32, window: u32, packet_max: usize) -> Self {
        let window = Arc::new(Semaphore::new(usize::try_from(window).unwrap_or_default()));
        Self { handle, number, window, packet_max }
    }

    fn say(&self, packet: Bytes) {
        self.handle.send_raw(packet);
    }

    fn answer(&self, want_reply: bool, yes: bool) {
        if want_reply {
            self.say(if yes { say::success(self.number) } else { write::failure(self.number) });
        }
    }

    /// Serves the channel to its end.
    pub(super) async fn run(self, mut input: mpsc::UnboundedReceiver<Input>, login: String, may_have_pty: bool) {
        let mut setting = Setting { login, ..Setting::default() };
        while let Some(said) = input.recv().await {
            match said {
                Input::Window(bytes) => self.widen(bytes),
                Input::Close => return self.say(say::close(self.number)),
                Input::Data(_) | Input::Eof => {}
                Input::Request { name, want_reply, body } => {
                    let command = match name.as_str() {
                        "shell" => None,
                        "exec" => only_string(&body).map(|text| String::from_utf8_lossy(text).into_owned()),
                        other => {
                            let done = setting.prepare(other, &body, may_have_pty);
                            self.answer(want_reply, done);
                            continue;
                        }
                    };
                    let started = if name == "exec" && command.is_none() { None } else { setting.start(command).ok() };
                    self.answer(want_reply, started.is_some());
                    if let Some(program) = started {
                        return self.follow(program, input, setting).await;
                    }
                }
            }
        }
    }

    fn widen(&self, bytes: u32) {
        let bytes = usize::try_from(bytes).unwrap_or_default();
        if self.window.available_permits() <= Semaphore::MAX_PERMITS - bytes {
            self.window.add_permits(bytes);
        }
    }

    /// Passes input and output until the program and its client are done.
    async fn follow(self, program: Program, input: mpsc::UnboundedReceiver<Input>, setting: Setting) {
        let Program { mut child, group, stdin, stdout, stderr, screen } = program;
        let (to_stdin, from_client) = mpsc::unbounded_channel();
        let mut outputs = JoinSet::new();
        let is_terminal = screen.is_some();
        if is_terminal {
            let note = format!("tapgate demo: the login is \"{}\", the shell is yours\r\n", setting.login);
            self.clone().send(note.as_bytes(), true).await;
        }
        tokio::spawn(self.clone().feed(stdin, from_client));
        outputs.spawn(self.clone().drain(stdout, false));
        if let Some(stderr) = stderr {
            outputs.spawn(self.clone().drain(stderr, true));
        }
        let listening = tokio::spawn(self.clone().listen(input, to_stdin, group, screen));
        let status = child.wait().await;
        let said = async { while outputs.join_next().await.is_some() {} };
        if is_terminal {
            let _ = tokio::time::timeout(LAST_OUTPUT_MAX, said).await;
        } else {
            said.await;
        }
        if let Ok(status) = status {
            self.say(end_of(self.number, status));
        }
        self.say(say::eof(self.number));
        self.say(say::close(self.number));
        listening.abort();
    }

    /// Takes what the client says while the program runs.
    async fn listen(
        self,
        mut input: mpsc::UnboundedReceiver<Input>,
        to_stdin: mpsc::UnboundedSender<Bytes>,
        group: Pid,
        screen: Option<Screen>,
    ) {
        let mut to_stdin = Some(to_stdin);
        while let Some(said) = input.recv().await {
            match said {
                Input::Window(bytes) => self.widen(bytes),
                Input::Data(bytes) => {
                    if let Some(stdin) = &to_stdin {
                        // A program that reads no more loses the rest, as over any pipe.
                        drop(stdin.send(bytes));
                    }
                }
                Input::Eof => to_stdin = None,
                Input::Close => break,
                Input::Request { name, want_reply, body } => {
                    let done = match (name.as_str(), &screen) {
                        ("window-change", Some(screen)) => resize(screen, &body),
                        ("signal", _) => signal_of(&body).is_some_and(|signal| killpg(group, signal).is_ok()),
                        _ => false,
                    };
                    self.answer(want_reply, done);
                }
            }
        }
        // The client is gone, and so is the reason for the program.
        let _ = killpg(group, Signal::SIGHUP);
    }

    /// Writes to the program what comes from the client, and tells the client what is taken.
    async fn feed(self, stdin: Stdin, mut from_client: mpsc::UnboundedReceiver<Bytes>) {
        let mut stdin = Some(stdin);
        while let Some(bytes) = from_client.recv().await {
            if let Some(open) = &mut stdin
                && open.write(&bytes).await.is_err()
            {
                stdin = None;
            }
            self.say(write::window_adjust(self.number, u32::try_from(bytes.len()).unwrap_or_default()));
        }
    }

    /// Reads what the program says until it says no more.
    async fn drain(self, mut output: Box<dyn AsyncRead + Send + Unpin>, is_stderr: bool) {
        let mut buffer = vec![0; 32 * 1024];
        // A terminal ends with an error, a pipe with nothing.
        while let Ok(length @ 1..) = output.read(&mut buffer).await {
            self.clone().send(buffer.get(..length).unwrap_or_default(), is_stderr).await;
        }
    }

    /// Sends output as the window has room for it.
    async fn send(self, mut bytes: &[u8], is_stderr: bool) {
        while !bytes.is_empty() {
            let Ok(first) = self.window.acquire().await else { return };
            first.forget();
            let more = bytes.len().min(self.packet_max) - 1;
            let more = self.window.forget_permits(more.min(self.window.available_permits()));
            let (now, later) = bytes.split_at(more + 1);
            self.say(if is_stderr { say::stderr(self.number, now) } else { say::data(self.number, now) });
            bytes = later;
        }
    }
}

/// Resizes a terminal once nobody is writing to it; who listens must not wait for that.
fn resize(screen: &Screen, body: &[u8]) -> bool {
    let Some(size) = window_size(&mut Fields::new(body)) else { return false };
    let screen = Arc::clone(screen);
    tokio::spawn(async move { screen.lock().await.resize(size) });
    true
}

/// The writing half of a terminal.
type Screen = Arc<tokio::sync::Mutex<OwnedWritePty>>;

/// Where a program reads from.
enum Stdin {
    Pipe(Box<dyn AsyncWrite + Send + Unpin>),
    Terminal(Screen),
}

impl Stdin {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.write_all(bytes).await,
            Self::Terminal(screen) => screen.lock().await.write_all(bytes).await,
        }
    }
}

/// A started program.
struct Program {
    child: Child,
    group: Pid,
    stdin: Stdin,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Option<Box<dyn AsyncRead + Send + Unpin>>,
    screen: Option<Screen>,
}

impl Setting {
    /// Obeys a request that comes before the program.
    fn prepare(&mut self, name: &str, body: &[u8], may_have_pty: bool) -> bool {
        let mut fields = Fields::new(body);
        match name {
            "pty-req" if may_have_pty => {
                let term = fields.text();
                let size = window_size(&mut fields);
                self.term = term.zip(size);
                self.term.is_some()
            }
            "env" => match (fields.text(), fields.text()) {
                (Some(name), Some(value)) if ENV_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {
                    self.env.insert(name, value);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Starts the shell, or a command by it.
    fn start(&self, command: Option<String>) -> Result<Program, pty_process::Error> {
        let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let args: Vec<String> = command.map(|text| vec!["-c".to_owned(), text]).unwrap_or_default();
        match &self.term {
            Some((term, size)) => self.start_on_terminal(&shell, &args, term, *size),
            None => self.start_on_pipes(&shell, &args),
        }
    }

    fn start_on_terminal(
        &self,
        shell: &str,
        args: &[String],
        term: &str,
        size: Size,
    ) -> Result<Program, pty_process::Error> {
        let (pty, slave) = pty_process::open()?;
        pty.resize(size)?;
        let child = pty_process::Command::new(shell)
            .args(args)
            .envs(&self.env)
            .env("TERM", term)
            .env("TAPGATE_DEMO_LOGIN", &self.login)
            .kill_on_drop(true)
            .spawn(slave)?;
        let (output, screen): (OwnedReadPty, OwnedWritePty) = pty.into_split();
        let screen = Arc::new(tokio::sync::Mutex::new(screen));
        Ok(Program {
            group: group_of(&child),
            child,
            stdin: Stdin::Terminal(Arc::clone(&screen)),
            stdout: Box::new(output),
            stderr: None,
            screen: Some(screen),
        })
    }

    fn start_on_pipes(&self, shell: &str, args: &[String]) -> Result<Program, pty_process::Error> {
        let mut child = Command::new(shell)
            .args(args)
            .envs(&self.env)
            .env("TAPGATE_DEMO_LOGIN", &self.login)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(pty_process::Error::Io)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(pty_process::Error::Io(std::io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Program {
            group: group_of(&child),
            child,
            stdin: Stdin::Pipe(Box::new(stdin)),
            stdout: Box::new(stdout),
            stderr: Some(Box::new(stderr)),
            screen: None,
        })
    }
}

/// The program's process group, which it leads. A program that has ended already has a group that
/// nobody is in.
fn group_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(i32::MAX))
}

fn window_size(fields: &mut Fields<'_>) -> Option<Size> {
    let columns = u16::try_from(fields.u32().ok()?).ok()?;
    let rows = u16::try_from(fields.u32().ok()?).ok()?;
    Some(Size::new(rows, columns))
}

fn signal_of(body: &[u8]) -> Option<Signal> {
    let name = String::from_utf8_lossy(only_string(body)?).into_owned();
    format!("SIG{name}").parse().ok()
}

/// How the program ended, in the protocol's words.
fn end_of(number: u32, status: ExitStatus) -> Bytes {
    let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match (status.code(), signal) {
        (None, Some(signal)) => say::exit_signal(number, signal.as_str().trim_start_matches("SIG")),
        (code, _) => say::exit_status(number, code.and_then(|code| u32::try_from(code).ok()).unwrap_or(255)),
    }
}
