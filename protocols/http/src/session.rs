//! One session of an application: opened once, found again by every request, over at one moment for all of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tapgate_identity::Identity;
use tapgate_model::{Digest, TargetName, UserName};
use tapgate_proof::Holder;
use tapgate_session::{AppResource, DialError, Live, Meter, Upstream};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::conn::Connection;
use crate::device::Binding;
use crate::headers::Said;
use crate::limits::{IDLE_MAX, RECHECK_EVERY};
use crate::peer::Peers;

/// By what a session is found again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SessionKey {
    /// By the hash of a browser's cookie.
    Cookie(Digest),
    /// By the certificate that a tunnel came with, and the application.
    Certificate(Digest, TargetName),
}

/// Whose session it is, and by what right.
#[derive(Debug, Clone)]
pub struct Party {
    /// Who.
    pub identity: Arc<Identity>,
    /// What a tap must have named: a web session; none where a certificate was shown.
    pub holder: Option<Holder>,
}

/// A session of an application.
pub(crate) struct AppSession {
    pub(crate) live: Live,
    pub(crate) app: Arc<AppResource>,
    pub(crate) party: Party,
    /// The host name of requests, for a browser's session.
    pub(crate) host: Option<String>,
    /// How the application's connections are made.
    pub(crate) peers: Peers,
    /// The address that it may be used from alone, where one is pinned.
    pinned: Option<IpAddr>,
    idle_max: Duration,
    began: Instant,
    /// In milliseconds after `began`.
    used: AtomicU64,
    checked: AtomicU64,
    over: AtomicBool,
    /// Its user has left.
    left: Notify,
    meter: Meter,
    /// The connection that the session was opened with, for its first request.
    first: Mutex<Option<TcpStream>>,
    /// The clients' connections that have used it.
    clients: Mutex<Vec<Weak<Connection>>>,
    /// What ties it to the browser's device.
    pub(crate) binding: Binding,
    /// What the gate says in its requests, the signed identity among it, and when that was signed.
    said: Mutex<Option<(Instant, Arc<Said>)>>,
}

/// What a session is made of.
pub(crate) struct Begun {
    pub(crate) live: Live,
    pub(crate) upstream: Upstream,
    pub(crate) app: Arc<AppResource>,
    pub(crate) party: Party,
    pub(crate) host: Option<String>,
    pub(crate) peers: Peers,
    pub(crate) peer: SocketAddr,
}

impl AppSession {
    pub(crate) fn new(begun: Begun) -> Self {
        let Begun { live, upstream, app, party, host, peers, peer } = begun;
        let terms = live.terms();
        let pinned = terms.pin_source_ip || party.identity.source_ip().is_some();
        let idle_max = terms.client_idle_timeout.map_or(IDLE_MAX, |idle| idle.min(IDLE_MAX));
        let (socket, meter) = upstream.hand_over();
        Self {
            live,
            app,
            party,
            host,
            peers,
            pinned: pinned.then(|| peer.ip()),
            idle_max,
            began: Instant::now(),
            used: AtomicU64::new(0),
            checked: AtomicU64::new(0),
            over: AtomicBool::new(false),
            left: Notify::new(),
            meter,
            first: Mutex::new(Some(socket)),
            clients: Mutex::default(),
            binding: Binding::default(),
            said: Mutex::default(),
        }
    }

    pub(crate) fn user(&self) -> &UserName {
        self.live.user()
    }

    /// Whether it is good for a request to this host from this address.
    pub(crate) fn serves(&self, host: Option<&str>, peer: IpAddr) -> bool {
        !self.over.load(Ordering::SeqCst)
            && host.is_none_or(|host| self.host.as_deref() == Some(host))
            && self.pinned.is_none_or(|pinned| pinned == peer)
    }

    /// Whether it is one of this host that may be used from another address alone.
    pub(crate) fn is_pinned_elsewhere(&self, host: &str, peer: IpAddr) -> bool {
        self.pinned.is_some_and(|pinned| pinned != peer && self.serves(Some(host), pinned))
    }

    /// The web session behind it, by its number, and the address from which it is used; none at a certificate's door.
    pub(crate) const fn web(&self) -> Option<&Digest> {
        match &self.party.holder {
            Some(Holder::WebSession(number)) => Some(number),
            _ => None,
        }
    }

    /// Notes that a request came or went.
    pub(crate) fn touch(&self) {
        self.used.store(self.now(), Ordering::Relaxed);
    }

    /// Whether it is time to look after the web session; whoever asks first does so.
    pub(crate) fn recheck_is_due(&self) -> bool {
        let (now, before) = (self.now(), self.checked.load(Ordering::Relaxed));
        let every = u64::try_from(RECHECK_EVERY.as_millis()).unwrap_or(u64::MAX);
        now.saturating_sub(before) >= every
            && self.checked.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether anything was asked of it since the web session was looked after.
    pub(crate) fn used_since_check(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.checked.load(Ordering::Relaxed) || self.rested() < RECHECK_EVERY
    }

    /// How long it may still rest; nothing where it has rested too long.
    pub(crate) fn rest_left(&self) -> Duration {
        self.idle_max.saturating_sub(self.rested())
    }

    fn rested(&self) -> Duration {
        let since = Duration::from_millis(self.now().saturating_sub(self.used.load(Ordering::Relaxed)));
        let clients = self.clients().iter().filter_map(Weak::upgrade).map(|client| client.rested()).min();
        clients.map_or(since, |client| client.min(since))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes that a client's connection uses it, which then ends with it.
    pub(crate) fn used_by(&self, connection: &Arc<Connection>) {
        let mut clients = self.clients();
        let known = |client: &Weak<Connection>| std::ptr::eq(client.as_ptr(), Arc::as_ptr(connection));
        if clients.last().is_some_and(known) || clients.iter().any(known) {
            return;
        }
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Arc::downgrade(connection));
    }

    fn clients(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A further connection to the application, of this session alone.
    pub(crate) async fn connect(&self) -> Result<TcpStream, DialError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(socket) if is_quiet(&socket) => Ok(socket),
            _ => self.live.connect().await.map(|upstream| upstream.hand_over().0),
        }
    }

    /// So many bytes went to the application and came from it.
    pub(crate) fn moved(&self, up: usize, down: usize) {
        self.meter.moved(up, down);
    }

    /// Its user leaves.
    pub(crate) fn leave(&self) {
        self.left.notify_one();
    }

    /// Waits until its user leaves.
    pub(crate) async fn left(&self) {
        self.left.notified().await;
    }

    /// Ends it, and with it every connection that has used it.
    pub(crate) fn end(&self, reason: &tapgate_session::EndReason) {
        self.over.store(true, Ordering::SeqCst);
        drop(self.first.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.live.end(reason);
        let clients = std::mem::take(&mut *self.clients());
        for client in clients.iter().filter_map(Weak::upgrade) {
            client.sever(&reason.to_string());
        }
    }

    /// What the gate says in its requests; `make` makes it anew where the identity in it is half over.
    pub(crate) fn said(&self, make: impl FnOnce() -> Option<Said>) -> Option<Arc<Said>> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((signed, known)) = said.as_ref()
            && signed.elapsed() < crate::limits::JWT_LIFE / 2
        {
            return Some(Arc::clone(known));
        }
        let fresh = Arc::new(make()?);
        *said = Some((Instant::now(), Arc::clone(&fresh)));
        Some(fresh)
    }
}

/// Whether a connection that has waited is still open, and the other side has said nothing.
fn is_quiet(socket: &TcpStream) -> bool {
    let mut byte = [0; 1];
    matches!(socket.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}
