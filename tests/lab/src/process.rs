//! A child process: in a group of its own, everything it says captured, ended when it is dropped.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{self, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

use crate::{Ran, limits};

/// What a process has said on one of its streams.
#[derive(Debug, Default)]
struct Stream {
    /// Every byte so far.
    bytes: Vec<u8>,
    /// How far a wait has come: the next wait begins behind what the last one found.
    seen: usize,
    /// Whether the stream has ended.
    ended: bool,
}

/// A stream that a thread fills and a test waits on.
#[derive(Debug, Clone, Default)]
struct Capture(Arc<(Mutex<Stream>, Condvar)>);

impl Capture {
    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(self, mut from: impl Read) {
        let mut buffer = [0; 4096];
        loop {
            let read = from.read(&mut buffer).ok().and_then(|length| buffer.get(..length)).unwrap_or_default();
            let mut stream = self.lock();
            stream.bytes.extend_from_slice(read);
            stream.ended = read.is_empty();
            self.0.1.notify_all();
            if read.is_empty() {
                return;
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Waits until `find` answers something for the text that no wait has seen yet; `find` also says how many
    /// bytes of it are used up.
    fn wait<T>(&self, until: Instant, find: impl Fn(&str) -> Option<(usize, T)>) -> Option<T> {
        let mut stream = self.lock();
        loop {
            let fresh = stream.bytes.get(stream.seen..).unwrap_or_default();
            if let Some((used, found)) = find(&String::from_utf8_lossy(fresh)) {
                stream.seen = stream.bytes.len().min(stream.seen + used);
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now()).filter(|_| !stream.ended)?;
            (stream, _) = self.0.1.wait_timeout(stream, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A running child. Dropping it ends it and everything in its process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    out: Capture,
    err: Capture,
    readers: Vec<JoinHandle<()>>,
    /// Whether its end has been collected: from then on its number may be another process's.
    collected: bool,
}

impl Process {
    /// Starts a command; `name` is what errors call it. Its standard input stays open until
    /// [`close_input`](Self::close_input).
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let command = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        let (out, err) = (Capture::default(), Capture::default());
        let mut readers = Vec::new();
        if let Some(from) = child.stdout.take() {
            let to = out.clone();
            readers.push(thread::spawn(move || to.read(from)));
        }
        if let Some(from) = child.stderr.take() {
            let to = err.clone();
            readers.push(thread::spawn(move || to.read(from)));
        }
        let input = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, input, out, err, readers, collected: false })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said on standard output until now.
    pub fn stdout(&self) -> String {
        self.out.text()
    }

    /// Everything it has said on standard error until now.
    pub fn stderr(&self) -> String {
        self.err.text()
    }

    /// Writes to its standard input.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().with_context(|| format!("{}: its input is closed", self.name))?;
        input.write_all(bytes).and_then(|()| input.flush()).with_context(|| format!("cannot write to {}", self.name))
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits for a text on standard output behind the last one waited for; a prompt without a line's end counts.
    pub fn wait_for(&self, text: &str) -> Result<()> {
        let find = |fresh: &str| fresh.find(text).map(|at| (at + text.len(), ()));
        self.wait_on(&self.out, &format!("`{text}` on standard output"), find)
    }

    /// The same on standard error.
    pub fn wait_for_error(&self, text: &str) -> Result<()> {
        let find = |fresh: &str| fresh.find(text).map(|at| (at + text.len(), ()));
        self.wait_on(&self.err, &format!("`{text}` on standard error"), find)
    }

    /// Waits for a whole line on standard output of which `pick` makes something.
    pub fn wait_for_line<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.wait_on(&self.out, what, |fresh| first_line(fresh, &pick))
    }

    /// The same on standard error.
    pub fn wait_for_error_line<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.wait_on(&self.err, what, |fresh| first_line(fresh, &pick))
    }

    fn wait_on<T>(&self, stream: &Capture, what: &str, find: impl Fn(&str) -> Option<(usize, T)>) -> Result<T> {
        if let Some(found) = stream.wait(Instant::now() + limits::READY, find) {
            return Ok(found);
        }
        // Its last words on both streams matter now, and the other stream may be a moment behind.
        for stream in [&self.out, &self.err] {
            stream.wait(Instant::now() + limits::LAST_WORDS, |_| None::<(usize, ())>).unwrap_or_default();
        }
        bail!("{}: waited in vain for {what}\n{}", self.name, self.said())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        let running = matches!(self.child.try_wait(), Ok(None));
        self.collected |= !running;
        running
    }

    /// Waits for its end.
    pub fn wait(&mut self, at_most: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))? {
                self.collected = true;
                return Ok(status);
            }
            if Instant::now() > until {
                bail!("{}: did not end within {at_most:?}\n{}", self.name, self.said());
            }
            thread::sleep(limits::LOOK);
        }
    }

    /// Closes its input, waits for its end, and answers all it said.
    pub fn finish(mut self, at_most: Duration) -> Result<Ran> {
        self.close_input();
        let status = self.wait(at_most)?;
        // What it left running on purpose may hold the streams open, and is not waited for beyond a moment.
        let until = Instant::now() + limits::FAREWELL;
        for reader in self.readers.drain(..) {
            while !reader.is_finished() && Instant::now() < until {
                thread::sleep(limits::LOOK);
            }
        }
        Ok(Ran { name: self.name.clone(), status, stdout: self.stdout(), stderr: self.stderr() })
    }

    /// Asks it to end, and its group with it; answers its status. It is killed when it does not.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        self.wait(limits::FAREWELL * 3)
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL);
        self.wait(limits::FAREWELL)
    }

    /// Sends a signal to its group, unless its end has been seen.
    pub fn signal(&self, signal: Signal) {
        if let (false, Ok(id)) = (self.collected, i32::try_from(self.child.id())) {
            // A group that is gone is fine: that is what most signals are for.
            signal::killpg(Pid::from_raw(id), signal).unwrap_or_default();
        }
    }

    /// Whether it has ended, without collecting its end: its group's number stays its own for one more signal.
    fn has_ended(&self) -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        let Ok(id) = i32::try_from(self.child.id()) else { return true };
        !matches!(wait::waitid(wait::Id::Pid(Pid::from_raw(id)), look), Ok(WaitStatus::StillAlive))
    }

    /// The end of what it said, for an error.
    fn said(&self) -> String {
        format!(
            "--- its standard output\n{}\n--- its standard error\n{}\n---",
            tail(&self.stdout()),
            tail(&self.stderr())
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.collected {
            return;
        }
        self.signal(Signal::SIGTERM);
        let until = Instant::now() + limits::FAREWELL;
        while !self.has_ended() && Instant::now() < until {
            thread::sleep(limits::LOOK);
        }
        self.signal(Signal::SIGKILL);
        self.wait(limits::FAREWELL).map(drop).unwrap_or_default();
    }
}

