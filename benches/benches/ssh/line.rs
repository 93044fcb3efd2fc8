//! One ssh connection that is left open: bytes are asked of it, and sent into it, by the batch.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::target::{Target, Way};

/// How much is read or written at once.
const CHUNK: usize = 64 * 1024;

/// Sends as many zeros as each line of its input asks for.
pub(crate) const SENDS: &str = "while read n; do head -c $n /dev/zero; done";

/// The same at a terminal, with lines as people see them; it says first that it is there.
pub(crate) const SHOWS: &str = "stty raw -echo; echo done; while read n; do \
                                yes 'drwxr-xr-x  2 root root 4096 Nov 29 20:00 some-directory' | head -c $n; done";

/// Swallows as many bytes as each line of its input announces, and says so.
pub(crate) const SWALLOWS: &str = "while read n; do head -c $n >/dev/null; echo done; done";

/// Says that it is there, and stays.
pub(crate) const STAYS: &str = "echo done; exec cat";

/// An open connection. Dropping it ends it.
pub(crate) struct Line {
    ssh: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Line {
    /// Opens one, with this command on the target.
    pub(crate) fn open(target: &Target, way: Way, command: &str) -> Result<Self> {
        let mut ssh = target.ssh(way, command)?;
        let mut ssh = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start ssh")?;
        let input = ssh.stdin.take().context("ssh has no input")?;
        let output = ssh.stdout.take().context("ssh has no output")?;
        Ok(Self { ssh, input, output })
    }

    /// The process of its ssh.
    pub(crate) fn id(&self) -> u32 {
        self.ssh.id()
    }

    /// Asks a line of [`SENDS`] for bytes.
    pub(crate) fn ask(&mut self, bytes: usize) -> Result<()> {
        writeln!(self.input, "{bytes}").context("ssh takes no input")
    }

    /// Reads bytes and drops them.
    pub(crate) fn read(&mut self, bytes: usize) -> Result<()> {
        let (mut buffer, mut left) = (vec![0; CHUNK], bytes);
        while left > 0 {
            let room = buffer.get_mut(..left.min(CHUNK)).context("a chunk fits into its buffer")?;
            let read = self.output.read(room)?;
            ensure!(read > 0, "ssh ended with {left} bytes to come");
            left -= read;
        }
        Ok(())
    }

    /// Sends bytes into a line that [`SWALLOWS`], until it has them all.
    pub(crate) fn send(&mut self, bytes: usize) -> Result<()> {
        self.ask(bytes)?;
        let chunk = vec![0; CHUNK];
        for _ in 0..bytes / CHUNK {
            self.input.write_all(&chunk)?;
        }
        self.done()
    }

    /// Waits for its word.
    pub(crate) fn done(&mut self) -> Result<()> {
        let mut word = [0; 5];
        self.output.read_exact(&mut word).context("ssh ended early")?;
        ensure!(&word == b"done\n", "the target said something else");
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        self.ssh.kill().unwrap_or_default();
        self.ssh.wait().map(drop).unwrap_or_default();
    }
}
