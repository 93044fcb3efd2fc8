//! Recordings in a store that speaks S3: written here first, brought there as the session goes, read from there.
//!
//! A crash loses what it would lose without a store. A store that is away lets recordings wait here, up to a limit. What
//! is lost with this machine's disk is what has not arrived: live sessions, and what waits.

mod heads;
mod ledger;
mod reader;
mod ship;

use std::collections::{HashMap, HashSet};
use std::path::Path as FilePath;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use std::{fs, io};

use futures::TryStreamExt as _;
use futures::future::ready;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tapgate_model::SessionId;
use tokio::runtime::{Builder, Runtime};

use self::heads::{Head, Heads};
use self::ledger::Ledger;
use self::reader::Distant;
use self::ship::Shipper;
use crate::limits::{HEAD_LEN, SHIP_LAST};
use crate::shelf::SUFFIX;
use crate::{Folder, Kept, Reading, Shelf, Writing};

/// What a store of objects must be able to do.
pub trait Store: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Store for T {}

/// What a distant shelf is made of.
pub struct RemoteParts<'a> {
    /// The directory where recordings are written.
    pub folder: &'a FilePath,
    /// Where they go.
    pub store: Arc<dyn Store>,
    /// What their names there begin with.
    pub prefix: &'a str,
    /// How many bytes may wait in the directory, live recordings among them.
    pub waiting_max: u64,
}

/// A shelf elsewhere.
pub struct Remote {
    spool: Folder,
    heads: Heads,
    store: Arc<dyn Store>,
    prefix: Path,
    ledger: Arc<Ledger>,
    runtime: Option<Runtime>,
    ended: Mutex<Receiver<()>>,
}

impl Remote {
    /// Opens it, and begins to bring there what an earlier run has left.
    pub fn open(parts: RemoteParts<'_>) -> io::Result<Self> {
        let RemoteParts { folder, store, prefix, waiting_max } = parts;
        let spool = Folder::new(folder)?;
        let heads = Heads::new(&folder.join("heads"))?;
        let prefix = Path::from(prefix);
        let ledger = Arc::new(Ledger::new(&spool.all()?, waiting_max));
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("recordings-store").enable_all().build()?;
        let shipper = Shipper {
            spool: spool.clone(),
            heads: heads.clone(),
            store: Arc::clone(&store),
            prefix: prefix.clone(),
            ledger: Arc::clone(&ledger),
            uploads: HashMap::new(),
        };
        let (told, ended) = mpsc::channel();
        runtime.spawn(async move {
            shipper.run().await;
            // Nobody may be listening: then nobody waits.
            told.send(()).unwrap_or_default();
        });
        Ok(Self { spool, heads, store, prefix, ledger, runtime: Some(runtime), ended: Mutex::new(ended) })
    }

    fn runtime(&self) -> io::Result<&Runtime> {
        self.runtime.as_ref().ok_or_else(|| io::Error::other("the store is closed"))
    }

    /// What is in the store.
    fn there(&self) -> io::Result<Vec<Kept>> {
        let listing = self.store.list(Some(&self.prefix)).try_filter_map(|object| {
            let name = object.location.filename().and_then(|name| name.strip_suffix(SUFFIX));
            let session = name.and_then(|name| name.parse().ok());
            let changed = SystemTime::from(object.last_modified);
            ready(Ok(session.map(|session| Kept { session, size: object.size, begun: changed, changed })))
        });
        self.runtime()?.block_on(listing.try_collect()).map_err(to_io)
    }

    /// A recording's beginning, from here or from there.
    fn head(&self, session: SessionId, path: &Path) -> io::Result<Head> {
        if let Some(head) = self.heads.read(session) {
            return Ok(head);
        }
        let asked = self.runtime()?.block_on(async {
            let size = self.store.head(path).await?.size;
            let most = u64::try_from(HEAD_LEN).unwrap_or(u64::MAX).min(size);
            let bytes = if size == 0 { Vec::new() } else { self.store.get_range(path, 0..most).await?.into() };
            Ok::<_, object_store::Error>(Head { size, bytes })
        });
        let head = asked.map_err(to_io)?;
        self.heads.keep(session, &head)?;
        Ok(head)
    }
}

impl Shelf for Remote {
    fn create(&self, session: SessionId) -> io::Result<Box<dyn Writing>> {
        // There must be room for a beginning at least.
        self.ledger.take_room(0)?;
        let file = self.spool.create(session)?;
        Ok(Box::new(self.ledger.begin(session, file)))
    }

    fn open(&self, session: SessionId) -> io::Result<Box<dyn Reading>> {
        match self.spool.open(session) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let path = object(&self.prefix, session);
        let Head { size, bytes } = self.head(session, &path)?;
        let (store, runtime) = (Arc::clone(&self.store), self.runtime()?.handle().clone());
        Ok(Box::new(Distant { store, path, runtime, size, place: 0, here: bytes, begins: 0 }))
    }

    fn all(&self) -> io::Result<Vec<Kept>> {
        let mut all = self.spool.all()?;
        let here: HashSet<SessionId> = all.iter().map(|kept| kept.session).collect();
        all.extend(self.there()?.into_iter().filter(|kept| !here.contains(&kept.session)));
        Ok(all)
    }

    fn remove(&self, session: SessionId) -> io::Result<()> {
        let waits = fs::metadata(self.spool.file(session)).ok();
        if let Some(about) = &waits {
            self.spool.remove(session)?;
            self.ledger.forget(session, about.len());
        }
        self.heads.forget(session);
        match self.runtime()?.block_on(self.store.delete(&object(&self.prefix, session))) {
            Err(object_store::Error::NotFound { .. }) if waits.is_some() => Ok(()),
            other => other.map_err(to_io),
        }
    }

    fn close(&self) {
        self.ledger.closed.send_replace(true);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // A little longer than the shipping itself takes: it says what is left.
        ended.recv_timeout(SHIP_LAST + SHIP_LAST / 2).unwrap_or_default();
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.ledger.closed.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A recording's name in the store.
fn object(prefix: &Path, session: SessionId) -> Path {
    prefix.clone().join(format!("{session}{SUFFIX}"))
}

fn to_io(error: object_store::Error) -> io::Error {
    match error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound.into(),
        other => io::Error::other(other),
    }
}