/// The first whole line that `pick` takes, and where it ends.
fn first_line<T>(text: &str, pick: impl Fn(&str) -> Option<T>) -> Option<(usize, T)> {
    let mut used = 0;
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).find_map(|line| {
        used += line.len();
        pick(line.trim_end()).map(|found| (used, found))
    })
}

fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(limits::SHOWN_BYTES);
    let start = (start..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process::start("sh", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn talks_in_turns() {
        let mut process =
            shell("printf 'name? '; read name; echo \"hello $name\"; echo 'hello again'; read end; exit 7");
        process.wait_for("name? ").unwrap();
        process.write(b"jerry\n").unwrap();
        let line = process.wait_for_line("a greeting", |line| line.strip_prefix("hello ").map(str::to_owned)).unwrap();
        assert_eq!(line, "jerry");
        process.wait_for("hello").unwrap();
        let ran = process.finish(limits::COMMAND).unwrap();
        assert_eq!(ran.status.code(), Some(7));
        assert_eq!(ran.stdout, "name? hello jerry\nhello again\n");
    }

    #[test]
    fn a_wait_in_vain_shows_what_was_said() {
        let error = shell("echo one; echo two >&2").wait_for("three").unwrap_err().to_string();
        assert!(["three", "one", "two"].iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn a_dropped_process_takes_its_children_along() {
        let process = shell("sleep 600 & echo $!; wait");
        let child = process.wait_for_line("a process id", |line| line.parse::<i32>().ok()).unwrap();
        drop(process);
        let until = Instant::now() + limits::FAREWELL;
        while signal::kill(Pid::from_raw(child), None).is_ok() && is_alive(child) && Instant::now() < until {
            thread::sleep(limits::LOOK);
        }
        assert!(!is_alive(child));
    }

    /// A dead child that nobody has collected yet is a zombie, not alive.
    fn is_alive(id: i32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    }
}
