//! Terminals in pages: who has one open, and the secret that ties a tap and the files to it.

mod files;
mod pump;
mod socket;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tapgate_api::{TerminalNews, web_path};
use tapgate_authority::{Fault, WebSession};
use tapgate_model::Digest;
use tapgate_proof::Holder;
use tapgate_session::{ConnectionFacts, Door, ProtocolName};
use tapgate_ssh::Visit;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::limits::{TERMINALS_MAX, TERMINALS_PER_SESSION_MAX};

/// What is asked for by whoever is signed in, and comes with the cookie.
pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route(web_path::TERMINAL, get(socket::open))
        .route(web_path::FILES, post(files::begin))
        .route(web_path::DOWNLOAD, get(files::download))
}

/// The same, where the body is a file and no JSON.
pub(super) fn uploads() -> Router<Arc<App>> {
    Router::new().route(web_path::UPLOAD, post(files::upload))
}

/// The terminals that are open, by the hash of their secret.
#[derive(Default)]
pub(crate) struct Terminals(Arc<Mutex<HashMap<Digest, Arc<Terminal>>>>);

/// One page's connection.
pub(super) struct Terminal {
    /// The hash of its secret.
    number: Digest,
    session: WebSession,
    peer: SocketAddr,
    /// Where its session leads; known once that is open.
    visit: OnceLock<Visit>,
    files: files::Place,
    /// What the page is told beside what its terminal shows. Where it does not read, it is told less.
    news: mpsc::Sender<TerminalNews>,
    /// The page is gone, and what belongs to it ends.
    gone: CancellationToken,
}

/// A page's place among the terminals; it is given up when this is dropped.
struct Entered {
    terminal: Arc<Terminal>,
    secret: String,
    news: mpsc::Receiver<TerminalNews>,
    all: Arc<Mutex<HashMap<Digest, Arc<Terminal>>>>,
}

impl Terminals {
    /// The terminal of this secret, where it is this very web session's.
    pub(super) fn find(&self, secret: &str, session: &WebSession) -> Result<Arc<Terminal>, Fault> {
        let found = lock(&self.0).get(&hash(secret)).cloned();
        let own = found.filter(|terminal| terminal.session.number() == session.number());
        own.ok_or_else(|| Fault::not_found("this page's connection is gone (open the terminal again)"))
    }

    /// Takes a place, where there is room.
    fn enter(&self, session: &WebSession, peer: SocketAddr) -> Result<Entered, Fault> {
        let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        // What does not fit is progress, of which there is more to come.
        let (news, told) = mpsc::channel(16);
        let terminal = Arc::new(Terminal {
            number: hash(&secret),
            session: session.clone(),
            peer,
            visit: OnceLock::new(),
            files: files::Place::default(),
            news,
            gone: CancellationToken::new(),
        });
        let mut all = lock(&self.0);
        let own = all.values().filter(|other| other.session.number() == session.number()).count();
        if all.len() >= TERMINALS_MAX || own >= TERMINALS_PER_SESSION_MAX {
            return Err(Fault::unavailable("too many terminals are open", "close one first"));
        }
        all.insert(terminal.number, Arc::clone(&terminal));
        drop(all);
        Ok(Entered { terminal, secret, news: told, all: Arc::clone(&self.0) })
    }
}

impl Terminal {
    /// What a tap must name to open sessions for this page.
    pub(super) fn holder(&self) -> Holder {
        Holder::WebConnection { session: self.session.number(), connection: self.number }
    }

    fn facts(&self) -> ConnectionFacts {
        ConnectionFacts { peer: self.peer, door: Door::Web, protocol: ProtocolName::Ssh, holder: Some(self.holder()) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.terminal.number);
        self.terminal.gone.cancel();
    }
}

fn lock(all: &Mutex<HashMap<Digest, Arc<Terminal>>>) -> MutexGuard<'_, HashMap<Digest, Arc<Terminal>>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The secret itself is in no statement and in no log.
fn hash(secret: &str) -> Digest {
    tapgate_identity::spki_digest(&[b"tapgate/web-connection/v1".as_slice(), secret.as_bytes()].concat())
}
