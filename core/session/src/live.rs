//! Live sessions: who is in, under which terms, and how they are cut.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tapgate_audit::Tape;
use tapgate_identity::Identity;
use tapgate_model::{Kind, Login, SessionId, TargetRef, UnixTime, UserName};
use tapgate_policy::{Decision, KubeAccess, Query, SessionMfa, Terms};
use tokio::sync::watch;

use crate::deeds::Pace;
use crate::dial::Counts;
use crate::evidence::Tap;
use crate::limits::{LIVE_MAX, WINDOW_MAX};
use crate::snapshot::{Record, Snapshot};
use crate::{About, ConnectionFacts, ConnectionId, Denial, Gate, Grant, Hop, ProtocolName, report};

/// What the register holds of a session.
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    pub(crate) identity: Arc<Identity>,
    pub(crate) record: Arc<Record>,
    pub(crate) login: Login,
    pub(crate) facts: ConnectionFacts,
    pub(crate) terms: Terms,
    pub(crate) tap: Option<Arc<Tap>>,
    /// What its user could do inside the Kubernetes cluster when it began: streams that are open go by that.
    kube: Option<KubeAccess>,
    /// The snapshot under which the session was granted.
    epoch: u64,
    /// The connection that it was opened on.
    pub(crate) connection: Option<ConnectionId>,
    /// Since when the target is connected, and what has passed.
    begun: OnceLock<(UnixTime, Arc<Counts>)>,
    cut: watch::Sender<Option<CutReason>>,
}

/// Why a session must end now, in words for its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutReason {
    /// It is locked, or the policy no longer allows it.
    Denied(String),
    /// The key of its tap is no longer registered.
    NotRegistered,
    /// The SSH key that logged in is no longer registered.
    KeyRemoved,
    /// It has lasted as long as the role lets it.
    MaxSessionTtl,
    /// The login has ended, and the role ends sessions with it.
    LoginExpired,
    /// Its user ended it elsewhere.
    EndedByUser,
    /// An administrator ended it.
    EndedByAdministrator(UserName),
    /// The web session that opened it is over.
    SignedOut,
    /// The gate itself ends.
    Shutdown,
}

impl fmt::Display for CutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(message) => f.write_str(message),
            Self::NotRegistered => f.write_str("the security key of this session's tap was removed"),
            Self::KeyRemoved => f.write_str("the key that this session logged in with was removed or locked"),
            Self::MaxSessionTtl => f.write_str("the session has reached its role's max_session_ttl"),
            Self::LoginExpired => f.write_str("your login has expired (run `tap login`)"),
            Self::EndedByUser => f.write_str("you ended it from your list of sessions"),
            Self::EndedByAdministrator(by) => write!(f, "an administrator ended it ({by})"),
            Self::SignedOut => f.write_str("you signed out of the web session that opened it"),
            Self::Shutdown => f.write_str("the gate is shutting down (connect again in a moment)"),
        }
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The client closed it.
    Client,
    /// The target closed it.
    Target,
    /// It was cut.
    Cut(CutReason),
    /// Nothing moved for as long as the role allows.
    Idle,
    /// It broke.
    Error(String),
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("closed by the client"),
            Self::Target => f.write_str("closed by the target"),
            Self::Cut(reason) => write!(f, "cut: {reason}"),
            Self::Idle => f.write_str("idle for too long"),
            Self::Error(what) => write!(f, "failed: {what}"),
        }
    }
}

impl Entry {
    pub(crate) fn of(grant: Grant) -> Self {
        let basis = grant.basis;
        let kube = (basis.record.target.kind == Kind::KubeCluster)
            .then(|| kube_access(&grant.gate.snapshot(), &basis.identity, &basis.record, &basis.login));
        Self {
            kube,
            id: grant.gate.next_session_id(),
            identity: Arc::clone(&basis.identity),
            record: Arc::clone(&basis.record),
            login: basis.login.clone(),
            facts: grant.facts,
            terms: basis.terms,
            tap: basis.tap.clone(),
            epoch: basis.epoch,
            connection: ConnectionId::current(),
            begun: OnceLock::new(),
            cut: watch::channel(None).0,
        }
    }

    /// Since when the target is connected.
    pub(crate) fn since(&self) -> Option<UnixTime> {
        self.begun.get().map(|(since, _)| *since)
    }

