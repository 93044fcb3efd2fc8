//! Recordings out and back: whole, cut off, altered, and on a disk that is full.

#![cfg(test)]

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tapgate_audit::{Event, Recorder as _, TapeFacts, Taped};
use tapgate_model::{Kind, SessionId, UnixTime};
use tapgate_record::{Deck, Folder, Keep, ReadError, Shelf, Shown, frames, list, page, prune};

const KEY: [u8; 32] = [7; 32];

fn facts(n: u8) -> TapeFacts {
    TapeFacts {
        session: SessionId::from_bytes([n; 16]),
        user: "ann".parse().unwrap(),
        kind: Kind::Node,
        target: "prod3".parse().unwrap(),
        login: "root".into(),
        protocol: "ssh".into(),
        started: UnixTime::from_secs(1_795_180_333),
    }
}

fn no_fault() -> Box<dyn Fn(&str) + Send + Sync> {
    Box::new(|why| panic!("{why}"))
}

/// All frames, and whether the recording was ended in good order.
fn read(shelf: &dyn Shelf, n: u8) -> Result<(Vec<Shown>, bool), ReadError> {
    let (mut all, mut at, mut last) = (Vec::new(), None, false);
    loop {
        let piece = page(shelf, &KEY, facts(n).session, at)?;
        let found = frames(&piece.bytes).unwrap();
        all.extend(found.iter().map(|f| (f.at, f.channel, f.kind, f.data.to_vec())));
        last |= piece.last;
        match piece.next {
            Some(next) => at = Some(next),
            None => return Ok((all, last)),
        }
    }
}

fn words(all: &[Shown]) -> Vec<(&'static str, String)> {
    all.iter().map(|(_, _, kind, data)| (kind.as_str(), String::from_utf8_lossy(data).into_owned())).collect()
}

struct Scene {
    dir: tempfile::TempDir,
    shelf: Arc<Folder>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Folder::new(&dir.path().join("recordings")).unwrap());
        Self { dir, shelf }
    }

    fn file(&self, n: u8) -> PathBuf {
        self.dir.path().join("recordings").join(format!("{}.tgrec", facts(n).session))
    }

    /// A recording of a short terminal session.
    fn usual(&self, n: u8) {
        let deck = Deck::new(self.shelf.clone(), &KEY).unwrap();
        let tape = deck.begin(&facts(n), no_fault()).unwrap();
        tape.write(1, Taped::Terminal { cols: 100, rows: 30, name: "xterm" });
        tape.write(1, Taped::Runs(b""));
        tape.write(1, Taped::Output("h\u{e9}".as_bytes().split_last().unwrap().1));
        tape.write(1, Taped::Output(&["\u{e9}".as_bytes()[1], b'\n']));
        tape.write(1, Taped::Resize { cols: 80, rows: 24 });
        tape.write(2, Taped::Output(b"another channel"));
        tape.deed(&Event::security_warning("told"));
        tape.write(1, Taped::Exit(0));
        tape.end("closed by the client");
        tape.write(1, Taped::Output(b"too late"));
    }
}

#[test]
fn a_session_comes_back_as_it_was() {
    let scene = Scene::new();
    scene.usual(1);
    let (all, last) = read(&*scene.shelf, 1).unwrap();
    assert!(last);
    let said = words(&all);
    assert_eq!(said[0].0, "facts");
    let text = |kind: &str| said.iter().filter(|(k, _)| *k == kind).map(|(_, text)| text.as_str()).collect::<Vec<_>>();
    assert_eq!((text("terminal"), text("resize"), text("exit")), (vec!["100x30 xterm"], vec!["80x24"], vec!["0"]));
    assert_eq!((text("end"), text("output").len()), (vec!["closed by the client"], 3));
    assert!(text("deed")[0].contains("security.warning"));
    let listed = list(&*scene.shelf, &KEY).unwrap();
    assert_eq!((listed.len(), &listed[0].facts), (1, &facts(1)));
    // On the disk there is nothing to be read without the key.
    let bytes = fs::read(scene.file(1)).unwrap();
    assert!(bytes.starts_with(b"TGREC1\n") && !String::from_utf8_lossy(&bytes).contains("prod3"));
    assert!(matches!(page(&*scene.shelf, &[8; 32], facts(1).session, None), Err(ReadError::Altered)));
    assert!(matches!(page(&*scene.shelf, &KEY, facts(9).session, None), Err(ReadError::Missing)));
}

#[test]
fn much_output_is_cut_into_pieces() {
    let scene = Scene::new();
    let deck = Deck::new(scene.shelf.clone(), &KEY).unwrap();
    let tape = deck.begin(&facts(1), no_fault()).unwrap();
    let piece: Vec<u8> = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    (0..20).for_each(|_| tape.write(1, Taped::Output(&piece)));
    tape.end("over");
    deck.close();
    let (mut at, mut pieces, mut bytes) = (None, 0, 0);
    loop {
        let found = page(&*scene.shelf, &KEY, facts(1).session, at).unwrap();
        assert!(found.bytes.len() < 1024 * 1024, "{}", found.bytes.len());
        bytes += frames(&found.bytes).unwrap().iter().filter(|f| f.channel == 1).map(|f| f.data.len()).sum::<usize>();
        (pieces, at) = (pieces + 1, found.next);
        if at.is_none() {
            break;
        }
    }
    assert!(pieces > 8 && bytes == 20 * piece.len(), "{pieces} pieces, {bytes} bytes");
}

