//! What waits for an identity provider: the request of a terminal or a web page, and the browser's trip to the provider.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tapgate_model::{Digest, UnixTime, UserName};
use tapgate_proof::Proof;
use tapgate_store::Write;

use crate::ceremony::{is_id, new_id};
use crate::limits::CEREMONIES_MAX;
use crate::{Authority, Fault, key, token};

/// What was asked for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) connector: String,
    pub(super) work: Work,
    /// The statement's user: who taps, or at a login a name that stands for whoever the provider names.
    pub(super) user: UserName,
    /// The 32 random bytes under the challenge.
    pub(super) random: String,
    /// The statement's DER.
    pub(super) statement: String,
    pub(super) peer: IpAddr,
    /// Where a terminal waits; none for a web page.
    pub(super) back: Option<Back>,
    pub(super) tries: u8,
    pub(super) asked: UnixTime,
    pub(super) expires: UnixTime,
    /// The hash of the number under which the browser is at the provider now.
    pub(super) away: Option<Digest>,
}

/// What comes of it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub(super) enum Work {
    /// Login certificates for these keys.
    Login { tls_public_key: String, ssh_public_key: String },
    /// Session certificates for this key, asked for with this certificate.
    Session { public_key: String, certificate: Digest },
    /// A web session.
    Web,
}

impl Work {
    /// The word for the log and the page.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Login { .. } | Self::Web => "login",
            Self::Session { .. } => "session",
        }
    }
}

/// Where a terminal listens, in parts, so that no address of anybody else's can be stored.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Back {
    pub(super) port: u16,
    pub(super) nonce: String,
    pub(super) public_key: String,
    /// The hash of the code and of the request's number, which is not in the store.
    pub(super) code: Digest,
}

/// A browser at the provider.
#[derive(Serialize, Deserialize)]
pub(super) struct Trip {
    /// The request's hash.
    pub(super) request: Digest,
    /// The hash of the cookie that the browser has.
    pub(super) cookie: Digest,
    /// What the code is redeemed with (RFC 7636).
    pub(super) verifier: String,
    pub(super) expires: UnixTime,
}

/// A request that the provider has answered well, waiting for its terminal.
#[derive(Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) request: Request,
    pub(super) number: Digest,
    pub(super) proof: Proof,
}

/// The hash by which the store knows a number.
pub(super) fn hash(number: &str) -> Digest {
    token::sha256(&[b"tapgate/sso/v1/", number.as_bytes()])
}

fn request_key(number: &Digest) -> String {
    format!("sso/request/{number}")
}

fn trip_key(state: &Digest) -> String {
    format!("sso/trip/{state}")
}

fn done_key(ticket: &Digest) -> String {
    format!("sso/done/{ticket}")
}

/// One answer for a request that was used, is over, or never was.
pub(super) fn not_open() -> Fault {
    Fault::not_found("This request is not open: it was used, it is over, or it never was.")
}

impl Authority {
    /// Lets a request wait; answers its number.
    pub(super) fn sso_wait(&self, number: &str, request: &Request) -> Result<(), Fault> {
        let now = self.now().as_secs();
        let scope = match request.work {
            Work::Session { .. } => format!("sso/{}", request.user),
            Work::Login { .. } | Work::Web => format!("sso/{}/{}", request.user, request.peer),
        };
        if self.store.list(&key::waiting(&scope, ""), now)?.len() >= CEREMONIES_MAX {
            return Err(Fault::too_many());
        }
        let expires = Some(request.expires.as_secs());
        let number = hash(number);
        let waiting = key::waiting(&scope, &number.to_string());
        self.store.write(&[
            Write::Put { key: request_key(&number), value: serde_json::to_vec(request)?, expires },
            Write::Put { key: waiting, value: Vec::new(), expires },
        ])?;
        Ok(())
    }

    /// Looks at a request; answers its version, too.
    pub(super) fn sso_look(&self, number: &str) -> Result<(Request, u64), Fault> {
        if !is_id(number) {
            return Err(not_open());
        }
        self.sso_look_hashed(&hash(number))
    }

