//! The sessions that are open: one for each credential, cluster and login, found again by every request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use tapgate_model::{Digest, Login, TargetName};
use tapgate_session::{EndReason, Live};
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::limits::{CREDENTIALS_AGE_MIN, SESSION_IDLE, SESSIONS_MAX};
use crate::upstream::Sender;

/// By what a request finds its session. The credential is the certificate itself, so a new one begins a new session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) credential: Digest,
    pub(crate) cluster: TargetName,
    pub(crate) login: Login,
    pub(crate) address: IpAddr,
}

/// A session with a cluster.
pub(crate) struct Session {
    pub(crate) live: Arc<Live>,
    pub(crate) sender: Sender,
    /// What requests' paths are put after.
    pub(crate) base: Uri,
    /// How many requests are under way, and when the last one ended.
    active: AtomicUsize,
    last: Mutex<Instant>,
    /// Since when it has its credentials, and whether the API server takes them no longer.
    since: Instant,
    refused: AtomicBool,
    /// How many commands were run in it.
    commands: AtomicU32,
    over: CancellationToken,
    why: OnceLock<String>,
}

/// A place in the table. Requests that come at once wait for the one that opens the session: one command fans out,
/// and a tap that is good for one session must not be spent twice.
pub(crate) type Place = Arc<OnceCell<Arc<Session>>>;

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Key, Place>>);

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of this key; `None` where there is no room for another one.
    pub(crate) fn place(&self, key: &Key) -> Option<Place> {
        let mut all = self.all();
        if let Some(place) = all.get(key) {
            return Some(Arc::clone(place));
        }
        // Room first. Whoever has a new certificate never finds a session that is over, and a place where none was opened
        // is only a name, unless somebody waits for it.
        all.retain(|_, place| place.get().map_or_else(|| Arc::strong_count(place) > 1, |session| !session.is_over()));
        (all.len() < SESSIONS_MAX).then(|| Arc::clone(all.entry(key.clone()).or_default()))
    }

    /// Takes a place out, so that the next request opens a session anew.
    pub(crate) fn remove(&self, key: &Key, place: &Place) {
        let mut all = self.all();
        if all.get(key).is_some_and(|known| Arc::ptr_eq(known, place)) {
            all.remove(key);
        }
    }

    /// Takes a place out where no session was opened in it and nobody else waits for one.
    pub(crate) fn give_up(&self, key: &Key, place: &Place) {
        let mut all = self.all();
        let mine = all.get(key).is_some_and(|known| Arc::ptr_eq(known, place));
        if mine && !place.initialized() && Arc::strong_count(place) <= 2 {
            all.remove(key);
        }
    }
}

impl Session {
    pub(crate) fn new(live: Arc<Live>, sender: Sender, base: Uri) -> Arc<Self> {
        Arc::new(Self {
            live,
            sender,
            base,
            active: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            since: Instant::now(),
            refused: AtomicBool::new(false),
            commands: AtomicU32::new(0),
            over: CancellationToken::new(),
            why: OnceLock::new(),
        })
    }

    /// Marks the session as used for as long as the answer lives.
    pub(crate) fn using(self: &Arc<Self>) -> Using {
        self.active.fetch_add(1, Ordering::SeqCst);
        Using(Arc::clone(self))
    }

    /// The number that another command has in the session's recording.
    pub(crate) fn next_channel(&self) -> u32 {
        self.commands.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The API server does not take the credentials that the session has.
    pub(crate) fn is_refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Whether requests may still be made in it: it is allowed, it is not over, and its credentials are good as far as is
    /// known. Where they are not, the next session reads them anew, and streams that are open go on.
    pub(crate) fn takes_requests(&self) -> bool {
        let outdated = self.refused.load(Ordering::Relaxed) && self.since.elapsed() >= CREDENTIALS_AGE_MIN;
        // Every request is an opening of its own for the window.
        !outdated && !self.is_over() && self.live.may_open().is_ok()
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits until the session must end or was idle for too long, and ends it.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut cut = self.live.cut();
        let idle = self.live.terms().client_idle_timeout.unwrap_or(SESSION_IDLE);
        let reason = tokio::select! {
            reason = cut.wanted() => EndReason::Cut(reason),
            () = self.idle_for(idle) => EndReason::Idle,
        };
        // The first reason is the one that is told.
        self.why.set(reason.to_string()).ok();
        self.over.cancel();
        self.live.end(&reason);
    }

    async fn idle_for(&self, span: Duration) {
        loop {
            let since = self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            let busy = self.active.load(Ordering::SeqCst) > 0;
            if !busy && since >= span {
                return;
            }
            let left = if busy { span } else { span.saturating_sub(since) };
            tokio::time::sleep(left.max(Duration::from_millis(100))).await;
        }
    }
}

/// A request under way.
pub(crate) struct Using(Arc<Session>);

impl Using {
    /// Ends with the session.
    pub(crate) fn over(&self) -> WaitForCancellationFutureOwned {
        self.0.over.clone().cancelled_owned()
    }

    /// Why the session ended.
    pub(crate) fn why(&self) -> String {
        self.0.why.get().cloned().unwrap_or_else(|| "the session is over".to_owned())
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}