    fn query(&self, now: UnixTime) -> Query<'_> {
        let TargetRef { kind, name, uid } = &self.record.target;
        let (user, labels, login) = (self.identity.user(), &self.record.labels, &self.login);
        Query { user, kind: *kind, name, uid, labels, login, now }
    }

    /// Whether this snapshot still allows the session to begin. Where another snapshot came since
    /// the grant and asks for more, the grant is not enough.
    fn may_begin(&self, snapshot: &Snapshot, now: UnixTime) -> Result<(), CutReason> {
        let terms = self.allowed(snapshot, now)?;
        if self.epoch != snapshot.epoch && terms.session_mfa > self.terms.session_mfa {
            return Err(CutReason::Denied("the policy has just changed (start again)".to_owned()));
        }
        Ok(())
    }

    /// The terms on which this snapshot still allows the session. The window is no part of it: it
    /// gates opening, not staying.
    fn allowed(&self, snapshot: &Snapshot, now: UnixTime) -> Result<Terms, CutReason> {
        let TargetRef { kind, name, uid } = &self.record.target;
        if !snapshot.has(*kind, name, uid) {
            return Err(CutReason::Denied("the target was removed".to_owned()));
        }
        if !snapshot.counts(&self.identity) {
            return Err(CutReason::KeyRemoved);
        }
        let locked = |hop: &&Hop| snapshot.policy.lock_on_node(&hop.node.name, &hop.node.uid, now).is_some();
        if self.record.about.hops().iter().find(locked).is_some() {
            return Err(CutReason::Denied("a node on the way to the target is locked".to_owned()));
        }
        let terms = match snapshot.policy.decide(&self.query(now)) {
            Decision::Allow(terms) => terms,
            Decision::Deny(reason) => {
                return Err(CutReason::Denied(Denial::policy(&snapshot.policy, name, reason).message));
            }
        };
        let may = || kube_access(snapshot, &self.identity, &self.record, &self.login);
        if self.kube.as_ref().is_some_and(|could| *could != may()) {
            return Err(CutReason::Denied(
                "your roles in this cluster have changed (run the command again)".to_owned(),
            ));
        }
        match &self.tap {
            Some(tap) if !snapshot.is_registered(self.identity.user(), tap.verified()) => Err(CutReason::NotRegistered),
            _ => Ok(terms),
        }
    }

    /// When the session ends by its terms, and why.
    fn end(&self) -> Option<(UnixTime, CutReason)> {
        let started = self.begun.get()?.0;
        let ttl = (started.plus(self.terms.max_session_ttl), CutReason::MaxSessionTtl);
        let login =
            self.terms.disconnect_expired_cert.then(|| (self.identity.login_expires(), CutReason::LoginExpired));
        login.into_iter().chain([ttl]).min_by_key(|(at, _)| *at)
    }
}

fn kube_access(snapshot: &Snapshot, identity: &Identity, record: &Record, login: &Login) -> KubeAccess {
    snapshot.policy.kube_access(identity.user(), &record.labels, login)
}

/// All live sessions.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<SessionId, Arc<Entry>>>);

