//! The gate: one policy, one cache of evidence, one register of live sessions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use tapgate_audit::{Recorder, Sink};
use tapgate_model::{Clock, Digest, Kind, Labels, Login, SessionId, TargetName, TargetRef, UserName};
use tapgate_policy::{Decision, Query, SessionMfa, Terms};
use tapgate_proof::{Holder, KnownParty, RelyingParty};
use tokio::sync::broadcast;
use tracing::Instrument as _;

use crate::brought::Brought;
use crate::evidence::{Cached, Tap};
use crate::health::Known;
use crate::limits::{HOLD_MAX, SIGN_OUTS_TOLD};
use crate::live::Registry;
use crate::waiting::{News, WaitKey, Waiting};
use crate::{
    About, Ask, Challenge, CutReason, Denial, Door, Grant, Invited, Manner, Occasion, Prompt, Refusal, Snapshot,
    Spender, Taps, Verdict, check, meter, report,
};

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
    /// Who records sessions, if anybody.
    recorder: OnceLock<Arc<dyn Recorder>>,
    /// Whether the gate is about to end: what is open goes on, and nothing is opened.
    closing: AtomicBool,
    /// Told of each web session that ends.
    signed_out: broadcast::Sender<Digest>,
    session_prefix: [u8; 8],
    session_next: AtomicU64,
}

