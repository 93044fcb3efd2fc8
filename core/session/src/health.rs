//! Whether applications can be reached: what the last connection to each said, and a look now and then.
//!
//! A look is a connection that is closed again without a byte, so it needs no grant: see ADR 0015. It goes where a
//! session would go, and a name that may not lead there leads no look there either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use tapgate_model::{Kind, TargetName, TargetRef, TargetUid, UnixTime};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::Gate;
use crate::dial::reach;
use crate::limits::{LOOK_AFTER, LOOK_MAX, LOOKS_AT_ONCE_MAX, LOOKS_EVERY};
use crate::snapshot::{Record, Snapshot};

/// What is known of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Since when it is so.
    pub since: UnixTime,
    /// Why it can't be reached, in words without its address; `None` where it can.
    pub down: Option<String>,
}

/// What is known of all applications.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<TargetUid, (Instant, Health)>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, HashMap<TargetUid, (Instant, Health)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what connecting has said.
    pub(crate) fn note(&self, target: &TargetRef, now: UnixTime, said: Result<(), &str>) {
        let down = said.err().map(str::to_owned);
        let mut all = self.all();
        let before = all.get(&target.uid).map(|(_, health)| health);
        // In words that differ it is down all the same.
        let same = before.filter(|health| health.down.is_some() == down.is_some());
        if same.is_none() {
            let (name, why) = (&target.name, down.as_deref().unwrap_or("reached"));
            tracing::info!(application = %name, said = why, "An application's health has changed");
        }
        let since = same.map_or(now, |health| health.since);
        all.insert(target.uid, (Instant::now(), Health { since, down }));
    }

    /// The applications that are due for a look; those that are no more are forgotten.
    fn due(&self, snapshot: &Snapshot) -> Vec<Arc<Record>> {
        let mut all = self.all();
        let apps: HashMap<TargetUid, &Arc<Record>> =
            snapshot.records().filter(|record| record.about.app().is_some()).map(|app| (app.target.uid, app)).collect();
        all.retain(|uid, _| apps.contains_key(uid));
        let fresh = |uid: &TargetUid| all.get(uid).is_some_and(|(at, _)| at.elapsed() < LOOK_AFTER);
        apps.into_iter().filter(|(uid, _)| !fresh(uid)).map(|(_, app)| Arc::clone(app)).collect()
    }
}

impl Gate {
    /// What is known of an application; nothing where nobody has looked yet.
    pub fn health(&self, target: &TargetRef) -> Option<Health> {
        self.known().all().get(&target.uid).map(|(_, health)| health.clone())
    }

    /// Looks after the applications for ever: at each of which nothing was heard for a while.
    pub async fn look_after_applications(&self) {
        let mut ticks = interval(LOOKS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let due = self.known().due(&self.snapshot());
            futures::stream::iter(due).for_each_concurrent(LOOKS_AT_ONCE_MAX, |app| self.look(app)).await;
        }
    }

    /// Looks whether a target answers at all, for an administrator who has just added it; `None` where there is none.
    pub async fn look_at(&self, kind: Kind, name: &TargetName) -> Option<Result<(), String>> {
        let record = {
            let snapshot = self.snapshot();
            let mut all = snapshot.records();
            Arc::clone(all.find(|record| record.target.kind == kind && record.target.name == *name)?)
        };
        Some(answers(&record).await)
    }

    async fn look(&self, record: Arc<Record>) {
        let said = answers(&record).await;
        self.known().note(&record.target, self.clock().now(), said.as_ref().copied().map_err(String::as_str));
    }
}

/// Connects, and closes the connection again without a byte.
async fn answers(record: &Record) -> Result<(), String> {
    // Of a TCP application with several ports the first one speaks for all.
    let first = record.about.app().and_then(|app| app.tcp_ports.first().and_then(|(port, _)| app.at_port(*port)));
    let address = first.unwrap_or_else(|| record.address.clone());
    let late = || Err("no answer".to_owned());
    timeout(LOOK_MAX, reach(record, &address)).await.unwrap_or_else(|_| late()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_counts_from_its_change() {
        let target = TargetRef { kind: Kind::App, name: "dash".parse().unwrap(), uid: TargetUid::from_bytes([1; 16]) };
        let known = Known::default();
        let at = UnixTime::from_secs;
        let now = |known: &Known| known.all().get(&target.uid).map(|(_, health)| health.clone()).unwrap();
        known.note(&target, at(1), Ok(()));
        known.note(&target, at(2), Ok(()));
        assert_eq!(now(&known), Health { since: at(1), down: None });
        known.note(&target, at(3), Err("connection refused"));
        known.note(&target, at(4), Err("no answer"));
        assert_eq!(now(&known), Health { since: at(3), down: Some("no answer".to_owned()) });
        known.note(&target, at(5), Ok(()));
        assert_eq!(now(&known), Health { since: at(5), down: None });
    }
}