impl Registry {
    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a session, unless the gate is full.
    pub(crate) fn enter(&self, gate: &Gate, entry: &Arc<Entry>) -> Option<Live> {
        let mut all = self.all();
        if all.len() >= LIVE_MAX {
            return None;
        }
        all.insert(entry.id, Arc::clone(entry));
        Some(Live {
            gate: gate.clone(),
            entry: Arc::clone(entry),
            ended: AtomicBool::new(false),
            pace: Mutex::default(),
            tape: OnceLock::new(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.all().len()
    }

    /// Cuts those whom the new snapshot no longer allows.
    pub(crate) fn review(&self, snapshot: &Snapshot, now: UnixTime) {
        for entry in self.all().values() {
            if let Err(reason) = entry.allowed(snapshot, now) {
                entry.cut.send_replace(Some(reason));
            }
        }
    }

    /// What this makes of each session, where it makes something.
    pub(crate) fn map<T>(&self, of: impl Fn(&Entry) -> Option<T>) -> Vec<T> {
        self.all().values().filter_map(|entry| of(entry)).collect()
    }

    /// Cuts those that fit; answers how many.
    pub(crate) fn cut_where(&self, fits: impl Fn(&Entry) -> bool, reason: &CutReason) -> usize {
        let all = self.all();
        let mut cut = 0;
        for entry in all.values().filter(|entry| fits(entry)) {
            entry.cut.send_replace(Some(reason.clone()));
            cut += 1;
        }
        cut
    }

    pub(crate) fn cut_all(&self) {
        for entry in self.all().values() {
            entry.cut.send_replace(Some(CutReason::Shutdown));
        }
    }
}

/// A live session. It ends when this is finished or dropped.
pub struct Live {
    pub(crate) gate: Gate,
    entry: Arc<Entry>,
    ended: AtomicBool,
    /// How fast its deeds come.
    pub(crate) pace: Mutex<Pace>,
    /// What it is recorded on.
    pub(crate) tape: OnceLock<Arc<dyn Tape>>,
}

impl Live {
    /// The session's number.
    pub fn id(&self) -> SessionId {
        self.entry.id
    }

    /// Whose session it is.
    pub fn user(&self) -> &UserName {
        self.entry.identity.user()
    }

    /// What it leads to.
    pub fn target(&self) -> &TargetRef {
        &self.entry.record.target
    }

    /// What the protocol must know of it.
    pub fn about(&self) -> &About {
        &self.entry.record.about
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.entry.record
    }

    /// Where the session's bytes are counted.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        self.entry.begun.get().map(|(_, counts)| Arc::clone(counts)).unwrap_or_default()
    }

    /// Who the user became there.
    pub fn login(&self) -> &Login {
        &self.entry.login
    }

    /// What it may do and for how long.
    pub fn terms(&self) -> &Terms {
        &self.entry.terms
    }

    pub(crate) fn protocol(&self) -> ProtocolName {
        self.entry.facts.protocol
    }

    /// What orders the session to end.
    pub(crate) fn cutter(&self) -> impl Fn(CutReason) + Send + Sync + use<> {
        let entry = Arc::clone(&self.entry);
        move |reason| drop(entry.cut.send_replace(Some(reason)))
    }

    /// A watch on the order to end.
    pub fn cut(&self) -> CutWatch {
        CutWatch { entry: Arc::clone(&self.entry), gate: self.gate.clone(), order: self.entry.cut.subscribe() }
    }

    /// Whether a further channel may be opened on this connection: that is a session of its own
    /// for the window, so a multiplexed connection can't outlive it.
    pub fn may_open(&self) -> Result<(), Denial> {
        let now = self.gate.clock().now();
        self.still_allowed()?;
        let window = self.entry.terms.window.min(WINDOW_MAX);
        let over = self.entry.tap.as_ref().is_some_and(|tap| {
            let parts = tap.verified().statement().parts();
            parts.expires.min(parts.created.plus(window)) < now
        });
        if over && self.entry.terms.session_mfa != SessionMfa::Off {
            let target = &self.entry.record.target;
            let (title, name) = (target.kind.title(), &target.name);
            return Err(Denial::session(format!(
                "MFA is required to access {title} \"{name}\": this connection's tap is over (connect again)"
            )));
        }
        Ok(())
    }

    /// Whether the session's tap is no older than this, for what a role ties to a fresh one.
    pub fn tapped_within(&self, span: Duration) -> bool {
        let now = self.gate.clock().now();
        let made = |tap: &Arc<Tap>| tap.verified().statement().parts().created;
        self.entry.tap.as_ref().is_some_and(|tap| now <= made(tap).plus(span))
    }

    /// What the present policy lets the session do inside its Kubernetes cluster.
    pub fn kube_access(&self) -> KubeAccess {
        kube_access(&self.gate.snapshot(), &self.entry.identity, &self.entry.record, &self.entry.login)
    }

    /// Whether the present snapshot lets the session begin.
    pub(crate) fn may_begin(&self) -> Result<(), Denial> {
        let snapshot = self.gate.snapshot();
        let allowed = self.entry.may_begin(&snapshot, self.gate.clock().now());
        allowed.map_err(|reason| Denial::session(reason.to_string()))
    }

    /// Whether the present snapshot allows the session.
    pub(crate) fn still_allowed(&self) -> Result<(), Denial> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(Denial::session("the session is over (start again)".to_owned()));
        }
        let snapshot = self.gate.snapshot();
        let allowed = self.entry.allowed(&snapshot, self.gate.clock().now());
        allowed.map(drop).map_err(|reason| Denial::session(reason.to_string()))
    }

    /// The target is connected: the session counts from now.
    pub(crate) fn begun(&self, counts: Arc<Counts>) {
        if self.entry.begun.set((self.gate.clock().now(), counts)).is_ok() {
            report::started(self.gate.sink(), &self.entry);
        }
    }

    /// Ends the session and says why.
    pub fn finish(self, reason: &EndReason) {
        self.end(reason);
    }

    /// Ends a session that several tasks hold, and says why; what it moves afterwards is not counted. Only the first
    /// reason is told.
    pub fn end(&self, reason: &EndReason) {
        if self.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        self.gate.live().all().remove(&self.entry.id);
        self.settle_deeds();
        if let Some(tape) = self.tape() {
            tape.end(&reason.to_string());
        }
        if let Some((started, counts)) = self.entry.begun.get() {
            let lasted = self.gate.clock().now().since(*started);
            let (up, down) = (counts.up.load(Ordering::Relaxed), counts.down.load(Ordering::Relaxed));
            report::ended(self.gate.sink(), &self.entry, reason, (up, down), lasted);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end(&EndReason::Error("the connection was dropped".to_owned()));
    }
}

/// A watch on the order to end a session.
#[derive(Clone)]
pub struct CutWatch {
    entry: Arc<Entry>,
    gate: Gate,
    order: watch::Receiver<Option<CutReason>>,
}

impl CutWatch {
    /// Waits until the session must end, and says why.
    pub async fn wanted(&mut self) -> CutReason {
        loop {
            let end = self.entry.end();
            let left = end.as_ref().map_or(Duration::from_hours(1), |(at, _)| at.since(self.gate.clock().now()));
            let ordered = tokio::select! {
                order = self.order.wait_for(Option::is_some) => Some(order.map_or(None, |order| order.clone())),
                () = tokio::time::sleep(left) => None,
            };
            match (ordered, end) {
                (Some(order), _) => return order.unwrap_or(CutReason::Shutdown),
                (None, Some((at, reason))) if at <= self.gate.clock().now() => return reason,
                (None, _) => {}
            }
        }
    }
}
