//! All sessions of applications: opened by a grant, found by cookie or certificate, watched over until they end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tapgate_identity::X509CaSource;
use tapgate_model::{Clock, Digest, Kind, Login, TargetName, UserName};
use tapgate_session::{Ask, ConnectionFacts, CutReason, Door, EndReason, Gate, NoPrompt, ProtocolName};

use crate::limits::{RECHECK_EVERY, SESSIONS_MAX, SESSIONS_PER_USER_MAX};
use crate::peer::Peers;
use crate::session::{AppSession, Begun, Party, SessionKey};

/// Who knows whether a web session still holds. It may read a store.
pub trait WebSessions: Send + Sync + 'static {
    /// Whether this user's web session of this number is still one, from this address. Asking counts as using it.
    fn holds(&self, user: &UserName, number: &Digest, peer: std::net::IpAddr) -> bool;
}

/// Why a session was not opened, in words for the person who asked.
#[derive(Debug, Clone)]
pub(crate) enum NotOpened {
    /// It may not be.
    Refused(String),
    /// It may be, and the application can't be reached.
    Failed(String),
}

impl NotOpened {
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Refused(message) | Self::Failed(message) => message,
        }
    }
}

/// Where a session is wanted, and by whom.
pub(crate) struct Wanted<'a> {
    pub(crate) key: SessionKey,
    pub(crate) app: &'a TargetName,
    pub(crate) host: Option<&'a str>,
    pub(crate) party: &'a Party,
    pub(crate) peer: SocketAddr,
}

/// The register of sessions.
pub(crate) struct Sessions {
    gate: Gate,
    web: Arc<dyn WebSessions>,
    target_ca: X509CaSource,
    clock: Arc<dyn Clock>,
    all: RwLock<HashMap<SessionKey, Arc<AppSession>>>,
}

/// What is asked of the gate for an application.
pub(crate) fn facts(party: &Party, peer: SocketAddr, protocol: ProtocolName) -> ConnectionFacts {
    let door = if party.holder.is_some() { Door::Web } else { Door::Certificate };
    ConnectionFacts { peer, door, protocol, holder: party.holder.clone() }
}

impl Sessions {
    pub(crate) fn new(gate: Gate, web: Arc<dyn WebSessions>, target_ca: X509CaSource, clock: Arc<dyn Clock>) -> Self {
        Self { gate, web, target_ca, clock, all: RwLock::default() }
    }

    pub(crate) const fn gate(&self) -> &Gate {
        &self.gate
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<SessionKey, Arc<AppSession>>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<SessionKey, Arc<AppSession>>> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of this key, for a request to this host from this address.
    pub(crate) async fn find(&self, key: &SessionKey, host: Option<&str>, peer: SocketAddr) -> Option<Arc<AppSession>> {
        let found = self.read().get(key).filter(|session| session.serves(host, peer.ip())).cloned()?;
        if found.recheck_is_due() && !self.web_holds(&found, peer).await {
            self.end(key, &found, &EndReason::Cut(CutReason::SignedOut));
            return None;
        }
        found.touch();
        Some(found)
    }

    /// Whether there is a session of this key that may be used from another address alone.
    pub(crate) fn is_pinned_elsewhere(&self, key: &SessionKey, host: &str, peer: SocketAddr) -> bool {
        self.read().get(key).is_some_and(|session| session.is_pinned_elsewhere(host, peer.ip()))
    }

    async fn web_holds(&self, session: &AppSession, peer: SocketAddr) -> bool {
        let Some(number) = session.web().copied() else { return true };
        let (web, user) = (Arc::clone(&self.web), session.user().clone());
        tokio::task::spawn_blocking(move || web.holds(&user, &number, peer.ip())).await.unwrap_or(false)
    }

    /// Opens a session: asks the gate, reaches the application, and keeps the session until it ends.
    pub(crate) async fn open(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Arc<AppSession>, NotOpened> {
        let Wanted { key, app, host, party, peer } = wanted;
        if !self.has_room(party.identity.user(), app) {
            return Err(NotOpened::Refused("you have too many sessions of this application (leave some)".to_owned()));
        }
        let connection = facts(party, peer, ProtocolName::Http);
        let ask = Ask {
            identity: &party.identity,
            kind: Kind::App,
            target: app,
            login: &Login::App,
            connection: &connection,
        };
        let refused = |refusal: tapgate_session::Refusal| NotOpened::Refused(refusal.message().to_owned());
        let grant = self.gate.open(&ask, &mut NoPrompt).await.map_err(refused)?;
        let (upstream, live) = grant.dial().await.map_err(|error| NotOpened::Failed(error.to_string()))?;
        let Some(app) = live.about().app().filter(|app| !app.is_tcp()).cloned() else {
            let why = format!("\"{app}\" is a TCP application (use `tap proxy app {app}`)");
            live.finish(&EndReason::Error(why.clone()));
            return Err(NotOpened::Refused(why));
        };
        let peers = match Peers::new(&app, live.user(), live.id(), &self.target_ca, &self.clock) {
            Ok(peers) => peers,
            Err(why) => {
                live.finish(&EndReason::Error(why.clone()));
                return Err(NotOpened::Failed(why));
            }
        };
        let host = host.map(str::to_owned);
        let session = Arc::new(AppSession::new(Begun { live, upstream, app, party: party.clone(), host, peers, peer }));
        // Of two at once for one certificate, the second takes the first's place in the table; both are watched.
        self.write().insert(key.clone(), Arc::clone(&session));
        tokio::spawn(watch(Arc::clone(self), key, Arc::clone(&session), peer));
        Ok(session)
    }

    fn has_room(&self, user: &UserName, app: &TargetName) -> bool {
        let all = self.read();
        let own = all.values().filter(|session| session.user() == user && session.app.name == *app).count();
        all.len() < SESSIONS_MAX && own < SESSIONS_PER_USER_MAX
    }

    fn end(&self, key: &SessionKey, session: &Arc<AppSession>, reason: &EndReason) {
        let mut all = self.write();
        if all.get(key).is_some_and(|known| Arc::ptr_eq(known, session)) {
            all.remove(key);
        }
        drop(all);
        session.end(reason);
    }
}

/// Watches over one session until it must end.
async fn watch(sessions: Arc<Sessions>, key: SessionKey, session: Arc<AppSession>, peer: SocketAddr) {
    let mut cut = session.live.cut();
    let reason = loop {
        let wait = session.rest_left().min(RECHECK_EVERY).max(std::time::Duration::from_millis(100));
        tokio::select! {
            reason = cut.wanted() => break EndReason::Cut(reason),
            () = session.left() => break EndReason::Client,
            () = tokio::time::sleep(wait) => {}
        }
        if session.rest_left().is_zero() {
            break EndReason::Idle;
        }
        // A web session is not kept alive by an application that nobody uses.
        if session.used_since_check() && session.recheck_is_due() && !sessions.web_holds(&session, peer).await {
            break EndReason::Cut(CutReason::SignedOut);
        }
    };
    sessions.end(&key, &session, &reason);
}
