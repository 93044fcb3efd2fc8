//! Brings recordings to the store: parts as a session goes, the rest at its end; again and again while it is away.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, ObjectStoreExt as _};
use tapgate_model::SessionId;
use tokio::time::{sleep, timeout};

use super::heads::{Head, Heads};
use super::ledger::Ledger;
use super::{Store, object};
use crate::limits::{HEAD_LEN, PART_LEN, SHIP_EVERY, SHIP_LAST, SHIP_PAUSE_MAX};
use crate::{Folder, Shelf as _};

/// The name under which an upload's number is kept beside its recording: one that a crash has left is ended.
const UPLOAD: &str = ".upload";

/// Brings them there, one after the other, so that one part is in memory at a time.
pub(super) struct Shipper {
    pub(super) spool: Folder,
    pub(super) heads: Heads,
    pub(super) store: Arc<dyn Store>,
    pub(super) prefix: Path,
    pub(super) ledger: Arc<Ledger>,
    pub(super) uploads: HashMap<SessionId, Upload>,
}

/// A recording of which the store has parts.
pub(super) struct Upload {
    id: MultipartId,
    parts: Vec<PartId>,
    sent: u64,
}

/// Why something did not get there.
#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error("the store: {0}")]
    Store(#[from] object_store::Error),
    #[error("the directory of recordings: {0}")]
    Here(#[from] io::Error),
}

impl Shipper {
    /// Goes on until the gate ends; then there is one last round, for a moment.
    pub(super) async fn run(mut self) {
        let mut closed = self.ledger.closed.subscribe();
        let mut pause = SHIP_EVERY;
        loop {
            if *closed.borrow_and_update() {
                let last = timeout(SHIP_LAST, self.round()).await;
                let waiting = self.ledger.waiting().len();
                if waiting > 0 || last.is_err() {
                    tracing::warn!(waiting, "Recordings wait for the store until the next start");
                }
                return;
            }
            let ended = async { closed.wait_for(|closed| *closed).await.map(drop).unwrap_or_default() };
            match self.round().await {
                Ok(()) => {
                    pause = SHIP_EVERY;
                    tokio::select! {
                        () = self.ledger.news.notified() => {}
                        () = sleep(pause) => {}
                        () = ended => {}
                    }
                }
                Err(error) => {
                    let waiting = self.ledger.waiting().len();
                    tracing::warn!(%error, waiting, "Recordings can't be brought to the store; they wait");
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = ended => {}
                    }
                    pause = (pause * 2).min(SHIP_PAUSE_MAX);
                }
            }
        }
    }

    async fn round(&mut self) -> Result<(), ShipError> {
        let mut first_error = None;
        for session in self.ledger.waiting() {
            if let Err(error) = self.ship(session).await {
                // One that the store has forgotten is begun anew; any other error may be over next time.
                if matches!(error, ShipError::Store(object_store::Error::NotFound { .. })) {
                    self.uploads.remove(&session);
                }
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn ship(&mut self, session: SessionId) -> Result<(), ShipError> {
        // Asked before the length: what is not live any more grows no more.
        let Some(live) = self.ledger.is_live(session) else { return Ok(()) };
        let file = match File::open(self.spool.file(session)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !live => {
                self.ledger.forget(session, 0);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let len = file.metadata()?.len();
        let part = u64::try_from(PART_LEN).unwrap_or(u64::MAX);
        while len - self.sent(session) >= part {
            self.send_part(session, &file, PART_LEN).await?;
        }
        if live {
            return Ok(());
        }
        let path = object(&self.prefix, session);
        let rest = usize::try_from(len - self.sent(session)).unwrap_or(0);
        if self.uploads.contains_key(&session) {
            if rest > 0 {
                self.send_part(session, &file, rest).await?;
            }
            if let Some(upload) = self.uploads.get(&session) {
                self.store.complete_multipart(&path, &upload.id, upload.parts.clone()).await?;
            }
            self.uploads.remove(&session);
            fs::remove_file(self.upload_file(session)).unwrap_or_default();
        } else {
            self.store.put(&path, read_at(&file, 0, rest)?.into()).await?;
        }
        let head = read_at(&file, 0, usize::try_from(len).unwrap_or(HEAD_LEN).min(HEAD_LEN))?;
        self.heads.keep(session, &Head { size: len, bytes: head })?;
        self.spool.remove(session)?;
        self.ledger.forget(session, len);
        Ok(())
    }

    fn sent(&self, session: SessionId) -> u64 {
        self.uploads.get(&session).map_or(0, |upload| upload.sent)
    }

    async fn send_part(&mut self, session: SessionId, file: &File, len: usize) -> Result<(), ShipError> {
        let path = object(&self.prefix, session);
        if !self.uploads.contains_key(&session) {
            self.end_old(session, &path).await;
            let id = self.store.create_multipart(&path).await?;
            fs::write(self.upload_file(session), &id)?;
            self.uploads.insert(session, Upload { id, parts: Vec::new(), sent: 0 });
        }
        let Some(upload) = self.uploads.get_mut(&session) else { return Ok(()) };
        let bytes = read_at(file, upload.sent, len)?;
        let part = self.store.put_part(&path, &upload.id, upload.parts.len(), bytes.into()).await?;
        upload.parts.push(part);
        upload.sent += u64::try_from(len).unwrap_or(0);
        Ok(())
    }

    /// Ends what an earlier run has begun: the store would keep its parts, unseen.
    async fn end_old(&self, session: SessionId, path: &Path) {
        if let Ok(id) = fs::read_to_string(self.upload_file(session))
            && let Err(error) = self.store.abort_multipart(path, &id).await
        {
            tracing::warn!(%error, %session, "An upload that was broken off can't be ended");
        }
    }

    fn upload_file(&self, session: SessionId) -> PathBuf {
        self.spool.path().join(format!("{session}{UPLOAD}"))
    }
}

fn read_at(file: &File, place: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, place)?;
    Ok(bytes)
}