    fn sso_look_hashed(&self, number: &Digest) -> Result<(Request, u64), Fault> {
        let now = self.now();
        let entry = self.store.get(&request_key(number), now.as_secs())?.ok_or_else(not_open)?;
        let request: Request = serde_json::from_slice(&entry.value)?;
        if request.tries == 0 || request.expires <= now {
            return Err(not_open());
        }
        Ok((request, entry.version))
    }

    /// Writes a request anew, unless somebody else did meanwhile.
    pub(super) fn sso_update(&self, number: &str, request: &Request, version: u64) -> Result<(), Fault> {
        let (value, expires) = (serde_json::to_vec(request)?, Some(request.expires.as_secs()));
        let swapped =
            self.store.cas(&request_key(&hash(number)), Some(version), &value, expires, self.now().as_secs())?;
        swapped.map(drop).ok_or_else(|| Fault::conflict("the same page is open twice", "try again"))
    }

    /// Takes a request away, so that of all who have it one gets on.
    pub(super) fn sso_take(&self, number: &Digest) -> Result<Request, Fault> {
        let now = self.now();
        let bytes = self.store.take(&request_key(number), now.as_secs())?.ok_or_else(not_open)?;
        let request: Request = serde_json::from_slice(&bytes)?;
        if let Some(state) = &request.away {
            self.store.delete(&trip_key(state))?;
        }
        if request.expires <= now { Err(not_open()) } else { Ok(request) }
    }

    /// Sends the browser of a request on a trip; an earlier one leads nowhere any more. Answers the number that the
    /// provider carries, and the one that the browser keeps.
    pub(super) fn sso_depart(
        &self,
        number: &Digest,
        request: &mut Request,
        verifier: &str,
    ) -> Result<(String, String), Fault> {
        let (state, cookie) = (new_id(), new_id());
        let away = hash(&state);
        if let Some(earlier) = request.away.replace(away) {
            self.store.delete(&trip_key(&earlier))?;
        }
        let trip =
            Trip { request: *number, cookie: hash(&cookie), verifier: verifier.to_owned(), expires: request.expires };
        self.store.put(&trip_key(&away), &serde_json::to_vec(&trip)?, Some(request.expires.as_secs()))?;
        Ok((state, cookie))
    }

    /// The end of a trip: the browser that is back must be the one that left, and comes back once.
    pub(super) fn sso_arrive(&self, state: &str, cookie: &str) -> Result<Trip, Fault> {
        if !is_id(state) || !is_id(cookie) {
            return Err(not_open());
        }
        let (key, now) = (trip_key(&hash(state)), self.now());
        let entry = self.store.get(&key, now.as_secs())?.ok_or_else(not_open)?;
        let trip: Trip = serde_json::from_slice(&entry.value)?;
        // Another browser spends nothing: whoever has seen the state can't end somebody's sign-in.
        if trip.cookie != hash(cookie) || trip.expires <= now {
            return Err(not_open());
        }
        self.store.take(&key, now.as_secs())?.ok_or_else(not_open)?;
        Ok(trip)
    }

    /// Keeps what the terminal will fetch; answers the ticket.
    pub(super) fn sso_keep(&self, done: &Done) -> Result<String, Fault> {
        let ticket = new_id();
        let expires = Some(done.request.expires.as_secs());
        self.store.put(&done_key(&hash(&ticket)), &serde_json::to_vec(done)?, expires)?;
        Ok(ticket)
    }

    /// Takes what was kept under the ticket.
    pub(super) fn sso_redeem(&self, number: &str, ticket: &str) -> Result<Done, Fault> {
        let over = || Fault::expired("nobody waits for this: it came too late, or was used before", "start again");
        if !is_id(ticket) || !is_id(number) {
            return Err(over());
        }
        let now = self.now();
        let bytes = self.store.take(&done_key(&hash(ticket)), now.as_secs())?.ok_or_else(over)?;
        let done: Done = serde_json::from_slice(&bytes)?;
        if done.number != hash(number) || done.request.expires <= now { Err(over()) } else { Ok(done) }
    }
}
