//! Taps that stock clients ask for within their own protocol: who waits, where the page is, and what became of it.
//!
//! What waits is in memory alone: it belongs to a connection of this process, or to a client that comes again within
//! minutes. The ceremony itself begins on the page, once the code from the terminal was typed there.

mod approve;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt as _, ready};
use tapgate_api::path;
use tapgate_audit::{BrowserStep, Event};
use tapgate_identity::Identity;
use tapgate_model::{Login, TargetRef, UnixTime, UserName};
use tapgate_proof::Holder;
use tapgate_session::limits::HOLD_MAX;
use tapgate_session::{Ask, Challenge, Invitation, Invited, Manner, Occasion, PromptError, Taps, WaitKey};
use tokio::sync::watch;

use crate::Authority;
use crate::browser::new_code;
use crate::ceremony::new_id;
use crate::limits::{BESIDE_MAX, CEREMONY_TTL, IN_BAND_PER_USER_AND_ADDRESS_MAX, IN_BAND_TRIES};
use crate::rate::network;
use crate::tap::id_for_log;

/// The authority, as the gate asks it for taps; `origin` is where its pages are.
pub struct InBand {
    authority: Arc<Authority>,
    origin: String,
}

/// A tap that is asked for.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) identity: Arc<Identity>,
    pub(crate) target: TargetRef,
    pub(crate) login: Login,
    pub(crate) holder: Holder,
    pub(crate) manner: Manner,
    /// From where it is asked.
    pub(crate) peer: IpAddr,
    /// Whether the roles let the login key be used again.
    pub(crate) reuse: bool,
    /// What speaks there, in the client's own words.
    pub(crate) client: String,
    /// What is shown at the terminal, digits alone.
    code: String,
    /// How many more wrong codes there may be.
    tries: u8,
    pub(crate) since: UnixTime,
    pub(crate) expires: UnixTime,
    /// The ceremony on the page, once the code was right.
    pub(crate) ceremony: Option<String>,
    /// The numbers of those that it covers as well.
    pub(crate) also: Vec<String>,
    /// Why there will be no tap: kept for a client that comes again.
    over: Option<&'static str>,
}

/// All taps that are asked for, by the numbers of their pages.
pub(crate) struct Asks {
    all: Mutex<HashMap<String, Asked>>,
    /// Counts changes, for pages that show what is awaited.
    changes: watch::Sender<u64>,
}

impl Default for Asks {
    fn default() -> Self {
        Self { all: Mutex::default(), changes: watch::channel(0).0 }
    }
}

/// What came of a typed code.
pub(crate) enum Typed {
    Right(Box<Asked>),
    /// So many tries are left.
    Wrong(Box<Asked>, u8),
}

impl Asked {
    /// Whom the tap frees.
    pub(crate) fn key(&self) -> WaitKey {
        let (user, holder) = (self.identity.user().clone(), self.holder.clone());
        WaitKey { user, holder, target: self.target.uid, login: self.login.clone() }
    }

    /// Whether it is asked for by a client that waits, and is good for its connection alone.
    pub(crate) fn is_over_a_connection(&self) -> bool {
        self.manner == Manner::Hold && !matches!(self.holder, Holder::LoginKey { .. })
    }

    fn is_for(&self, key: &WaitKey, manner: Manner) -> bool {
        self.manner == manner && self.key() == *key
    }

    fn is_open(&self, now: UnixTime) -> bool {
        self.over.is_none() && now < self.expires
    }
}

impl Asks {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Asked>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// News of each change.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What this user is asked for, by the numbers of the pages, the oldest first.
    pub(crate) fn of(&self, user: &UserName, now: UnixTime) -> Vec<(String, Asked)> {
        let all = self.all();
        let own = all.iter().filter(|(_, asked)| asked.is_open(now) && asked.identity.user() == user);
        let mut own: Vec<_> = own.map(|(id, asked)| (id.clone(), asked.clone())).collect();
        own.sort_by(|a, b| (a.1.since, &a.1.target.name).cmp(&(b.1.since, &b.1.target.name)));
        own
    }

