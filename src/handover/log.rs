//! The audit log of a process that may hand it over: into its file, held for a moment, or by way of the process that has
//! the file now.

use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use anyhow::Result;
use tapgate_audit::{Event, FileSink, Sink};
use tokio::sync::mpsc;

use crate::limits::LOG_HELD_MAX;

/// Opens the file.
type Open = Box<dyn Fn() -> Result<FileSink> + Send + Sync>;

/// The log.
pub(crate) struct Log {
    place: RwLock<Place>,
    open: Open,
}

/// Where events go.
enum Place {
    File(FileSink),
    /// Nobody has the file just now.
    Held(Vec<Event>, u64),
    Away(mpsc::Sender<Event>),
    Over,
}

impl Log {
    /// Opens the file by this, now and whenever it is taken back.
    pub(crate) fn open(open: impl Fn() -> Result<FileSink> + Send + Sync + 'static) -> Result<Self> {
        let file = open()?;
        Ok(Self { place: RwLock::new(Place::File(file)), open: Box::new(open) })
    }

    fn place(&self) -> RwLockWriteGuard<'_, Place> {
        self.place.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file to its end and lets it go; from here on events are held. Blocks.
    pub(crate) fn let_go(&self) {
        let file = std::mem::replace(&mut *self.place(), Place::Held(Vec::new(), 0));
        drop(file);
    }

    /// Opens the file again and writes what was held. Blocks.
    pub(crate) fn take_back(&self) -> Result<()> {
        let mut place = self.place();
        let file = (self.open)()?;
        held(&mut place, |event| file.record(event));
        *place = Place::File(file);
        Ok(())
    }

    /// Sends what was held, and all that comes, to the process that has the file.
    pub(crate) fn send_by(&self, way: mpsc::Sender<Event>) {
        let mut place = self.place();
        held(&mut place, |event| send(&way, event));
        *place = Place::Away(way);
    }

    /// Ends it: a file is written to its end, with a checkpoint; whoever has the file otherwise is told that this was all.
    pub(crate) fn end(&self) -> Result<()> {
        let place = std::mem::replace(&mut *self.place(), Place::Over);
        if let Place::File(file) = &place {
            file.seal()?;
        }
        Ok(())
    }
}

/// Takes the held events out.
fn held(place: &mut Place, mut each: impl FnMut(Event)) {
    let Place::Held(events, lost) = place else { return };
    events.drain(..).for_each(&mut each);
    if *lost > 0 {
        each(Event::AuditLost { count: *lost });
    }
}

fn send(way: &mpsc::Sender<Event>, event: Event) {
    if let Err(error) = way.try_send(event) {
        tracing::error!(%error, "An event did not reach the audit log");
    }
}

impl Sink for Log {
    fn record(&self, event: Event) {
        if let Place::File(file) = &*self.place.read().unwrap_or_else(PoisonError::into_inner) {
            return file.record(event);
        }
        match &mut *self.place() {
            Place::File(file) => file.record(event),
            Place::Held(events, _) if events.len() < LOG_HELD_MAX => events.push(event),
            Place::Held(_, lost) => *lost += 1,
            Place::Away(way) => send(way, event),
            Place::Over => tracing::error!(event = event.name(), "An event came after the audit log's end"),
        }
    }

    /// A session that is opened while the log changes hands is in it before long: what is held reaches the file by one
    /// way or the other. Whether this process opens any is the gate's to say.
    fn takes_sessions(&self) -> bool {
        match &*self.place.read().unwrap_or_else(PoisonError::into_inner) {
            Place::File(file) => file.takes_sessions(),
            Place::Held(events, lost) => *lost == 0 && events.len() < LOG_HELD_MAX,
            Place::Away(way) => way.capacity() > 0 && !way.is_closed(),
            Place::Over => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use tapgate_audit::verify_file;
    use tapgate_model::SystemClock;

    #[tokio::test]
    async fn nothing_is_lost_while_the_file_changes_hands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let file = path.clone();
        let log = Log::open(move || Ok(FileSink::open(&file, Arc::new(SystemClock))?)).unwrap();
        log.record(Event::gate_started("1"));
        assert!(FileSink::open(&path, Arc::new(SystemClock)).is_err(), "one process has the file");
        log.let_go();
        log.record(Event::security_warning("held"));
        assert!(log.takes_sessions());
        drop(FileSink::open(&path, Arc::new(SystemClock)).unwrap());

        log.take_back().unwrap();
        assert!(log.takes_sessions());
        log.let_go();
        assert_eq!(verify_file(&path).unwrap().records, 2);

        log.record(Event::security_warning("held again"));
        let (way, mut come) = mpsc::channel(8);
        log.send_by(way);
        log.record(Event::security_warning("sent"));
        assert!(log.takes_sessions());
        log.end().unwrap();
        assert!(!log.takes_sessions());
        let mut seen = Vec::new();
        while let Some(event) = come.recv().await {
            seen.push(event);
        }
        assert_eq!(seen, ["held again", "sent"].map(Event::security_warning));
    }

    #[tokio::test]
    async fn where_an_event_could_be_lost_no_session_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let log = Log::open(move || Ok(FileSink::open(&path, Arc::new(SystemClock))?)).unwrap();
        log.let_go();
        for _ in 0..LOG_HELD_MAX {
            assert!(log.takes_sessions());
            log.record(Event::security_warning("held"));
        }
        assert!(!log.takes_sessions());
        let (way, come) = mpsc::channel(LOG_HELD_MAX + 1);
        log.send_by(way);
        assert!(log.takes_sessions());
        log.record(Event::security_warning("the last there is room for"));
        assert!(!log.takes_sessions());
        drop(come);
        assert!(!log.takes_sessions());
    }
}