#[test]
fn what_was_altered_moved_or_cut_off_is_known() {
    let scene = Scene::new();
    scene.usual(1);
    scene.usual(2);
    let whole = fs::read(scene.file(1)).unwrap();
    // A flipped bit anywhere; one in a length may also look like an end that is not there yet.
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        fs::write(scene.file(1), changed).unwrap();
        assert!(!matches!(read(&*scene.shelf, 1), Ok((_, true))), "byte {place}");
    }
    // Another session's recording under this one's name.
    fs::copy(scene.file(2), scene.file(1)).unwrap();
    assert!(matches!(read(&*scene.shelf, 1), Err(ReadError::Altered)));
    // A crash in the middle: what was written is there, and that it is not all is known.
    fs::write(scene.file(1), &whole[..whole.len() - 3]).unwrap();
    let (all, last) = read(&*scene.shelf, 1).unwrap();
    assert!(!last && words(&all)[0].0 == "facts");
}

#[test]
fn a_crash_loses_less_than_a_second() {
    let scene = Scene::new();
    let deck = Deck::new(scene.shelf.clone(), &KEY).unwrap();
    let tape = deck.begin(&facts(1), no_fault()).unwrap();
    tape.write(1, Taped::Output(b"typed"));
    let begun = Instant::now();
    while !words(&read(&*scene.shelf, 1).unwrap().0).contains(&("output", "typed".to_owned())) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never written");
        std::thread::yield_now();
    }
    // A deck that ends leaves a whole recording, though its session goes on.
    drop(deck);
    assert!(read(&*scene.shelf, 1).unwrap().1);
}

/// A shelf whose disk takes so many writes.
struct Full(Arc<AtomicUsize>, Folder);

struct FullFile(Arc<AtomicUsize>, Box<dyn Write + Send>);

impl Write for FullFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

impl tapgate_record::Writing for FullFile {
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shelf for Full {
    fn create(&self, session: SessionId) -> io::Result<Box<dyn tapgate_record::Writing>> {
        Ok(Box::new(FullFile(Arc::clone(&self.0), Box::new(self.1.create(session)?))))
    }

    fn open(&self, session: SessionId) -> io::Result<Box<dyn tapgate_record::Reading>> {
        self.1.open(session)
    }

    fn all(&self) -> io::Result<Vec<tapgate_record::Kept>> {
        self.1.all()
    }

    fn remove(&self, session: SessionId) -> io::Result<()> {
        self.1.remove(session)
    }
}

#[test]
fn a_full_disk_is_told_before_a_session_or_within_it() {
    let scene = Scene::new();
    let left = Arc::new(AtomicUsize::new(1));
    let shelf = Full(Arc::clone(&left), (*scene.shelf).clone());
    let deck = Deck::new(Arc::new(shelf), &KEY).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&told);
    let tape = deck.begin(&facts(1), Box::new(move |why| own.lock().unwrap().push(why.to_owned()))).unwrap();
    tape.write(1, Taped::Output(b"more"));
    let begun = Instant::now();
    while told.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody is told");
        std::thread::yield_now();
    }
    assert!(told.lock().unwrap()[0].contains("space"), "{told:?}");
    let refused = deck.begin(&facts(2), no_fault()).err().unwrap();
    assert!(refused.contains("space"), "{refused}");
}

#[test]
fn what_is_kept_no_longer_goes_and_what_is_live_stays() {
    let scene = Scene::new();
    (1..=4).for_each(|n| scene.usual(n));
    let live = |session: SessionId| session == facts(1).session;
    let pruned = |keep: Keep, later: Duration| {
        let mut gone = Vec::new();
        let now = SystemTime::now() + later;
        prune(&*scene.shelf, &keep, now, live, |session, why| gone.push((session, why.to_owned()))).unwrap();
        gone
    };
    assert_eq!(pruned(Keep::default(), Duration::from_hours(1)), []);
    let size = fs::metadata(scene.file(2)).unwrap().len();
    let gone = pruned(Keep { size: Some(size * 3 + size / 2), ..Keep::default() }, Duration::ZERO);
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(
        gone[0].0 == facts(2).session && gone[0].1.contains("larger than"),
        "the oldest that is not live: {gone:?}"
    );
    let gone = pruned(Keep { age: Some(Duration::from_mins(30)), ..Keep::default() }, Duration::from_hours(1));
    assert_eq!(gone.iter().map(|(session, _)| *session).collect::<Vec<_>>(), [facts(3).session, facts(4).session]);
    assert!(gone[0].1.contains("older than 1800 s"), "{gone:?}");
    assert!(read(&*scene.shelf, 1).is_ok() && matches!(read(&*scene.shelf, 3), Err(ReadError::Missing)));
}

/// Prints what one core takes; a session's own thread only copies.
#[test]
fn it_is_fast_enough() {
    let scene = Scene::new();
    let deck = Deck::new(scene.shelf.clone(), &KEY).unwrap();
    let tape = deck.begin(&facts(1), Box::new(|_| {})).unwrap();
    let line = "drwxr-xr-x  2 root root 4096 Nov 29 20:00 some-directory\r\n".repeat(64);
    let (count, begun) = (1000_u32, Instant::now());
    (0..count).for_each(|_| tape.write(1, Taped::Output(line.as_bytes())));
    let bytes = f64::from(count) * f64::from(u32::try_from(line.len()).unwrap());
    let copied = bytes / begun.elapsed().as_secs_f64() / 1e6;
    drop(deck);
    let written = bytes / begun.elapsed().as_secs_f64() / 1e6;
    println!("{copied:.0} MB/s copied by the session, {written:.0} MB/s written");
    assert!(copied > 20.0, "{copied}");
}
