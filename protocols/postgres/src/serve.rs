//! One connection from its first byte: who comes, the verdict, the target, and then the session.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use tapgate_identity::{Identity, X509Ca};
use tapgate_model::{Clock, Kind, tunnel};
use tapgate_relay::{Accepted, DoorName, Protocol, Sniff, StartTls, TlsDoor};
use tapgate_session::{
    Ask, ConnectionFacts, DbTerms, DialError, Door, EndReason, Gate, Grant, Live, ProtocolName, Refusal,
};
use tapgate_sql::Classifier;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::entrance::{Arrival, Entrance, Guest};
use crate::judge::Judge;
use crate::keys::Keys;
use crate::limits::{CANCEL_MAX, FAREWELL_MAX, HANDSHAKE_MAX};
use crate::prompt::{Asking, come_again};
use crate::session::Session;
use crate::startup::{CancelKey, Startup};
use crate::target::{OwnSetting, Passport, Target, Wanted};
use crate::wire::{self, Severity};

/// What the PostgreSQL protocol is made of.
pub struct PostgresParts {
    /// Who decides.
    pub gate: Gate,
    /// Turns a connection into TLS where a client asks for that.
    pub start_tls: Arc<dyn StartTls>,
    /// Who signs the certificates that are shown to targets.
    pub target_ca: Arc<X509Ca>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The name below which each target has a name of its own, as in `orders.db.gate.example`; where there is one.
    pub under: Option<String>,
    /// Who tells what statements do.
    pub classifier: Classifier,
}

/// The PostgreSQL protocol at the gate.
pub struct Postgres {
    gate: Gate,
    start_tls: Arc<dyn StartTls>,
    passport: Passport,
    under: String,
    keys: Arc<Keys>,
    classifier: Classifier,
}

impl Postgres {
    /// The protocol, made of these parts.
    pub fn new(parts: PostgresParts) -> Self {
        Self {
            gate: parts.gate,
            start_tls: parts.start_tls,
            passport: Passport { ca: parts.target_ca, clock: parts.clock },
            under: parts.under.unwrap_or_default(),
            keys: Arc::default(),
            classifier: parts.classifier,
        }
    }
}

impl Protocol for Postgres {
    fn name(&self) -> ProtocolName {
        ProtocolName::Postgres
    }

    fn tls_doors(&self) -> Vec<TlsDoor> {
        let direct = |name| TlsDoor {
            name,
            alpn: vec![tunnel::POSTGRES_DIRECT],
            client: tapgate_identity::ClientAuth::Optional,
            session: true,
        };
        let under = (!self.under.is_empty()).then(|| direct(DoorName::Under(self.under.clone())));
        let own = [TlsDoor::tunnel(tunnel::POSTGRES, true), direct(DoorName::Alpn(tunnel::POSTGRES_DIRECT))];
        own.into_iter().chain(under).collect()
    }

    fn sniff(&self, head: &[u8]) -> Sniff {
        sniff(head)
    }

    fn serve(self: Arc<Self>, conn: Accepted) -> BoxFuture<'static, ()> {
        async move { self.connection(conn).await }.boxed()
    }
}

/// Whether a connection begins as a PostgreSQL client's does: a length below 64 KiB, then protocol 3 or one of the
/// request codes.
pub fn sniff(head: &[u8]) -> Sniff {
    let begins =
        |due: &[u8], from: usize| head.get(from..).unwrap_or_default().iter().zip(due).all(|(byte, due)| byte == due);
    let is_likely = begins(&[0, 0], 0) && (begins(&[0, 3], 4) || begins(&[0x04, 0xd2, 0x16], 4));
    match head.get(7) {
        _ if !is_likely => Sniff::No,
        None => Sniff::NeedMore,
        Some(_) if begins(&[0, 3], 4) => Sniff::Yes,
        Some(0x2e..=0x30) => Sniff::Yes,
        Some(_) => Sniff::No,
    }
}

/// Why there is no session, for the client: the words that it reads.
struct Refused(Vec<u8>);

