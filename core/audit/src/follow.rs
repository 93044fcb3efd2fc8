//! Who else is told what the log says, once it is safe on the disk: standard output, and witnesses of checkpoints.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use crate::limits;

/// Gets a copy of each line. It is called by the log's own thread, and must not make it wait.
pub trait Follower: Send {
    /// These whole lines are in the log.
    fn lines(&mut self, lines: &[u8]);
}

/// Copies the lines into a stream, such as standard output. A stream that takes nothing loses copies, not records.
#[derive(Debug)]
pub struct Copies {
    queue: SyncSender<Vec<u8>>,
    lost: u64,
}

impl Copies {
    /// Copies for this stream, which a thread of its own writes to.
    pub fn new(mut to: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, waiting) = sync_channel::<Vec<u8>>(limits::COPIES_MAX);
        thread::Builder::new().name("audit-copies".to_owned()).spawn(move || {
            while let Ok(lines) = waiting.recv() {
                if let Err(error) = to.write_all(&lines).and_then(|()| to.flush()) {
                    tracing::error!(%error, "The audit log is no longer copied: its stream takes nothing more");
                    return;
                }
            }
        })?;
        Ok(Self { queue, lost: 0 })
    }
}

impl Follower for Copies {
    fn lines(&mut self, lines: &[u8]) {
        match self.queue.try_send(lines.to_vec()) {
            Ok(()) if self.lost == 0 => {}
            Ok(()) => {
                let lost = std::mem::take(&mut self.lost);
                tracing::warn!(lost, "Lines of the audit log were not copied: the stream was too slow");
            }
            Err(TrySendError::Full(lines)) => {
                self.lost += u64::try_from(lines.split(|byte| *byte == b'\n').count()).unwrap_or(1).saturating_sub(1);
            }
            // It has told so itself.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

/// Gets a copy of each checkpoint, somewhere that whoever can write the log cannot write.
pub trait Witness: Send {
    /// This line is a checkpoint. What goes wrong is told in a sentence; the next checkpoint covers this one too.
    fn attest(&mut self, line: &[u8]) -> Result<(), String>;
}

/// A file that is appended to.
impl Witness for PathBuf {
    fn attest(&mut self, line: &[u8]) -> Result<(), String> {
        let open = OpenOptions::new().append(true).create(true).mode(0o600).open(&*self);
        let written = open.and_then(|mut file| file.write_all(line).and_then(|()| file.sync_data()));
        written.map_err(|error| format!("{}: {error}", self.display()))
    }
}
