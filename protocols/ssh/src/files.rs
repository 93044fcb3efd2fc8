//! A client of a target's SFTP server (version 3), for the files of a page.
//!
//! Every transfer has a bounded number of requests on their way, so that none keeps more than that in memory and one
//! that stands still holds up no other. The relay reads along beside it, as with every client, and tells the log.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::console::Console;
use crate::limits::{FILE_CHUNK, FILE_REQUESTS_MAX, PATH_MAX, SFTP_PACKET_MAX};
use crate::wire::Fields;
use crate::write::put_string;

/// Packet types of the protocol, as far as they are spoken here.
mod kind {
    pub(super) const INIT: u8 = 1;
    pub(super) const VERSION: u8 = 2;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const STAT: u8 = 17;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const ATTRS: u8 = 105;
}

/// How a file is opened.
mod flag {
    pub(super) const READ: u32 = 0x01;
    pub(super) const WRITE: u32 = 0x02;
    pub(super) const CREATE: u32 = 0x08;
    pub(super) const TRUNCATE: u32 = 0x10;
    pub(super) const NEW: u32 = 0x20;
}

const STATUS_OK: u32 = 0;
const STATUS_END: u32 = 1;

/// Why something with a file was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is a file of that name.
    #[error("there is such a file already")]
    Exists,
    /// There is none.
    #[error("there is no such file or directory")]
    Missing,
    /// The login may not.
    #[error("the login at the target may not do that")]
    Forbidden,
    /// The target says no in its own words.
    #[error("the target refused: {0}")]
    Refused(String),
    /// No name that a file can have.
    #[error("a file can't have this name")]
    Name,
    /// A directory, a device or the like.
    #[error("this is no plain file")]
    NoFile,
    /// The session is over, or the server is.
    #[error("the session for files is over")]
    Over,
    /// What came is not SFTP.
    #[error("the target's file server does not speak the protocol")]
    Broken,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileFacts {
    /// How long it is, where the server says it.
    pub size: Option<u64>,
    /// The kind and rights, as Unix has them.
    mode: Option<u32>,
}

impl FileFacts {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o170_000 == 0o040_000)
    }
}

/// The files of a target, over one channel. A clone is another handle to the same one.
#[derive(Clone)]
pub struct Files(Arc<Shared>);

struct Shared {
    out: mpsc::UnboundedSender<Bytes>,
    waiting: Mutex<HashMap<u32, oneshot::Sender<Reply>>>,
    next: AtomicU32,
    task: Mutex<Option<AbortHandle>>,
}

/// An answer of the server.
struct Reply {
    kind: u8,
    body: Bytes,
}

type Answer = oneshot::Receiver<Reply>;

impl Files {
    /// The files of the target that this session is open at.
    pub async fn of(console: &Console) -> Result<Self, String> {
        let stream = console.subsystem("sftp").await?;
        Self::over(stream).await.map_err(|error| error.to_string())
    }