/// Why a held client was not let in.
enum Held {
    /// Nobody tapped in time.
    InVain,
    Refused(Refusal),
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
    /// How many targets one tap may cover: the least that any of them allows.
    pub batch_max: usize,
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
            recorder: OnceLock::new(),
            closing: AtomicBool::new(false),
            signed_out: broadcast::Sender::new(SIGN_OUTS_TOLD),
            session_prefix: rand::random(),
            session_next: AtomicU64::new(0),
        }))
    }

    /// Gives the gate somebody who records sessions; the first one stays.
    pub fn record_with(&self, recorder: Arc<dyn Recorder>) {
        self.0.recorder.get_or_init(|| recorder);
    }

    pub(crate) fn recorder(&self) -> Option<&Arc<dyn Recorder>> {
        self.0.recorder.get()
    }

    /// Answers an ask at once: no I/O, no waiting, and nothing allocated where evidence is at hand.
    pub fn check(&self, ask: &Ask<'_>) -> Verdict {
        check::verdict(self, ask, None)
    }

    /// The same, counted: for who looks before it opens.
    pub fn weigh(&self, ask: &Ask<'_>) -> Verdict {
        let begun = Instant::now();
        let verdict = self.check(ask);
        meter::checked(ask, &verdict, begun.elapsed());
        verdict
    }

    /// Answers an ask, and where a tap is due and the client can be asked, waits for it or tells where to tap.
    pub async fn open(&self, ask: &Ask<'_>, prompt: &mut dyn Prompt) -> Result<Grant, Refusal> {
        let (protocol, target) = (ask.connection.protocol.as_str(), ask.target);
        let span = tracing::debug_span!("ask", protocol, %target, user = %ask.identity.user());
        self.answer(ask, prompt).instrument(span).await
    }

    async fn answer(&self, ask: &Ask<'_>, prompt: &mut dyn Prompt) -> Result<Grant, Refusal> {
        let answer = match self.weigh_to_open(ask) {
            Verdict::Grant(grant) => Ok(grant),
            Verdict::Denial(denial) => Err(Refusal::from(denial)),
            Verdict::Challenge(challenge) if Self::may_ask(ask, prompt, &challenge) => {
                // Boxed: few are asked, and what is around it stays as long as the session.
                Box::pin(self.ask_in_band(ask, prompt, &challenge)).await
            }
            Verdict::Challenge(challenge) => Err(Refusal::from(&challenge)),
        };
        answer.inspect_err(|refusal| report::denied(self.sink(), self.next_session_id(), ask, refusal))
    }

    /// Answers an ask of a page's own connection: none where a tap is due, which the page asks for itself. That is no
    /// refusal yet, and nothing for the log.
    pub fn open_on_page(&self, ask: &Ask<'_>) -> Result<Option<Grant>, Refusal> {
        match self.weigh_to_open(ask) {
            Verdict::Grant(grant) => Ok(Some(grant)),
            Verdict::Challenge(_) => Ok(None),
            Verdict::Denial(denial) => {
                let refusal = Refusal::from(denial);
                report::denied(self.sink(), self.next_session_id(), ask, &refusal);
                Err(refusal)
            }
        }
    }

    /// The verdict for who opens a session now: a closing gate opens none.
    fn weigh_to_open(&self, ask: &Ask<'_>) -> Verdict {
        let verdict = self.weigh(ask);
        if self.0.closing.load(Ordering::Relaxed) { Verdict::Denial(Denial::closing()) } else { verdict }
    }

    fn may_ask(ask: &Ask<'_>, prompt: &dyn Prompt, challenge: &Challenge) -> bool {
        ask.connection.door == Door::InBand && challenge.by_url() && prompt.can_ask() && prompt.suits(challenge)
    }

    /// Asks the client: it is held until its tap is there, or told where to tap before it comes again.
    async fn ask_in_band(
        &self,
        ask: &Ask<'_>,
        prompt: &mut dyn Prompt,
        challenge: &Challenge,
    ) -> Result<Grant, Refusal> {
        let no_tap = |why: String| Refusal::no_tap(challenge, why);
        let client = prompt.prepare().await.map_err(|e| no_tap(e.to_string()))?;
        let login_key = ask.login_key();
        let reused = login_key.clone().filter(|_| challenge.terms().reuse_login_key);
        // By the connection alone, but where the roles have opted for more.
        let held = reused.or_else(|| ask.connection.holder.clone());
        match (prompt.manner(challenge), held) {
            (Manner::Hold, Some(holder)) => {
                let occasion = Occasion { holder, manner: Manner::Hold, client: &client };
                let held = self.hold(ask, prompt, challenge, occasion).await;
                match (held, login_key) {
                    (Err(Held::InVain), Some(holder)) if prompt.may_return() => {
                        Err(self.send_away(ask, challenge, holder, &client).await)
                    }
                    (Err(Held::InVain), _) => Err(no_tap("nobody tapped in time; try again".to_owned())),
                    (Err(Held::Refused(refusal)), _) => Err(refusal),
                    (Ok(grant), _) => Ok(grant),
                }
            }
            (Manner::Return, _) => match login_key {
                Some(holder) => Err(self.send_away(ask, challenge, holder, &client).await),
                None => Err(Refusal::from(challenge)),
            },
            (Manner::Hold, None) => Err(no_tap("this connection can't be told from others; use TLS 1.3".to_owned())),
        }
    }

    /// Begins a ceremony for a client that comes again, and says where.
    async fn send_away(&self, ask: &Ask<'_>, challenge: &Challenge, holder: Holder, client: &str) -> Refusal {
        let occasion = Occasion { holder, manner: Manner::Return, client };
        match self.0.taps.invite(challenge, ask, occasion).await {
            Ok(invited) => Refusal {
                invitation: Some(invited.invitation),
                ..Refusal::no_tap(challenge, "a tap is awaited".to_owned())
            },
            Err(error) => Refusal::no_tap(challenge, error.to_string()),
        }
    }

    /// Holds the client until its own tap is there, and weighs that tap.
    async fn hold(
        &self,
        ask: &Ask<'_>,
        prompt: &mut dyn Prompt,
        challenge: &Challenge,
        occasion: Occasion<'_>,
    ) -> Result<Grant, Held> {
        let no_tap = |why: String| Held::Refused(Refusal::no_tap(challenge, why));
        let key = WaitKey {
            user: challenge.user.clone(),
            holder: occasion.holder.clone(),
            target: challenge.target.uid,
            login: challenge.login.clone(),
        };
        let address = ask.connection.peer.ip();
        let mut place = self.0.waiting.join(key, address).map_err(|denial| Held::Refused(denial.into()))?;
        if place.first {
            match self.0.taps.invite(challenge, ask, occasion).await {
                Ok(Invited { invitation, keep }) => place.begun(invitation, keep),
                Err(error) => place.give_up(&error.to_string()),
            }
        }
        if let News::Asked(invitation) = place.asked().await {
            prompt.show(challenge, &invitation).await.map_err(|e| no_tap(e.to_string()))?;
        }
        let answer = tokio::time::timeout(HOLD_MAX, place.answer()).await.map_err(|_| Held::InVain)?;
        let tap = answer.map_err(no_tap)?;
        match check::verdict(self, ask, Some(&tap)) {
            Verdict::Grant(grant) => Ok(grant),
            Verdict::Denial(denial) => Err(Held::Refused(denial.into())),
            Verdict::Challenge(challenge) => Err(Held::Refused(Refusal::from(&challenge))),
        }
    }

    /// Tells the client that waits for this tap that there will be none; whether one did.
    pub fn turn_down(&self, key: &WaitKey, why: &str) -> bool {
        self.0.waiting.turn_down(key, why)
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
            batch_max: usize::MAX,
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
            all.batch_max = all.batch_max.min(terms.batch_max.into());
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

    /// From now on nothing is opened: what is open may go on until it is cut, and who waits for a tap is told.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
        self.0.waiting.turn_all_down(&CutReason::Shutdown.to_string());
    }

    /// How many snapshots were installed since the start.
    pub fn installed(&self) -> u64 {
        self.epoch()
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

    pub(crate) fn signed_out(&self) -> &broadcast::Sender<Digest> {
        &self.0.signed_out
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