    /// Adds one. A client that comes again finds its own, with the same page and code; `open` says whether there is
    /// room, and whether it is new.
    fn add(&self, asked: Asked, now: UnixTime) -> Result<(String, String, bool), &'static str> {
        let key = asked.key();
        let mut all = self.all();
        all.retain(|_, other| now < other.expires);
        if let Some((id, known)) = all.iter().find(|(_, known)| known.is_for(&key, asked.manner)) {
            return known.over.map_or_else(|| Ok((id.clone(), known.code.clone(), false)), Err);
        }
        let from = network(asked.peer);
        let own = all.values().filter(|other| network(other.peer) == from && other.identity.user() == &key.user);
        if own.count() >= IN_BAND_PER_USER_AND_ADDRESS_MAX {
            return Err("too many of your taps are awaited; try again later");
        }
        let (id, code) = (new_id(), asked.code.clone());
        all.insert(id.clone(), asked);
        drop(all);
        self.changed();
        Ok((id, code, true))
    }

    pub(crate) fn get(&self, id: &str, now: UnixTime) -> Option<Asked> {
        self.all().get(id).filter(|asked| asked.is_open(now)).cloned()
    }

    /// Looks at a code that was typed. It is counted here, so that tries side by side are counted as well.
    pub(crate) fn typed(&self, id: &str, code: &str, now: UnixTime) -> Option<Typed> {
        let mut all = self.all();
        let asked = all.get_mut(id).filter(|asked| asked.is_open(now))?;
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(code.as_bytes(), asked.code.as_bytes()).is_ok();
        if same {
            return Some(Typed::Right(Box::new(asked.clone())));
        }
        asked.tries = asked.tries.saturating_sub(1);
        let (asked, left) = (asked.clone(), asked.tries);
        if left == 0 {
            close(&mut all, id, "a wrong code was typed too often", now);
            self.changed();
        }
        Some(Typed::Wrong(Box::new(asked), left))
    }

    /// Notes the ceremony on the page, and what it covers as well; answers the one before it.
    pub(crate) fn begun(&self, id: &str, ceremony: &str, also: Vec<String>) -> Option<String> {
        let mut all = self.all();
        let asked = all.get_mut(id)?;
        asked.also = also;
        asked.ceremony.replace(ceremony.to_owned())
    }

    /// What else the same user waits for from the same address, each over a connection of its own; by their numbers.
    pub(crate) fn beside(&self, id: &str, asked: &Asked, now: UnixTime) -> Vec<(String, Asked)> {
        let fits = |other: &Asked| {
            other.is_over_a_connection()
                && other.is_open(now)
                && other.peer == asked.peer
                && other.identity.user() == asked.identity.user()
        };
        let all = self.all();
        let others = all.iter().filter(|(other, known)| *other != id && fits(known));
        let mut found: Vec<_> = others.map(|(id, asked)| (id.clone(), asked.clone())).collect();
        found.sort_by(|a, b| (a.1.since, &a.1.target.name).cmp(&(b.1.since, &b.1.target.name)));
        found.truncate(if asked.is_over_a_connection() { BESIDE_MAX } else { 0 });
        found
    }

    /// Takes one out, so that of all who approve one gets on.
    pub(crate) fn take(&self, id: &str, now: UnixTime) -> Option<Asked> {
        let mut all = self.all();
        all.get(id).filter(|asked| asked.is_open(now))?;
        self.changed();
        all.remove(id)
    }

    /// Ends one; a client that comes again is told why.
    pub(crate) fn end(&self, id: &str, why: &'static str, now: UnixTime) -> Option<Asked> {
        let mut all = self.all();
        let asked = all.get(id).filter(|asked| asked.is_open(now)).cloned()?;
        close(&mut all, id, why, now);
        self.changed();
        Some(asked)
    }
}

fn close(all: &mut HashMap<String, Asked>, id: &str, why: &'static str, now: UnixTime) {
    match all.get_mut(id) {
        Some(asked) if asked.manner == Manner::Return => {
            asked.over = Some(why);
            asked.expires = asked.expires.min(now.plus(tapgate_session::limits::RETURN_MAX));
        }
        _ => drop(all.remove(id)),
    }
}

/// Held by a client that waits: nobody taps for one that is gone.
struct Waits {
    asks: Arc<Asks>,
    id: String,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let left = self.asks.all().remove(&self.id);
        if left.is_some() {
            self.asks.changed();
        }
    }
}

impl InBand {
    /// The authority's own pages.
    pub fn new(authority: Arc<Authority>, origin: impl Into<String>) -> Self {
        Self { authority, origin: origin.into() }
    }

    fn begin(&self, challenge: &Challenge, ask: &Ask<'_>, occasion: Occasion<'_>) -> Result<Invited, PromptError> {
        let (authority, user) = (&*self.authority, challenge.user());
        if authority.state.load().registrations.of(user).is_empty() {
            let words = "you have no security key registered at the gate; add one with `tap mfa add`";
            return Err(PromptError::No(words.to_owned()));
        }
        let now = authority.now();
        let asked = Asked {
            identity: Arc::clone(ask.identity),
            target: challenge.target().clone(),
            login: challenge.login().clone(),
            holder: occasion.holder,
            manner: occasion.manner,
            reuse: challenge.terms().reuse_login_key,
            peer: ask.connection.peer.ip().to_canonical(),
            client: words_of(ask, occasion.client),
            code: new_code(),
            tries: IN_BAND_TRIES,
            since: now,
            expires: now.plus(if occasion.manner == Manner::Hold { HOLD_MAX } else { CEREMONY_TTL }),
            ceremony: None,
            also: Vec::new(),
            over: None,
        };
        let (peer, manner) = (asked.peer, asked.manner);
        let (id, code, new) = authority.asks.add(asked, now).map_err(|why| PromptError::No(why.to_owned()))?;
        if new {
            let (ceremony, step) = (id_for_log(&id), BrowserStep::Begun);
            authority.sink.record(Event::mfa_browser(user.clone(), "in-band", ceremony, step, peer, None));
        }
        let url = format!("{}{}/{id}", self.origin.trim_end_matches('/'), path::ASK_PAGE);
        let code = format!("{}-{}", code.get(..3).unwrap_or_default(), code.get(3..).unwrap_or_default());
        let asks = Arc::clone(&authority.asks);
        let keep = (manner == Manner::Hold).then(|| -> tapgate_session::Keep { Box::new(Waits { asks, id }) });
        Ok(Invited { invitation: Invitation { url, code }, keep })
    }
}

/// What the page says of the client: printable, and no longer than can be read.
fn words_of(ask: &Ask<'_>, client: &str) -> String {
    let said: String = client.chars().filter(|c| !c.is_control()).take(160).collect();
    let protocol = ask.connection.protocol.as_str();
    if said.trim().is_empty() { protocol.to_owned() } else { format!("{protocol}: {said}") }
}

impl Taps for InBand {
    fn invite<'a>(
        &'a self,
        challenge: &'a Challenge,
        ask: &'a Ask<'a>,
        occasion: Occasion<'a>,
    ) -> BoxFuture<'a, Result<Invited, PromptError>> {
        ready(self.begin(challenge, ask, occasion)).boxed()
    }
}
