//! The log as a file: a thread of its own writes what others record, many events to one fsync.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tapgate_model::{Clock, UnixTime};

use crate::queue::Queue;
use crate::record::line;
use crate::resume::resume;
use crate::{Event, Sink, Summary, limits};

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file could not be made, opened or read.
    #[error("the audit log {path} cannot be opened: {source} (the directory must exist and belong to the gate's user)", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes to the file.
    #[error("the audit log {path} is in use by another process (end it, or name another file)", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file's last line is not a whole record, so there is nothing to continue.
    #[error("the audit log {path} ends with a line that is not one of its records (verify it, and move it away)", path = path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// The disk does not take what is waiting.
    #[error("the audit log cannot be written: {0} (free some space, or look at the disk)")]
    Stuck(String),
}

/// A log of JSON lines in a file. Dropping it writes what is waiting.
pub struct FileSink {
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    writer: Option<JoinHandle<()>>,
}

impl FileSink {
    /// Opens the log and continues its chain. A last line that a crash has torn is moved into `<path>.torn`, and the
    /// log says so. No other process can open it at the same time.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        let path = path.as_ref();
        let resumed = resume(path)?;
        let disk = LogFile { file: resumed.file, len: resumed.len, clean: true };
        let sink = Self::start(disk, resumed.summary, clock)
            .map_err(|source| AuditError::Open { path: path.into(), source })?;
        if resumed.torn > 0 {
            sink.record(Event::AuditTorn { bytes: resumed.torn });
        }
        Ok(sink)
    }

    fn start(disk: impl Disk + 'static, summary: Summary, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(limits::QUEUE_LEN_MAX, summary));
        let writer = Writer { disk, summary, queue: Arc::clone(&queue) };
        let writer = thread::Builder::new().name("audit".to_owned()).spawn(|| writer.run())?;
        Ok(Self { queue, clock, writer: Some(writer) })
    }

    /// Waits until everything that was recorded before is on the disk. Blocks.
    pub fn flush(&self) -> Result<(), AuditError> {
        self.queue.flush(limits::FLUSH_WAIT_MAX).map_err(AuditError::Stuck)
    }

    /// How far the chain has come on the disk.
    pub fn summary(&self) -> Summary {
        self.queue.summary()
    }

    /// What the disk says, while it does not take events.
    pub fn trouble(&self) -> Option<String> {
        self.queue.trouble()
    }
}

impl Sink for FileSink {
    fn record(&self, event: Event) {
        self.queue.push(event, &*self.clock);
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.queue.close();
        // A writer that panicked has told so on its own; there is nobody left to tell.
        if let Some(Err(_)) = self.writer.take().map(JoinHandle::join) {
            tracing::error!("Audit log was closed after its writer had failed");
        }
    }
}

/// The file as the writer sees it: whole batches are there for good, or not at all.
trait Disk: Send {
    fn append(&mut self, batch: &[u8]) -> io::Result<()>;
}

struct LogFile {
    file: File,
    /// The end of the last batch that is there for good.
    len: u64,
    /// Whether there is nothing behind `len`.
    clean: bool,
}

impl Disk for LogFile {
    fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        if !self.clean {
            self.file.set_len(self.len)?;
        }
        self.clean = false;
        self.file.write_all(batch)?;
        self.file.sync_data()?;
        self.len += u64::try_from(batch.len()).unwrap_or(0);
        self.clean = true;
        Ok(())
    }
}

struct Writer<D> {
    disk: D,
    summary: Summary,
    queue: Arc<Queue>,
}

impl<D: Disk> Writer<D> {
    fn run(mut self) {
        while let Some(batch) = self.queue.take(limits::BATCH_LEN_MAX) {
            let mut bytes = Vec::new();
            for (time, event) in &batch {
                bytes.extend_from_slice(&self.next_line(*time, event));
            }
            // Closing ends the wait for the disk, and one last attempt is made.
            let mut last = false;
            while let Err(error) = self.disk.append(&bytes) {
                tracing::error!(%error, "Audit log cannot be written");
                if last {
                    return;
                }
                last = !self.queue.wait_out(error.to_string(), limits::RETRY_WAIT);
            }
            self.queue.settle(batch.len(), self.summary);
        }
    }

    fn next_line(&mut self, time: UnixTime, event: &Event) -> Vec<u8> {
        let (mut bytes, mut hash) = line(&self.summary, time, event);
        if bytes.len() > limits::LINE_LEN_MAX {
            let what = format!("an event {} of {} bytes was too large for the log", event.name(), bytes.len());
            (bytes, hash) = line(&self.summary, time, &Event::security_warning(what));
        }
        self.summary.records += 1;
        self.summary.head = hash;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{read_file, verify_file};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tapgate_model::SystemClock;

    /// A disk that takes half of what it is given and fails, so many times.
    struct FullDisk {
        inner: LogFile,
        failures: Arc<AtomicU32>,
    }

    impl Disk for FullDisk {
        fn append(&mut self, batch: &[u8]) -> io::Result<()> {
            if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err() {
                return self.inner.append(batch);
            }
            self.inner.clean = false;
            self.inner.file.write_all(&batch[..batch.len() / 2])?;
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn start(path: &Path, failures: u32) -> FileSink {
        let resumed = resume(path).unwrap();
        let inner = LogFile { file: resumed.file, len: resumed.len, clean: true };
        let disk = FullDisk { inner, failures: Arc::new(AtomicU32::new(failures)) };
        FileSink::start(disk, resumed.summary, Arc::new(SystemClock)).unwrap()
    }

    #[test]
    fn a_disk_that_was_full_for_a_while_leaves_the_chain_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let sink = start(&path, 2);
        (0..100).for_each(|n| sink.record(Event::security_warning(n.to_string())));
        sink.flush().unwrap();
        assert_eq!(sink.trouble(), None);
        let mut seen = Vec::new();
        read_file(&path, |record| seen.push(record.event)).unwrap();
        assert_eq!(seen, (0..100).map(|n| Event::security_warning(n.to_string())).collect::<Vec<_>>());
    }

    #[test]
    fn a_disk_that_stays_full_does_not_hold_the_end_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let sink = start(&path, u32::MAX);
        sink.record(Event::gate_started("1"));
        let stuck = sink.queue.flush(limits::RETRY_WAIT * 2).unwrap_err();
        assert!(stuck.contains("storage space") || stuck.contains("no space"), "{stuck}");
        assert!(sink.trouble().is_some());
        drop(sink);
        // What the failed attempts have left is a torn line to the next start.
        assert_eq!(verify_file(&path).unwrap().records, 0);
        let sink = start(&path, 0);
        sink.record(Event::gate_started("2"));
        sink.flush().unwrap();
        assert_eq!(verify_file(&path).unwrap(), sink.summary());
    }

    #[test]
    fn an_event_that_is_too_large_leaves_a_trace() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let sink = start(&path, 0);
        let targets = vec![crate::Text::from("x".repeat(1000)); 200];
        let Ok(user) = "jerry".parse() else { panic!("a user name") };
        sink.record(Event::mfa_begin(user, "session", "1", targets));
        sink.flush().unwrap();
        let mut seen = Vec::new();
        read_file(&path, |record| seen.push(record.event)).unwrap();
        let [Event::SecurityWarning { what }] = seen.as_slice() else { panic!("{seen:?}") };
        assert!(what.as_str().starts_with("an event mfa.begin of 2"), "{what}");
    }
}
