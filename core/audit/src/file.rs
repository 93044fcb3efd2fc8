//! The log as a file: a thread of its own writes what others record, many events to one fsync.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tapgate_model::{Clock, UnixTime};

use crate::follow::Follower;
use crate::keeper::{Checkpoints, Keeper};
use crate::parts::older;
use crate::prune::{Doomed, Keep};
use crate::queue::{Queue, Work};
use crate::record::add_line;
use crate::resume::{Resumed, open, resume};
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

/// What becomes of new sessions while the disk does not take the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// They are refused: nothing happens that is not recorded.
    #[default]
    Refuse,
    /// They go on. What does not fit into memory is counted, and the log says so later.
    GoOn,
}

/// How a log is kept, beyond where it is.
#[derive(Default)]
pub struct FileOptions {
    /// What its checkpoints are made with, where it has any.
    pub checkpoints: Option<Checkpoints>,
    /// The size at which a new file is begun; without it, one of [`limits::FILE_LEN_MAX`].
    pub file_len_max: Option<u64>,
    /// What becomes of sessions while the disk is full.
    pub when_full: WhenFull,
    /// How long older files are kept. Without checkpoints they are, for good: nothing else carries on from them.
    pub keep: Keep,
    /// Who gets a copy of each line, if anybody.
    pub follower: Option<Box<dyn Follower>>,
}

/// A log of JSON lines in a file. Dropping it writes what is waiting.
pub struct FileSink {
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    writer: Option<JoinHandle<()>>,
    when_full: WhenFull,
}