impl Refused {
    fn new(code: &str, message: impl AsRef<str>) -> Self {
        Self(wire::error(Severity::Fatal, code, message.as_ref()))
    }

    fn of(refusal: &Refusal) -> Self {
        let message = refusal.message();
        refusal.invitation().map_or_else(|| Self::new("28000", message), |page| Self(come_again(message, page)))
    }
}

impl Postgres {
    async fn connection(&self, conn: Accepted) {
        let Accepted { io, peer, tls, handshake } = conn;
        let mut entrance = Entrance::new(io, tls, peer);
        let arrived = timeout(HANDSHAKE_MAX, entrance.arrive(&*self.start_tls, &self.under)).await;
        match arrived {
            Err(_) => tracing::debug!(%peer, "A PostgreSQL client did not say in time what it wants"),
            Ok(Err(turned)) => {
                let _ = timeout(FAREWELL_MAX, entrance.turn_away(&turned)).await;
            }
            // Its place among the handshakes is kept: it is over soon.
            Ok(Ok(Arrival::Cancel(key, identity))) => self.cancel(&key, peer, identity.as_deref()).await,
            Ok(Ok(Arrival::Guest(guest))) => {
                drop(handshake);
                Box::pin(self.session(entrance, guest)).await;
            }
        }
    }

    /// Passes a cancel request on to its session. The client waits for the connection's end and learns nothing else.
    async fn cancel(&self, key: &CancelKey, peer: SocketAddr, identity: Option<&Identity>) {
        let Some(passed_on) = self.keys.order(key, peer.ip(), identity) else {
            return tracing::info!(%peer, "Did nothing for a cancel request without a valid key");
        };
        let _ = timeout(CANCEL_MAX, passed_on).await;
    }

    async fn session(&self, mut entrance: Entrance, guest: Guest) {
        let mut greeted = false;
        // What it takes to get there is in boxes: an idle session does not carry it along.
        let opened = match Box::pin(self.granted(&mut entrance, &guest, &mut greeted)).await {
            Ok(Some(grant)) => Box::pin(self.open(&guest, grant)).await,
            // The client is gone.
            Ok(None) => return,
            Err(refused) => Err(refused),
        };
        match opened {
            Ok((target, live)) => {
                let process = target.canceller.key.as_ref().map_or(0, |key| key.process);
                let key = self.keys.register(process, guest.startup.takes_long_keys(), live.user());
                let judge = Judge::new(self.classifier.clone(), terms_of(&guest.startup, live.terms().db));
                Box::pin(Session { client: entrance.into_io(), target, live, key, judge, greeted }.run()).await;
            }
            Err(Refused(words)) => {
                let _ = timeout(FAREWELL_MAX, entrance.part(&words)).await;
            }
        }
    }

    /// Asks for the session; a stock client is asked for its tap meanwhile. `None` where it has left.
    async fn granted(
        &self,
        entrance: &mut Entrance,
        guest: &Guest,
        greeted: &mut bool,
    ) -> Result<Option<Grant>, Refused> {
        let Guest { identity, startup, destination } = guest;
        let peer = entrance.peer;
        let door = Door::of(identity);
        let holder = entrance.channel().filter(|_| door == Door::InBand);
        let facts = ConnectionFacts { peer, door, protocol: ProtocolName::Postgres, holder };
        let ask = Ask {
            identity,
            kind: Kind::Db,
            target: &destination.target,
            login: &destination.login,
            connection: &facts,
        };
        let (say, mut said) = mpsc::channel(1);
        let mut prompt = Asking { startup, say };
        let mut opening = std::pin::pin!(self.gate.open(&ask, &mut prompt));
        loop {
            let opened = tokio::select! {
                biased;
                opened = &mut opening => opened,
                Some(words) = said.recv() => {
                    if entrance.tell(&words).await.is_err() {
                        return Ok(None);
                    }
                    *greeted = true;
                    continue;
                }
                // Nobody taps for a client that has left: the ceremony ends with this.
                () = entrance.gone(), if *greeted => return Ok(None),
            };
            return opened.map(Some).map_err(|refusal| {
                tracing::info!(%peer, user = %identity.user(), target = %destination.target,
                    reason = refusal.reason(), "Refused a session");
                Refused::of(&refusal)
            });
        }
    }