    async fn over(stream: impl tapgate_relay::Io + 'static) -> Result<Self, FileError> {
        let (mut read, mut write) = tokio::io::split(stream);
        let mut init = BytesMut::new();
        init.put_u32(5);
        init.put_u8(kind::INIT);
        init.put_u32(3);
        write.write_all(&init).await.map_err(|_| FileError::Over)?;
        let hello = packet(&mut read).await?;
        if hello.first() != Some(&kind::VERSION) {
            return Err(FileError::Broken);
        }
        let (out, mut queue) = mpsc::unbounded_channel::<Bytes>();
        let shared =
            Arc::new(Shared { out, waiting: Mutex::default(), next: AtomicU32::new(0), task: Mutex::default() });
        let weak = Arc::downgrade(&shared);
        let task = tokio::spawn(async move {
            let writing = async {
                while let Some(request) = queue.recv().await {
                    if write.write_all(&request).await.is_err() {
                        return;
                    }
                }
            };
            let reading = async {
                while let Ok(packet) = packet(&mut read).await {
                    let Some(shared) = weak.upgrade() else { return };
                    if shared.answered(&packet).is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = writing => {}
                () = reading => {}
            }
            // Whoever waits learns that it is over.
            if let Some(shared) = weak.upgrade() {
                shared.waiting().clear();
            }
        });
        shared.task.lock().unwrap_or_else(PoisonError::into_inner).replace(task.abort_handle());
        Ok(Self(shared))
    }

    /// What is known of a file.
    pub async fn facts(&self, path: &str) -> Result<FileFacts, FileError> {
        let mut body = BytesMut::new();
        put_string(&mut body, checked(path)?);
        let reply = self.0.ask(kind::STAT, &body)?.await.map_err(|_| FileError::Over)?;
        if reply.kind != kind::ATTRS {
            return Err(reply.failure());
        }
        attributes(&reply.body).ok_or(FileError::Broken)
    }

    /// Opens a file for reading.
    pub async fn download(&self, path: &str) -> Result<Download, FileError> {
        let facts = self.facts(path).await?;
        if facts.mode.is_some_and(|mode| mode & 0o170_000 != 0o100_000) {
            return Err(FileError::NoFile);
        }
        let file = self.open(path, flag::READ).await?;
        Ok(Download { file, facts, asked: 0, got: 0, pending: VecDeque::new(), end: false })
    }

    /// Opens a file for writing: a new one, or where it may be replaced, any.
    pub async fn upload(&self, path: &str, replace: bool) -> Result<Upload, FileError> {
        let new = if replace { flag::TRUNCATE } else { flag::NEW };
        if !replace {
            match self.facts(path).await {
                Ok(_) => return Err(FileError::Exists),
                Err(FileError::Missing) => {}
                Err(error) => return Err(error),
            }
        }
        let file = self.open(path, flag::WRITE | flag::CREATE | new).await?;
        Ok(Upload { file, written: 0, pending: VecDeque::new() })
    }

    async fn open(&self, path: &str, flags: u32) -> Result<Opened, FileError> {
        let mut body = BytesMut::new();
        put_string(&mut body, checked(path)?);
        body.put_u32(flags);
        // No attributes: the target's own defaults.
        body.put_u32(0);
        let reply = self.0.ask(kind::OPEN, &body)?.await.map_err(|_| FileError::Over)?;
        if reply.kind != kind::HANDLE {
            return Err(reply.failure());
        }
        let (handle, _) = string(&reply.body).ok_or(FileError::Broken)?;
        Ok(Opened { files: self.clone(), handle: reply.body.slice_ref(handle), closed: false })
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u32, oneshot::Sender<Reply>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a request; its answer comes where this leads.
    fn ask(&self, kind: u8, body: &[u8]) -> Result<Answer, FileError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let length = u32::try_from(body.len() + 5).map_err(|_| FileError::Name)?;
        let mut request = BytesMut::with_capacity(body.len() + 9);
        request.put_u32(length);
        request.put_u8(kind);
        request.put_u32(id);
        request.put_slice(body);
        let (answer, answered) = oneshot::channel();
        self.waiting().insert(id, answer);
        self.out.send(request.freeze()).map_err(|_| FileError::Over)?;
        Ok(answered)
    }

    fn answered(&self, packet: &Bytes) -> Result<(), FileError> {
        let (&kind, rest) = packet.split_first().ok_or(FileError::Broken)?;
        let (id, body) = rest.split_first_chunk::<4>().ok_or(FileError::Broken)?;
        let waiting = self.waiting().remove(&u32::from_be_bytes(*id)).ok_or(FileError::Broken)?;
        // Whoever waited may have left.
        drop(waiting.send(Reply { kind, body: packet.slice_ref(body) }));
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Reply {
    /// The status that it is; its words are the server's own.
    fn status(&self) -> Option<(u32, String)> {
        let mut fields = Fields::new(&self.body);
        let code = (self.kind == kind::STATUS).then(|| fields.u32().ok()).flatten()?;
        Some((code, fields.lossy().unwrap_or_default()))
    }

    fn failure(&self) -> FileError {
        match self.status() {
            Some((2, _)) => FileError::Missing,
            Some((3, _)) => FileError::Forbidden,
            Some((_, words)) => FileError::Refused(crate::write::one_line(&words)),
            None => FileError::Broken,
        }
    }

    fn done(&self) -> Result<(), FileError> {
        match self.status() {
            Some((STATUS_OK, _)) => Ok(()),
            _ => Err(self.failure()),
        }
    }
}

/// An open file; it is closed when this is dropped.
struct Opened {
    files: Files,
    handle: Bytes,
    closed: bool,
}

impl Opened {
    fn ask(&self, kind: u8, rest: impl FnOnce(&mut BytesMut)) -> Result<Answer, FileError> {
        let mut body = BytesMut::with_capacity(self.handle.len() + 16);
        body.put_u32(u32::try_from(self.handle.len()).map_err(|_| FileError::Broken)?);
        body.put_slice(&self.handle);
        rest(&mut body);
        self.files.0.ask(kind, &body)
    }

    async fn close(&mut self) -> Result<(), FileError> {
        self.closed = true;
        self.ask(kind::CLOSE, |_| {})?.await.map_err(|_| FileError::Over)?.done()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.closed {
            // Where the session is over, the server has closed it.
            drop(self.ask(kind::CLOSE, |_| {}));
        }
    }
}

/// A file on its way from the target.
pub struct Download {
    file: Opened,
    facts: FileFacts,
    asked: u64,
    got: u64,
    pending: VecDeque<(u32, Answer)>,
    end: bool,
}

impl Download {
    /// What was known of it when it was opened.
    pub const fn facts(&self) -> FileFacts {
        self.facts
    }

    /// The next part of it; none at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        while !self.end && self.pending.len() < FILE_REQUESTS_MAX {
            // Beyond the length that is known, one request finds the end.
            if self.asked >= self.facts.size.unwrap_or_default() && !self.pending.is_empty() {
                break;
            }
            let at = self.asked;
            let answer = self.file.ask(kind::READ, |body| {
                body.put_u64(at);
                body.put_u32(FILE_CHUNK);
            })?;
            self.pending.push_back((FILE_CHUNK, answer));
            self.asked += u64::from(FILE_CHUNK);
        }
        let Some((wanted, answer)) = self.pending.pop_front() else { return Ok(None) };
        let reply = answer.await.map_err(|_| FileError::Over)?;
        if reply.kind == kind::DATA {
            let (data, _) = string(&reply.body).ok_or(FileError::Broken)?;
            let length = u32::try_from(data.len()).map_err(|_| FileError::Broken)?;
            if length == 0 || length > wanted {
                return Err(FileError::Broken);
            }
            self.got += u64::from(length);
            if length < wanted {
                // What was asked for beyond leaves a hole: it is asked for again from here.
                self.pending.clear();
                self.asked = self.got;
            }
            return Ok(Some(reply.body.slice_ref(data)));
        }
        match reply.status() {
            Some((STATUS_END, _)) => {
                self.end = true;
                self.pending.clear();
                Ok(None)
            }
            _ => Err(reply.failure()),
        }
    }
}

/// A file on its way to the target.
pub struct Upload {
    file: Opened,
    written: u64,
    pending: VecDeque<Answer>,
}

impl Upload {
    /// Sends a part of it on; waits where too much is on its way.
    pub async fn put(&mut self, data: &[u8]) -> Result<(), FileError> {
        let step = usize::try_from(FILE_CHUNK).unwrap_or(usize::MAX);
        for part in data.chunks(step) {
            if self.pending.len() >= FILE_REQUESTS_MAX {
                self.settle().await?;
            }
            let (at, length) = (self.written, u32::try_from(part.len()).map_err(|_| FileError::Broken)?);
            let answer = self.file.ask(kind::WRITE, |body| {
                body.put_u64(at);
                body.put_u32(length);
                body.put_slice(part);
            })?;
            self.pending.push_back(answer);
            self.written += u64::from(length);
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), FileError> {
        match self.pending.pop_front() {
            Some(answer) => answer.await.map_err(|_| FileError::Over)?.done(),
            None => Ok(()),
        }
    }

    /// All of it was sent: it counts once the target has written and closed it. Answers how long it is.
    pub async fn finish(mut self) -> Result<u64, FileError> {
        while !self.pending.is_empty() {
            self.settle().await?;
        }
        self.file.close().await?;
        Ok(self.written)
    }
}

/// Reads an answer of any bytes as everything that an answer can be.
pub(crate) fn read_any(packet: &[u8]) {
    let Some((&kind, body)) = packet.split_first() else { return };
    let reply = Reply { kind, body: Bytes::copy_from_slice(body) };
    drop((reply.status(), reply.done(), attributes(body).map(|facts| facts.is_directory())));
    if let Some((part, rest)) = string(body) {
        assert_eq!(part.len() + rest.len() + 4, body.len(), "nothing is read twice or lost");
    }
}

/// A path as it may be asked for. One below `~/` is below where the login begins.
fn checked(path: &str) -> Result<&str, FileError> {
    let path = if path == "~" { "." } else { path.strip_prefix("~/").unwrap_or(path) };
    if path.is_empty() || path.len() > PATH_MAX || path.contains('\0') { Err(FileError::Name) } else { Ok(path) }
}

/// One packet of the server's, without its length.
async fn packet(read: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, FileError> {
    let length = read.read_u32().await.map_err(|_| FileError::Over)?;
    let length = usize::try_from(length).ok().filter(|length| (1..=SFTP_PACKET_MAX).contains(length));
    let mut packet = vec![0; length.ok_or(FileError::Broken)?];
    read.read_exact(&mut packet).await.map_err(|_| FileError::Over)?;
    Ok(packet.into())
}

fn string(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn attributes(body: &[u8]) -> Option<FileFacts> {
    const SIZE: u32 = 1;
    const OWNER: u32 = 2;
    const MODE: u32 = 4;
    let (flags, mut rest) = body.split_first_chunk::<4>()?;
    let flags = u32::from_be_bytes(*flags);
    let mut facts = FileFacts::default();
    if flags & SIZE != 0 {
        let (size, after) = rest.split_first_chunk::<8>()?;
        (facts.size, rest) = (Some(u64::from_be_bytes(*size)), after);
    }
    if flags & OWNER != 0 {
        rest = rest.get(8..)?;
    }
    if flags & MODE != 0 {
        facts.mode = rest.first_chunk::<4>().map(|mode| u32::from_be_bytes(*mode));
    }
    Some(facts)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
