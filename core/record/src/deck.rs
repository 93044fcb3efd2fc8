//! Makes recordings: what happens is copied into memory, and one thread writes it all.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tapgate_audit::{Event, Recorder, Tape, TapeFacts, Taped};

use crate::frame::split;
use crate::limits::{CHUNK_LEN, WAITING_MAX, WRITE_EVERY};
use crate::seal::{ChunkKey, MAGIC};
use crate::shelf::Writing;
use crate::{Frame, Kind, Shelf};

/// Makes recordings on a shelf. Dropping it writes what is waiting.
pub struct Deck {
    shelf: Arc<dyn Shelf>,
    key: Vec<u8>,
    desk: Arc<Desk>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer looks at.
#[derive(Default)]
struct Desk {
    state: Mutex<Pile>,
    /// Told when there is much to write, or when it ends.
    filled: Condvar,
}

#[derive(Default)]
struct Pile {
    reels: Vec<Reel>,
    hurry: bool,
    closed: bool,
}

/// A recording at the writer's.
struct Reel {
    live: Arc<LiveTape>,
    file: Box<dyn Writing>,
    key: ChunkKey,
    number: u64,
}

impl Deck {
    /// A deck whose recordings go to this shelf, under this key.
    pub fn new(shelf: Arc<dyn Shelf>, key: &[u8]) -> std::io::Result<Self> {
        let desk = Arc::<Desk>::default();
        let own = Arc::clone(&desk);
        let writer = thread::Builder::new().name("recordings".to_owned()).spawn(move || own.write_all())?;
        Ok(Self { shelf, key: key.to_vec(), desk, writer: Mutex::new(Some(writer)) })
    }

    /// Writes what is waiting and records no more. Blocks.
    pub fn close(&self) {
        self.desk.lock().closed = true;
        self.desk.filled.notify_all();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = writer.map(JoinHandle::join) {
            tracing::error!("The recordings' writer had failed");
        }
        self.shelf.close();
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        self.close();
    }
}

impl Recorder for Deck {
    fn begin(&self, facts: &TapeFacts, fault: Box<dyn Fn(&str) + Send + Sync>) -> Result<Arc<dyn Tape>, String> {
        let key = ChunkKey::new(&self.key, facts.session).ok_or("there is no key for it")?;
        let head = serde_json::to_vec(facts).map_err(|error| error.to_string())?;
        let begun = self.shelf.create(facts.session).and_then(|mut file| {
            // The first chunk at once: a disk that takes none is known before the session begins.
            let mut frames = Vec::new();
            Frame { at: 0, channel: 0, kind: Kind::Facts, data: &head }.write(&mut frames);
            let sealed = key.seal(0, false, &frames).ok_or(std::io::ErrorKind::Other)?;
            file.write_all(&[MAGIC, &sealed].concat())?;
            file.settle()?;
            Ok(file)
        });
        let file = begun.map_err(|error| error.to_string())?;
        let live = Arc::new(LiveTape {
            started: Instant::now(),
            waiting: Mutex::default(),
            fault,
            desk: Arc::clone(&self.desk),
        });
        self.desk.lock().reels.push(Reel { live: Arc::clone(&live), file, key, number: 1 });
        Ok(live)
    }
}

/// A recording at the session's.
struct LiveTape {
    started: Instant,
    waiting: Mutex<Waiting>,
    fault: Box<dyn Fn(&str) + Send + Sync>,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Waiting {
    frames: Vec<u8>,
    /// Output that came faster than it was written.
    lost: u64,
    over: bool,
    broken: bool,
}

impl LiveTape {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, channel: u32, kind: Kind, data: &[u8]) {
        let at = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut waiting = self.lock();
        if waiting.over || waiting.broken {
            return;
        }
        if waiting.frames.len() + data.len() > WAITING_MAX {
            let first = waiting.lost == 0;
            waiting.lost += u64::try_from(data.len()).unwrap_or(u64::MAX);
            drop(waiting);
            if first {
                (self.fault)("it comes faster than it can be written");
            }
            return;
        }
        let before = waiting.frames.len();
        Frame { at, channel, kind, data }.write(&mut waiting.frames);
        let much = before < CHUNK_LEN && waiting.frames.len() >= CHUNK_LEN;
        drop(waiting);
        if much {
            self.desk.lock().hurry = true;
            self.desk.filled.notify_one();
        }
    }
}

impl Tape for LiveTape {
    fn write(&self, channel: u32, what: Taped<'_>) {
        match what {
            Taped::Output(bytes) => self.put(channel, Kind::Output, bytes),
            Taped::Errors(bytes) => self.put(channel, Kind::Errors, bytes),
            Taped::Runs(command) => self.put(channel, Kind::Runs, command),
            Taped::Terminal { cols, rows, name } => {
                self.put(channel, Kind::Terminal, format!("{cols}x{rows} {name}").as_bytes());
            }
            Taped::Resize { cols, rows } => self.put(channel, Kind::Resize, format!("{cols}x{rows}").as_bytes()),
            Taped::Skipped(bytes) => self.put(channel, Kind::Skipped, bytes.to_string().as_bytes()),
            Taped::Exit(status) => self.put(channel, Kind::Exit, status.to_string().as_bytes()),
        }
    }

    fn deed(&self, event: &Event) {
        self.put(0, Kind::Deed, &serde_json::to_vec(event).unwrap_or_default());
    }

    fn end(&self, reason: &str) {
        self.put(0, Kind::End, reason.as_bytes());
        self.lock().over = true;
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Pile> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what has come, again and again, until the deck is dropped.
    fn write_all(&self) {
        let mut closed = false;
        while !closed {
            let idle = |pile: &mut Pile| !pile.closed && !pile.hurry;
            let waited = self.filled.wait_timeout_while(self.lock(), WRITE_EVERY, idle);
            let (mut pile, _) = waited.unwrap_or_else(PoisonError::into_inner);
            pile.hurry = false;
            closed = pile.closed;
            // Without the lock: whoever begins a recording does not wait for the others' disk.
            let mut reels = std::mem::take(&mut pile.reels);
            drop(pile);
            reels.retain_mut(|reel| reel.write(closed));
            self.lock().reels.append(&mut reels);
        }
    }
}

impl Reel {
    /// Writes what has come; false where that was the last of it.
    fn write(&mut self, closed: bool) -> bool {
        let (frames, last) = {
            let mut waiting = self.live.lock();
            if waiting.lost > 0 {
                let lost = std::mem::take(&mut waiting.lost).to_string();
                let at = u64::try_from(self.live.started.elapsed().as_millis()).unwrap_or(u64::MAX);
                Frame { at, channel: 0, kind: Kind::Skipped, data: lost.as_bytes() }.write(&mut waiting.frames);
            }
            (std::mem::take(&mut waiting.frames), waiting.over || closed)
        };
        if frames.is_empty() && !last {
            return true;
        }
        match self.append(&frames, last) {
            Ok(()) => !last,
            Err(error) => {
                self.live.lock().broken = true;
                (self.live.fault)(&error.to_string());
                false
            }
        }
    }

    fn append(&mut self, mut frames: &[u8], last: bool) -> std::io::Result<()> {
        loop {
            let (chunk, rest) = split(frames, CHUNK_LEN);
            let sealed = self.key.seal(self.number, last && rest.is_empty(), chunk).ok_or(std::io::ErrorKind::Other)?;
            self.number += 1;
            self.file.write_all(&sealed)?;
            if rest.is_empty() {
                return self.file.settle();
            }
            frames = rest;
        }
    }
}
