//! The page of a tap that a stock client asks for: what it shows, the code, the tap, and the no.

use std::net::IpAddr;
use std::sync::Arc;

use tapgate_api::{AskApproved, AskCeremony, AskCode, AskDeny, AskOther, Assertion, BrowserShown, BrowserTarget};
use tapgate_audit::{BrowserStep, Event};
use tapgate_model::{Login, TargetRef, UserName};
use tapgate_proof::{Expected, Holder, Purpose, Statement, StatementParts, StatementTarget, Uses};
use tapgate_session::limits::RETURN_MAX;
use tapgate_session::{Gate, Manner, Requirement as Needed, Tap, Wish};
use tokio::sync::watch;

use super::{Asked, Typed};
use crate::browser::{not_open, same_place, shown_target};
use crate::ceremony::{Work, new_id};
use crate::demand::Demanded;
use crate::limits::{CEREMONY_TTL, ONCE_TTL};
use crate::session::must_fit;
use crate::tap::{GONE, Wanted, id_for_log};
use crate::{Authority, Fault};

impl Authority {
    /// Whether the page is for a tap that is awaited; over and unknown are one.
    pub fn ask_is_open(&self, id: &str, peer: IpAddr) -> bool {
        self.rates.anybody(peer).is_ok() && self.asks.get(id, self.now()).is_some()
    }

    /// What the page shows.
    pub fn ask_shown(&self, id: &str, peer: IpAddr) -> Result<BrowserShown, Fault> {
        self.rates.anybody(peer)?;
        let asked = self.asks.get(id, self.now()).ok_or_else(not_open)?;
        Ok(BrowserShown {
            ceremony: "get".to_owned(),
            webauthn: serde_json::Value::Null,
            cluster: self.cluster.clone(),
            user: asked.identity.user().to_string(),
            purpose: "in-band".to_owned(),
            targets: vec![asked.shown()],
            reusable_until: None,
            details: Some(asked.client.clone()),
            changes: Vec::new(),
            paste: false,
            good_for: Some(asked.good_for()),
            others: self.asks.beside(id, &asked, self.now()).iter().map(|(id, other)| other.listed(id)).collect(),
            elsewhere: !same_place(asked.peer, peer),
            address: asked.peer.to_string(),
            host: None,
            asked: asked.since.as_secs(),
            expires: asked.expires.as_secs(),
        })
    }

    /// Takes the code that was typed, and asks for the tap where it is right.
    pub fn ask_code(&self, gate: &Gate, id: &str, typed: &AskCode, peer: IpAddr) -> Result<AskCeremony, Fault> {
        self.rates.anybody(peer)?;
        let asked = self.asks.get(id, self.now()).ok_or_else(not_open)?;
        self.must_be_near(id, &asked, peer)?;
        let code: String = typed.code.chars().filter(char::is_ascii_digit).take(16).collect();
        let asked = match self.asks.typed(id, &code, self.now()).ok_or_else(not_open)? {
            Typed::Right(asked) => asked,
            Typed::Wrong(asked, left) => {
                self.record_ask(id, &asked, BrowserStep::Refused, peer, Some("the code was wrong"));
                return Err(wrong_code(gate, &asked, left));
            }
        };
        let also = self.ticked(id, &asked, &typed.also)?;
        let all: Vec<&Asked> = std::iter::once(&*asked).chain(also.iter().map(|(_, other)| other)).collect();
        let wish = |asked: &&Asked| (asked.target.kind, asked.target.name.clone(), asked.login.clone());
        let wishes: Vec<Wish> = all.iter().map(wish).collect();
        let needed = self.requirement(gate, &asked.identity, &wishes, asked.peer)?;
        must_fit(&needed)?;
        let Demanded { keys, verified } = self.demanded(asked.identity.user(), needed.mfa, "access this resource")?;
        let statement = self.ask_statement(&asked, &all, &needed)?;
        let (identity, work) = (Some(&*asked.identity), Work::InBand);
        let wanted = Wanted { statement: &statement, verified, peer: asked.peer, identity, work };
        let ceremony = self.ask(new_id(), wanted, &keys)?;
        // One at a time: a page that is loaded again gives up what it had.
        let also = also.into_iter().map(|(id, _)| id).collect();
        if let Some(before) = self.asks.begun(id, &ceremony.id, also) {
            drop(self.resume(&before)?);
        }
        Ok(AskCeremony { id: ceremony.id, webauthn: serde_json::to_value(&ceremony.webauthn)? })
    }

