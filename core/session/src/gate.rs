//! The gate: one policy, one cache of evidence, one register of live sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tapgate_audit::Sink;
use tapgate_model::{Clock, Digest, Kind, Labels, Login, SessionId, TargetName, TargetRef, UserName};
use tapgate_policy::{Decision, Query, SessionMfa, Terms};
use tapgate_proof::{KnownParty, RelyingParty};

use crate::brought::Brought;
use crate::evidence::{Cached, Tap};
use crate::health::Known;
use crate::limits::HOLD_MAX;
use crate::live::Registry;
use crate::waiting::{WaitKey, Waiting};
use crate::{About, Ask, Challenge, Denial, Grant, Prompt, Refusal, Snapshot, Spender, Taps, Verdict, check, report};

/// What a gate is made of.
pub struct GateParts {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the audit log goes.
    pub sink: Arc<dyn Sink>,
    /// Who spends one-time taps.
    pub spender: Arc<dyn Spender>,
    /// Who makes taps for clients that are asked in-band.
    pub taps: Arc<dyn Taps>,
    /// What is true at first.
    pub snapshot: Snapshot,
    /// The cluster key's fingerprint, which every statement names.
    pub gate: Digest,
    /// What the security keys are registered with.
    pub relying_party: RelyingParty,
}

/// The gate. A clone is another handle to the same one.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    sink: Arc<dyn Sink>,
    spender: Arc<dyn Spender>,
    taps: Arc<dyn Taps>,
    snapshot: ArcSwap<Snapshot>,
    gate: Digest,
    relying_party: KnownParty,
    cached: Cached,
    brought: Brought,
    waiting: Waiting,
    live: Registry,
    known: Known,
    /// How many snapshots were installed.
    epoch: AtomicU64,
    /// Held while a snapshot is installed.
    installing: Mutex<()>,
    session_prefix: [u8; 8],
    session_next: AtomicU64,
}

/// A target, by kind and name, and a login there.
pub type Wish = (Kind, TargetName, Login);

/// What sessions of a set of targets need, for the authority that begins the tap.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// The targets, resolved, and the terms of each.
    pub targets: Vec<(TargetRef, Login, Terms)>,
    /// The strictest of them.
    pub mfa: SessionMfa,
    /// The shortest window of them.
    pub window: Duration,
    /// Whether any of them pins the address.
    pub pin_source_ip: bool,
}

/// A target that a user may see.
#[derive(Debug, Clone)]
pub struct Visible {
    /// The target.
    pub target: TargetRef,
    /// Its labels.
    pub labels: Labels,
    /// The logins that the user may use there.
    pub logins: Vec<String>,
    /// Whether a session there needs a tap.
    pub mfa: bool,
    /// Its record.
    pub about: About,
}

impl Gate {
    /// A gate of these parts.
    pub fn new(parts: GateParts) -> Self {
        Self(Arc::new(Inner {
            clock: parts.clock,
            sink: parts.sink,
            spender: parts.spender,
            taps: parts.taps,
            snapshot: ArcSwap::from_pointee(parts.snapshot),
            gate: parts.gate,
            relying_party: parts.relying_party.into(),
            cached: Cached::new(),
            brought: Brought::new(),
            waiting: Waiting::default(),
            live: Registry::default(),
            known: Known::default(),
            epoch: AtomicU64::new(0),
            installing: Mutex::new(()),
            session_prefix: rand::random(),
            session_next: AtomicU64::new(0),
        }))
    }

    /// Answers an ask at once: no I/O, no waiting, and nothing allocated where evidence is at hand.
    pub fn check(&self, ask: &Ask<'_>) -> Verdict {
        check::verdict(self, ask, None)
    }

    /// Answers an ask, and where a tap is due and the client can be asked, waits for it.
    pub async fn open(&self, ask: &Ask<'_>, prompt: &mut dyn Prompt) -> Result<Grant, Refusal> {
        let answer = match self.check(ask) {
            Verdict::Grant(grant) => Ok(grant),
            Verdict::Denial(denial) => Err(Refusal::from(denial)),
            Verdict::Challenge(challenge) if prompt.can_ask() => self.hold(ask, prompt, &challenge).await,
            Verdict::Challenge(challenge) => Err(Refusal::from(&challenge)),
        };
        answer.inspect_err(|refusal| report::denied(self.sink(), self.next_session_id(), ask, refusal))
    }

    /// Holds the client until its own tap is there, and weighs that tap.
    async fn hold(&self, ask: &Ask<'_>, prompt: &mut dyn Prompt, challenge: &Challenge) -> Result<Grant, Refusal> {
        let key = WaitKey {
            user: challenge.user.clone(),
            holder: ask.holder(),
            target: challenge.target.uid,
            login: challenge.login.clone(),
        };
        let mut place = self.0.waiting.join(key)?;
        let no_tap = |why: String| Refusal { message: format!("{challenge} ({why})"), reason: why, needs_tap: true };
        if place.first {
            let invitation = self.0.taps.invite(challenge, ask).await.map_err(|e| no_tap(e.to_string()))?;
            prompt.show(challenge, &invitation).await.map_err(|e| no_tap(e.to_string()))?;
        }
        let tap = tokio::time::timeout(HOLD_MAX, place.tap())
            .await
            .map_err(|_| no_tap("nobody tapped in time; try again".to_owned()))?
            .ok_or_else(|| no_tap("the ceremony was given up; try again".to_owned()))?;
        match check::verdict(self, ask, Some(&tap)) {
            Verdict::Grant(grant) => Ok(grant),
            Verdict::Denial(denial) => Err(denial.into()),
            Verdict::Challenge(challenge) => Err(Refusal::from(&challenge)),
        }
    }