impl FileSink {
    /// Opens the log and continues its chain. A last line that a crash has torn is moved into `<path>.torn`, and the
    /// log says so. No other process can open it at the same time.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        Self::open_with(path, clock, FileOptions::default())
    }

    /// The same, with checkpoints and whatever else is said of it.
    pub fn open_with(path: impl AsRef<Path>, clock: Arc<dyn Clock>, options: FileOptions) -> Result<Self, AuditError> {
        let path = path.as_ref();
        let Resumed { file, len, summary, first, begun, torn } = resume(path)?;
        let keeper = options.checkpoints.map(|parts| Keeper::open(parts, path, first, &summary)).transpose();
        let (keeper, warning) = keeper.map_or_else(|warning| (None, Some(warning)), |keeper| (keeper, None));
        let len_max = options.file_len_max.unwrap_or(limits::FILE_LEN_MAX);
        let age_max = options.keep.age.map(|age| age.min(limits::FILE_AGE_MAX));
        let disk = LogFile { file, path: path.into(), len, len_max, age_max, first, begun, clean: true };
        let queue = Arc::new(Queue::new(limits::QUEUE_LEN_MAX, limits::GATHER, summary));
        let FileOptions { keep, follower, when_full, .. } = options;
        let writer = Writer { disk, summary, keeper, keep, follower, queue, clock };
        let sink = Self::start(writer, when_full).map_err(|source| AuditError::Open { path: path.into(), source })?;
        if torn > 0 {
            sink.record(Event::AuditTorn { bytes: torn });
        }
        if let Some(warning) = warning {
            tracing::error!(warning, "The audit log goes on without checkpoints");
            sink.record(Event::security_warning(format!("{warning} (no checkpoints are made from here on)")));
        }
        Ok(sink)
    }

    fn start(writer: Writer<impl Disk + 'static>, when_full: WhenFull) -> io::Result<Self> {
        let (queue, clock) = (Arc::clone(&writer.queue), Arc::clone(&writer.clock));
        let writer = thread::Builder::new().name("audit".to_owned()).spawn(|| writer.run())?;
        Ok(Self { queue, clock, writer: Some(writer), when_full })
    }

    /// Waits until everything that was recorded before is on the disk. Blocks.
    pub fn flush(&self) -> Result<(), AuditError> {
        self.queue.flush(limits::FLUSH_WAIT_MAX).map_err(AuditError::Stuck)
    }

    /// The same, and until there is a checkpoint over all of it. Blocks.
    pub fn seal(&self) -> Result<(), AuditError> {
        self.flush()?;
        self.queue.seal(limits::FLUSH_WAIT_MAX).map_err(AuditError::Stuck)
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

    fn takes_sessions(&self) -> bool {
        self.when_full == WhenFull::GoOn || !self.queue.is_stuck()
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

    /// Whether the next batch should go to a new file.
    fn is_full(&self, now: UnixTime) -> bool;

    /// The older files that go, by this rule.
    fn doomed(&self, keep: &Keep, now: UnixTime) -> io::Result<Vec<Doomed>>;

    /// Begins a new file, whose first record has this number.
    fn turn(&mut self, first: u64, now: UnixTime) -> Result<(), AuditError>;
}

struct LogFile {
    file: File,
    path: PathBuf,
    /// The end of the last batch that is there for good.
    len: u64,
    /// The size at which a new file is begun.
    len_max: u64,
    /// The age at which a new file is begun, where older ones go by their age.
    age_max: Option<Duration>,
    /// The number of the file's first record.
    first: u64,
    /// When that was recorded.
    begun: Option<UnixTime>,
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

    fn is_full(&self, now: UnixTime) -> bool {
        let is_old = |begun: UnixTime| self.age_max.is_some_and(|age| now.since(begun) >= age);
        self.len >= self.len_max || self.begun.is_some_and(is_old)
    }

    fn doomed(&self, keep: &Keep, now: UnixTime) -> io::Result<Vec<Doomed>> {
        keep.doomed(&self.path, self.first, now)
    }

    fn turn(&mut self, first: u64, now: UnixTime) -> Result<(), AuditError> {
        let cannot = |source| AuditError::Open { path: self.path.clone(), source };
        fs::rename(&self.path, older(&self.path, self.first)).map_err(cannot)?;
        self.file = open(&self.path)?;
        (self.len, self.first, self.begun) = (0, first, Some(now));
        Ok(())
    }
}

struct Writer<D> {
    disk: D,
    summary: Summary,
    keeper: Option<Keeper>,
    keep: Keep,
    follower: Option<Box<dyn Follower>>,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
}

impl<D: Disk> Writer<D> {
    fn run(mut self) {
        self.prune();
        loop {
            match self.queue.next(limits::BATCH_LEN_MAX, self.patience()) {
                Work::Events(batch) => {
                    if !self.write(&batch) {
                        return;
                    }
                    self.queue.settle(batch.len(), self.summary);
                    // A file ends with a checkpoint: whoever archives it can verify the next one alone.
                    if self.disk.is_full(self.clock.now()) {
                        self.seal();
                        self.turn();
                        self.prune();
                    } else if self.patience().is_some_and(|patience| patience.is_zero()) {
                        self.seal();
                    }
                }
                Work::Seal => {
                    self.seal();
                    self.queue.sealed();
                }
                Work::End => return self.seal(),
            }
        }
    }

    /// Writes a batch, however often it takes; false where the queue was closed meanwhile.
    fn write(&mut self, batch: &[(UnixTime, Event)]) -> bool {
        let mut bytes = Vec::new();
        for (time, event) in batch {
            self.add_line(&mut bytes, *time, event);
        }
        // Closing ends the wait for the disk, and one last attempt is made.
        let mut last = false;
        while let Err(error) = self.disk.append(&bytes) {
            tracing::error!(%error, "Audit log cannot be written");
            if last {
                return false;
            }
            last = !self.queue.wait_out(error.to_string(), limits::RETRY_WAIT);
        }
        if let Some(follower) = &mut self.follower {
            follower.lines(&bytes);
        }
        true
    }

    /// Removes the files that are kept no longer. What is removed stands in the log first, and nothing is removed that
    /// no checkpoint carries on from.
    fn prune(&mut self) {
        let now = self.clock.now();
        let doomed = self.disk.doomed(&self.keep, now);
        let doomed = doomed.inspect_err(|error| tracing::error!(%error, "The audit log's older files can't be read"));
        for Doomed { path, first, next, head } in doomed.unwrap_or_default() {
            let carried = self.keeper.as_ref().map_or(Ok(false), |keeper| keeper.carries_on(next, head));
            if !matches!(carried, Ok(true)) {
                tracing::error!(file = %path.display(), "A file of the audit log is kept: no checkpoint carries on from it");
                return;
            }
            if !self.write(&[(now, Event::AuditPruned { first, next, head })]) {
                return;
            }
            self.queue.settle(0, self.summary);
            let removed = fs::remove_file(&path);
            let forgotten = self.keeper.as_mut().map_or(Ok(()), |keeper| keeper.forget_before(next));
            if let Err(error) = removed.and(forgotten) {
                tracing::error!(%error, file = %path.display(), "A file of the audit log can't be removed");
                return;
            }
        }
    }

    fn patience(&self) -> Option<Duration> {
        self.keeper.as_ref().and_then(Keeper::patience)
    }

    fn seal(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.seal(&self.summary, self.clock.now());
        }
    }

    fn turn(&mut self) {
        if let Err(error) = self.disk.turn(self.summary.records, self.clock.now()) {
            tracing::error!(%error, "A new file of the audit log cannot be begun; the old one goes on");
        }
    }

    fn add_line(&mut self, bytes: &mut Vec<u8>, time: UnixTime, event: &Event) {
        let begin = bytes.len();
        let mut hash = add_line(bytes, &self.summary, time, event);
        let len = bytes.len() - begin;
        if len > limits::LINE_LEN_MAX {
            bytes.truncate(begin);
            let what = format!("an event {} of {len} bytes was too large for the log", event.name());
            hash = add_line(bytes, &self.summary, time, &Event::security_warning(what));
        }
        self.summary.records += 1;
        self.summary.head = hash;
        if let Some(keeper) = &mut self.keeper {
            keeper.push(&hash);
        }
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

        fn is_full(&self, _: UnixTime) -> bool {
            false
        }

        fn doomed(&self, _: &Keep, _: UnixTime) -> io::Result<Vec<Doomed>> {
            Ok(Vec::new())
        }

        fn turn(&mut self, _: u64, _: UnixTime) -> Result<(), AuditError> {
            Ok(())
        }
    }

    fn start(path: &Path, failures: u32) -> FileSink {
        start_with(path, failures, WhenFull::Refuse)
    }

    fn start_with(path: &Path, failures: u32, when_full: WhenFull) -> FileSink {
        let Resumed { file, len, summary, first, .. } = resume(path).unwrap();
        let (path, len_max) = (path.into(), u64::MAX);
        let inner = LogFile { file, path, len, len_max, age_max: None, first, begun: None, clean: true };
        let disk = FullDisk { inner, failures: Arc::new(AtomicU32::new(failures)) };
        let queue = Arc::new(Queue::new(limits::QUEUE_LEN_MAX, limits::GATHER, summary));
        let (keep, clock) = (Keep::default(), Arc::new(SystemClock));
        FileSink::start(Writer { disk, summary, keeper: None, keep, follower: None, queue, clock }, when_full).unwrap()
    }

    #[test]
    fn while_the_disk_is_full_sessions_are_refused_unless_they_may_go_on() {
        let directory = tempfile::tempdir().unwrap();
        for (when_full, takes) in [(WhenFull::Refuse, false), (WhenFull::GoOn, true)] {
            let sink = start_with(&directory.path().join(format!("{takes}.log")), 1, when_full);
            assert!(sink.takes_sessions());
            sink.record(Event::gate_started("1"));
            let end = std::time::Instant::now() + limits::FLUSH_WAIT_MAX;
            while sink.trouble().is_none() && std::time::Instant::now() < end {
                thread::yield_now();
            }
            assert_eq!(sink.takes_sessions(), takes);
            // The disk has room again after its first no.
            sink.flush().unwrap();
            assert!(sink.takes_sessions());
        }
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