    /// Enters the target.
    async fn open(&self, guest: &Guest, grant: Grant) -> Result<(Target, Live), Refused> {
        let Guest { startup, destination, .. } = guest;
        let own = own_settings(startup, grant.terms().db)?;
        let (upstream, live) = grant.dial().await.map_err(|error| {
            tracing::warn!(target = %destination.target, %error, "Could not dial a target");
            let code = match &error {
                DialError::Unreachable { .. } => "08006",
                DialError::Full | DialError::Unrecorded => "53300",
                DialError::Spent | DialError::Unsure | DialError::Denied(_) => "28000",
            };
            Refused::new(code, error.to_string())
        })?;
        let Some(db) = live.about().db().cloned() else {
            live.finish(&EndReason::Error("the target is no database".to_owned()));
            return Err(Refused::new("08006", "this target is no database"));
        };
        let wanted = Wanted { destination, startup, own };
        let mut cut = live.cut();
        let entered = tokio::select! {
            reason = cut.wanted() => {
                live.finish(&EndReason::Cut(reason.clone()));
                return Err(Refused::new("57P01", reason.to_string()));
            }
            entered = Target::enter(&self.passport, upstream, &db, &wanted) => entered,
        };
        match entered {
            Ok(target) => Ok((target, live)),
            Err(error) => {
                let message = format!("the database \"{}\" can't be entered: {error}", db.name);
                tracing::warn!(target = %db.name, %error, "Could not enter a target");
                live.finish(&EndReason::Error(message.clone()));
                Err(Refused::new(error.code(), message))
            }
        }
    }
}

/// Which kind of replication a client asks for.
fn replication(startup: &Startup) -> Option<&str> {
    startup.text("replication").filter(|value| !["false", "off", "no", "0"].contains(value))
}

/// What the gate itself says in the startup packet.
fn own_settings(startup: &Startup, terms: DbTerms) -> Result<Vec<OwnSetting<'_>>, Refused> {
    let mut own: Vec<OwnSetting<'_>> = Vec::new();
    if let Some(kind) = replication(startup) {
        if !terms.replication {
            let why = "replication is not allowed here (ask for a role with db_replication)";
            return Err(Refused::new("42501", why));
        }
        own.push((b"replication", kind.as_bytes()));
    }
    if terms.is_read_only() {
        own.push((b"default_transaction_read_only", b"on"));
    }
    Ok(own)
}

/// What holds for the texts of a session. One that replicates all databases knows no statements, only commands of its
/// own.
fn terms_of(startup: &Startup, terms: DbTerms) -> DbTerms {
    match replication(startup) {
        Some(kind) if kind != "database" => DbTerms { audit_text: terms.audit_text, ..DbTerms::DEFAULT },
        _ => terms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes() {
        for (head, expect) in [
            (&b""[..], Sniff::NeedMore),
            (b"\0", Sniff::NeedMore),
            (b"\0\0\0\x08\x04\xd2\x16", Sniff::NeedMore),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Sniff::Yes),
            (b"\0\0\0\x08\x04\xd2\x16\x30", Sniff::Yes),
            (b"\0\0\0\x10\x04\xd2\x16\x2e\0\0", Sniff::Yes),
            (b"\0\0\0\x54\0\x03\0\0user", Sniff::Yes),
            (b"\0\0\0\x54\0\x03\0\x02user", Sniff::Yes),
            (b"\0\0\0\x08\x04\xd2\x16\x31", Sniff::No),
            (b"\0\0\0\x54\0\x02", Sniff::No),
            (b"\0\x01", Sniff::No),
            (b"GET / HTTP/1.1", Sniff::No),
            (b"\x16\x03\x01", Sniff::No),
            (b"SSH-2.0", Sniff::No),
        ] {
            assert_eq!(sniff(head), expect, "{head:?}");
        }
    }
}