    /// Takes the tap, and frees whom it names.
    pub fn ask_approve(&self, gate: &Gate, id: &str, answer: &Assertion, peer: IpAddr) -> Result<AskApproved, Fault> {
        self.rates.anybody(peer)?;
        let asked = self.asks.get(id, self.now()).ok_or_else(not_open)?;
        self.must_be_near(id, &asked, peer)?;
        if asked.ceremony.as_deref() != Some(answer.id.as_str()) {
            return Err(not_open());
        }
        let tap = self.ask_tap(gate, &asked, answer).inspect_err(|fault| {
            self.record_ask(id, &asked, BrowserStep::Refused, peer, Some(&fault.to_string()));
        })?;
        // Of two pages that were right at once, one gets on.
        let asked = self.asks.take(id, self.now()).ok_or_else(not_open)?;
        self.record_ask(id, &asked, BrowserStep::Approved, peer, None);
        for id in &asked.also {
            // One that has left meanwhile is not missed.
            if let Some(other) = self.asks.take(id, self.now()) {
                self.record_ask(id, &other, BrowserStep::Approved, peer, None);
            }
        }
        let by_login_key = matches!(asked.holder, Holder::LoginKey { .. });
        if by_login_key {
            gate.bring(&tap);
        } else if gate.deposit(&tap) == 0 {
            return Err(Fault::expired("nobody waits for this tap any more", "start again at your terminal"));
        }
        Ok(AskApproved { again: asked.manner == Manner::Return })
    }

    /// The others that were ticked, by what the page knows them by.
    fn ticked(&self, id: &str, asked: &Asked, tokens: &[String]) -> Result<Vec<(String, Asked)>, Fault> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let mut others = self.asks.beside(id, asked, self.now());
        others.retain(|(id, _)| tokens.contains(&id_for_log(id)));
        if others.len() != tokens.len() {
            return Err(Fault::conflict("one of those that you ticked is gone", "load the page again"));
        }
        Ok(others)
    }

    fn ask_tap(&self, gate: &Gate, asked: &Asked, answer: &Assertion) -> Result<Arc<Tap>, Fault> {
        let given = self.receive(answer, Purpose::Session, Some(&asked.identity))?;
        if !matches!(given.pending.work, Work::InBand) {
            return Err(Fault::unauthenticated("the tap was asked for elsewhere"));
        }
        self.record_success(&given);
        let needed = self.still_due(gate, &asked.identity, given.tap.statement().parts(), asked.peer)?;
        self.must_satisfy(needed.mfa, &given)?;
        let (user, state) = (asked.identity.user(), self.state.load());
        let gone = || Fault::unauthenticated(GONE);
        let registration = state.registrations.credential(user, &given.proof.credential_id).ok_or_else(gone)?;
        let expected = Expected {
            key: &registration.key,
            relying_party: &self.relying_party,
            gate: &self.gate,
            purpose: Purpose::Session,
            user,
            user_verification: given.pending.verified,
            at: self.now(),
        };
        Tap::verify(&Arc::new(given.proof), &expected).map(Arc::new).map_err(Fault::internal)
    }

    /// Ends it because the person at the browser says no; the client is told.
    pub fn ask_deny(&self, gate: &Gate, id: &str, peer: IpAddr) -> Result<(), Fault> {
        self.rates.anybody(peer)?;
        let why = "it was denied on the page";
        let asked = self.asks.end(id, why, self.now()).ok_or_else(not_open)?;
        gate.turn_down(&asked.key(), why);
        self.record_ask(id, &asked, BrowserStep::Denied, peer, None);
        Ok(())
    }

    /// What this user is asked for, for the user's own page: it leads to no page where anything could be approved.
    pub fn asks_of(&self, user: &UserName) -> Vec<AskOther> {
        self.asks.of(user, self.now()).iter().map(|(id, asked)| asked.listed(id)).collect()
    }

    /// News of each change to what anybody is asked for.
    pub fn asks_news(&self) -> watch::Receiver<u64> {
        self.asks.news()
    }

    /// The user says no on the own page; or that somebody else has the key, which is locked then.
    pub fn ask_deny_own(&self, gate: &Gate, user: &UserName, deny: &AskDeny, peer: IpAddr) -> Result<(), Fault> {
        let own = self.asks.of(user, self.now());
        let (id, asked) = own.iter().find(|(id, _)| id_for_log(id) == deny.token).ok_or_else(not_open)?;
        self.ask_deny(gate, id, peer)?;
        if deny.lock { self.lock_key(&asked.identity) } else { Ok(()) }
    }

    /// The window runs from the code, so a slow tap leaves less of it. Over a connection it is good for that one
    /// connection; by the login key once, or as often as the roles have opted for.
    fn ask_statement(&self, asked: &Asked, all: &[&Asked], needed: &Needed) -> Result<Statement, Fault> {
        let now = self.now();
        let reuse =
            asked.is_reusable() && !needed.window.is_zero() && needed.targets.iter().all(|t| t.2.reuse_login_key);
        let span = match asked.holder {
            Holder::LoginKey { .. } if !reuse => RETURN_MAX,
            _ if needed.window.is_zero() => ONCE_TTL,
            _ => needed.window.min(CEREMONY_TTL),
        };
        // What is needed stands in the order in which it was asked for, so that each keeps its own holder.
        let entry = |((target, login, _), asked): (&(TargetRef, Login, _), &&Asked)| StatementTarget {
            target: target.clone(),
            login: login.clone(),
            holder: asked.holder.clone(),
        };
        Statement::new(StatementParts {
            gate: self.gate,
            purpose: Purpose::Session,
            user: asked.identity.user().clone(),
            uses: if reuse { Uses::Window } else { Uses::Once },
            source_ip: needed.pin_source_ip.then_some(asked.peer),
            action: None,
            targets: needed.targets.iter().zip(all).map(entry).collect(),
            created: now,
            expires: now.plus(span).min(asked.identity.login_expires()),
        })
        .map_err(|e| Fault::internal(format_args!("no statement can be made: {e}")))
    }

    /// Whoever taps is where the client is, unless the cluster has said otherwise: a stranger's client gets no tap
    /// from a page that its owner was lured to.
    fn must_be_near(&self, id: &str, asked: &Asked, peer: IpAddr) -> Result<(), Fault> {
        if self.state.load().policy.preference().allow_approval_from_elsewhere || same_place(asked.peer, peer) {
            return Ok(());
        }
        let why = "the browser is at another address than the client";
        self.record_ask(id, asked, BrowserStep::Refused, peer, Some(why));
        Err(Fault::denied(
            "This was asked for from another address than your browser's, and this cluster takes no tap for that. \
             If you did not start it yourself, deny it.",
        ))
    }

    fn record_ask(&self, id: &str, asked: &Asked, step: BrowserStep, peer: IpAddr, reason: Option<&str>) {
        let user = asked.identity.user().clone();
        self.sink.record(Event::mfa_browser(user, "in-band", id_for_log(id), step, peer, reason));
    }
}

