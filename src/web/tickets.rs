//! Tickets: a page's right to one WebSocket, asked for before the tap so that the tap can name it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tapgate_authority::{Fault, WebSession};
use tapgate_identity::spki_digest;
use tapgate_model::{Digest, UnixTime};
use tapgate_proof::Holder;

use crate::limits::{TICKET_TTL, TICKETS_MAX, TICKETS_PER_SESSION_MAX};

/// Those that are out, by the hash of their secret: whose each is, and until when it is good.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<HashMap<Digest, (Digest, UnixTime)>>);

impl Tickets {
    /// Gives one to a page: its secret, and what a tap for it names.
    pub(super) fn give(&self, session: &WebSession, now: UnixTime) -> Result<(String, Holder), Fault> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, until)| now < *until);
        let own = all.values().filter(|(owner, _)| *owner == session.number()).count();
        if all.len() >= TICKETS_MAX || own >= TICKETS_PER_SESSION_MAX {
            return Err(Fault::too_many());
        }
        let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let connection = hash(&secret);
        all.insert(connection, (session.number(), now.plus(TICKET_TTL)));
        Ok((secret, Holder::WebConnection { session: session.number(), connection }))
    }

    /// Takes one, which is good once and for the web session alone that it was given to.
    pub(super) fn take(&self, secret: &str, session: &WebSession, now: UnixTime) -> Option<Holder> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = hash(secret);
        let good = all.get(&connection).is_some_and(|(owner, until)| *owner == session.number() && now < *until);
        if !good {
            return None;
        }
        all.remove(&connection);
        Some(Holder::WebConnection { session: session.number(), connection })
    }
}

/// The secret itself is in no statement and in no log.
fn hash(secret: &str) -> Digest {
    spki_digest(&[b"tapgate/web-ticket/v1".as_slice(), secret.as_bytes()].concat())
}