    /// Hands over a tap that was made over a waiting connection; answers how many asks it freed.
    pub fn deposit(&self, tap: &Arc<Tap>) -> usize {
        self.0.waiting.deposit(tap)
    }

    /// Hands over a tap that was made on a web page: asks of the holder that it names find it, until its window is
    /// over, and those that wait for it go on.
    pub fn bring(&self, tap: &Arc<Tap>) {
        self.0.brought.put(tap);
        self.deposit(tap);
    }

    /// What sessions of these targets need. The denial of any denies all, and names that one.
    pub fn requirement<'a>(&self, user: &UserName, asks: &'a [Wish]) -> Result<Requirement, (&'a Wish, Denial)> {
        let snapshot = self.0.snapshot.load();
        let now = self.0.clock.now();
        let mut all = Requirement {
            targets: Vec::with_capacity(asks.len()),
            mfa: SessionMfa::Off,
            window: crate::limits::WINDOW_MAX,
            pin_source_ip: false,
        };
        for wish @ (kind, name, login) in asks {
            let record = snapshot.find(*kind, name).ok_or_else(|| (wish, Denial::unknown_name(name)))?;
            let (uid, labels) = (&record.target.uid, &record.labels);
            let terms = match snapshot.policy.decide(&Query { user, kind: *kind, name, uid, labels, login, now }) {
                Decision::Allow(terms) => terms,
                Decision::Deny(reason) => return Err((wish, Denial::policy(&snapshot.policy, name, reason))),
            };
            all.mfa = all.mfa.max(terms.session_mfa);
            all.window = all.window.min(terms.window);
            all.pin_source_ip |= terms.pin_source_ip;
            all.targets.push((record.target.clone(), login.clone(), terms));
        }
        Ok(all)
    }

    /// The logins that a user has on one target; none where there is no such target.
    pub fn logins(&self, user: &UserName, kind: Kind, name: &TargetName) -> Vec<String> {
        let snapshot = self.0.snapshot.load();
        let record = snapshot.find(kind, name);
        record
            .map(|record| snapshot.policy.logins(user, kind, name, &record.target.uid, &record.labels))
            .unwrap_or_default()
    }

    /// The targets that a user may open under some login, by kind and name.
    pub fn visible(&self, user: &UserName) -> Vec<Visible> {
        let snapshot = self.0.snapshot.load();
        let now = self.0.clock.now();
        let mut seen: Vec<Visible> = snapshot
            .records()
            .filter_map(|record| {
                let TargetRef { kind, name, uid } = &record.target;
                let logins = snapshot.policy.logins(user, *kind, name, uid, &record.labels);
                let mfa = logins.iter().any(|login| {
                    // `*` stands for every database user; what holds for one whom a role would take holds for it.
                    let login = if login == "*" { "any" } else { login };
                    let Ok(login) = Login::parse(*kind, login) else { return false };
                    let query = Query { user, kind: *kind, name, uid, labels: &record.labels, login: &login, now };
                    matches!(snapshot.policy.decide(&query), Decision::Allow(t) if t.session_mfa != SessionMfa::Off)
                });
                let target = record.target.clone();
                let (labels, about) = (record.labels.clone(), record.about.clone());
                (!logins.is_empty()).then_some(Visible { target, labels, logins, mfa, about })
            })
            .collect();
        seen.sort_by(|a, b| (a.target.kind, &a.target.name).cmp(&(b.target.kind, &b.target.name)));
        seen
    }

    /// Makes another snapshot the true one, and cuts the live sessions that it no longer allows.
    pub fn install(&self, mut snapshot: Snapshot) {
        // One at a time, so that the epoch that is counted last is the one that stays.
        let _one_at_a_time = self.0.installing.lock().unwrap_or_else(PoisonError::into_inner);
        // The epoch first: from here on no evidence of before opens anything.
        snapshot.epoch = self.0.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        let snapshot = Arc::new(snapshot);
        self.0.snapshot.store(Arc::clone(&snapshot));
        self.0.live.review(&snapshot, self.0.clock.now());
    }

    /// What is true now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    /// How many sessions are live.
    pub fn live_count(&self) -> usize {
        self.0.live.len()
    }

    /// Cuts every live session, as the gate itself ends.
    pub fn cut_all(&self) {
        self.0.live.cut_all();
    }

    /// What is true now, for as long as one check takes.
    pub(crate) fn current(&self) -> Guard<Arc<Snapshot>> {
        self.0.snapshot.load()
    }

    /// Which snapshot is true now, for evidence: it is read far quicker than the snapshot itself.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn cached(&self) -> &Cached {
        &self.0.cached
    }

    pub(crate) fn brought(&self) -> &Brought {
        &self.0.brought
    }

    pub(crate) fn live(&self) -> &Registry {
        &self.0.live
    }

    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    pub(crate) fn spender(&self) -> &dyn Spender {
        &*self.0.spender
    }

    pub(crate) fn sink(&self) -> &dyn Sink {
        &*self.0.sink
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn relying_party(&self) -> &KnownParty {
        &self.0.relying_party
    }

    pub(crate) fn fingerprint(&self) -> &Digest {
        &self.0.gate
    }

    /// A number that no other session has: 64 bits drawn at the start, and a count.
    pub(crate) fn next_session_id(&self) -> SessionId {
        let mut id = [0; 16];
        let (prefix, count) = id.split_at_mut(8);
        prefix.copy_from_slice(&self.0.session_prefix);
        count.copy_from_slice(&self.0.session_next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        SessionId::from_bytes(id)
    }
}