impl Asked {
    /// Whether it is asked for under a role that lets the login key be used again; the statement looks once more.
    fn is_reusable(&self) -> bool {
        matches!(self.holder, Holder::LoginKey { .. }) && self.reuse
    }

    fn shown(&self) -> BrowserTarget {
        let (target, login, holder) = (self.target.clone(), self.login.clone(), self.holder.clone());
        shown_target(&StatementTarget { target, login, holder })
    }

    /// As the page of another one lists it.
    fn listed(&self, id: &str) -> AskOther {
        AskOther {
            token: id_for_log(id),
            target: self.shown(),
            address: self.peer.to_string(),
            client: self.client.clone(),
            asked: self.since.as_secs(),
        }
    }

    /// What the tap is good for, in words.
    fn good_for(&self) -> String {
        let Holder::LoginKey { address, .. } = &self.holder else { return self.holder.to_string() };
        if self.is_reusable() {
            return format!("ANY connection with your login key from {address}, for minutes");
        }
        debug_assert_eq!(self.manner, Manner::Return, "a held client is known by its connection");
        format!("ONE connection with your login key from {address}, within {} seconds", RETURN_MAX.as_secs())
    }
}

/// The person is told, and with the last try the client too.
fn wrong_code(gate: &Gate, asked: &Asked, left: u8) -> Fault {
    match left {
        0 => {
            gate.turn_down(&asked.key(), "a wrong code was typed too often");
            Fault::not_found("This was a wrong code once too often: the request is over. Start again at your terminal.")
        }
        1 => Fault::denied("This is not the code that your terminal shows (one more try)."),
        left => Fault::denied(format!("This is not the code that your terminal shows ({left} more tries).")),
    }
}
