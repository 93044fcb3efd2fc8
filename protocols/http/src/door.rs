//! The web door: how a browser gets from an application's host to the tap page, and back with a session.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use tapgate_model::{Digest, Kind, Login, TargetName};
use tapgate_session::{Ask, ProtocolName, Verdict};

use crate::codes::{Codes, Leave, Place};
use crate::cookie::{self, BEGUN, DEVICE, SESSION};
use crate::device::{self, REFRESH, REGISTER};
use crate::hosts::Hosts;
use crate::limits::{DEVICE_COOKIE_TTL, LEAVE_AFTER};
use crate::page::{Answer, Reader};
use crate::session::{AppSession, Party, SessionKey};
use crate::sessions::{NotOpened, Sessions, Wanted, facts};

/// Where a browser brings its code.
const ENTER: &str = "/.tapgate/enter";

/// Where a person leaves the application.
const LEAVE: &str = "/.tapgate/leave";

/// What a program reads that has no session.
const NO_SESSION: &str = "There is no session of this application, or it is over.";

/// What a program reads whose session was opened at another address, under a role that pins that.
const ELSEWHERE: &str = "This session of the application is good at the address alone that it was opened from.";

/// The web door.
pub(crate) struct Door {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) hosts: Hosts,
    pub(crate) codes: Codes,
    /// The tap page's address.
    pub(crate) tap_page: String,
}

/// What the tap page is told of the application that it was opened for.
#[derive(Debug)]
pub enum Offer {
    /// A tap is due for this application; ask again after it.
    Tap(TargetName),
    /// Lead the browser here, once.
    Go(String),
    /// Neither: in words for the person.
    Refused(String),
}

/// What the tap page brings along: it was given all of it by the redirect.
pub struct Errand {
    /// The application's host name.
    pub host: String,
    /// Where the browser wanted to go there.
    pub place: Place,
    /// The hash of the cookie that it has at that host.
    pub begun: Digest,
}

/// What becomes of a request at an application's host.
pub(crate) enum Admitted {
    /// It belongs to this session.
    To(Arc<AppSession>),
    /// It is answered so.
    Answer(Box<Answer>),
}

impl Door {
    /// Finds the session of a request, or what the browser must do to get one.
    pub(crate) async fn admit(&self, host: &str, peer: SocketAddr, request: &http::request::Parts) -> Admitted {
        let path = request.uri.path();
        if path == ENTER {
            return self.enter(host, peer, request).await;
        }
        let key = cookie::find(&request.headers, SESSION).map(|value| SessionKey::Cookie(cookie::hash(value)));
        let session = match &key {
            Some(key) => self.sessions.find(key, Some(host), peer).await,
            None => None,
        };
        match session {
            Some(session) if path == REGISTER || path == REFRESH => answer(self.device(&session, host, request)),
            // Its cookie was copied to another device, or the browser has let its own cookie run out.
            Some(session) if !session.binding.admits(cookie::find(&request.headers, DEVICE)) => {
                answer(self.ask(host, request, NO_SESSION))
            }
            Some(session) if path == LEAVE => {
                // Its end severs this very connection: the answer goes first.
                tokio::spawn(async move {
                    tokio::time::sleep(LEAVE_AFTER).await;
                    session.leave();
                });
                let gone = Answer::new(200, "Signed out", "This application's session is over.");
                let gone = gone.with("set-cookie", cookie::clear(SESSION));
                answer(gone.with("set-cookie", cookie::clear(DEVICE)))
            }
            Some(session) => Admitted::To(session),
            None if key.is_some_and(|key| self.sessions.is_pinned_elsewhere(&key, host, peer)) => {
                tracing::warn!(%peer, host, "The cookie of a session came from another address than the session's");
                answer(self.ask(host, request, ELSEWHERE))
            }
            None => answer(self.ask(host, request, NO_SESSION)),
        }
    }

    /// Sends a person to the tap page, and tells a program where it is, and why it is needed.
    fn ask(&self, host: &str, request: &http::request::Parts, why: &str) -> Answer {
        let known = cookie::find(&request.headers, BEGUN).filter(|value| value.len() == 43).map(str::to_owned);
        let fresh = known.is_none();
        let Some(begun) = known.or_else(cookie::fresh) else {
            return Answer::new(503, "Not now", "The system gives no random bytes.");
        };
        let reader = Reader::of(&request.method, &request.headers);
        let asked = request.uri.path_and_query().and_then(|path| Place::new(path.as_str()));
        let place = asked.filter(|place| request.method == Method::GET && !place.as_str().starts_with("/.tapgate/"));
        // A script's address is no page to come back to.
        let place = place.filter(|_| reader == Reader::Navigation).unwrap_or_else(Place::front);
        let url = self.tap_url(host, &place, &cookie::hash(&begun));
        let answer = match reader {
            Reader::Navigation => Answer::redirect(url),
            Reader::Page | Reader::Program | Reader::Grpc => Answer::new(401, "Sign in first", why).with_url(url),
        };
        if fresh { answer.with("set-cookie", cookie::set(BEGUN, &begun)) } else { answer }
    }

    fn tap_url(&self, host: &str, place: &Place, begun: &Digest) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("host", host).append_pair("to", place.as_str()).append_pair("begun", &begun.to_string());
        format!("{}?{}", self.tap_page, query.finish())
    }

    /// What the tap page of this person is told. Nothing is opened yet: that happens where the code is brought.
    pub(crate) async fn offer(&self, party: Party, errand: Errand, peer: SocketAddr) -> Offer {
        let Errand { host, place, begun } = errand;
        let host = host.to_ascii_lowercase();
        // A host that is nobody's has an answer like one that is not this person's.
        let app = self.hosts.app(&host).or_else(|| host.parse().ok());
        let Some(app) = app else { return Offer::Refused(format!("{host} is no application's host")) };
        let connection = facts(&party, peer, ProtocolName::Http);
        let ask = Ask {
            identity: &party.identity,
            kind: Kind::App,
            target: &app,
            login: &Login::App,
            connection: &connection,
        };
        match self.sessions.gate().weigh(&ask) {
            Verdict::Challenge(_) => Offer::Tap(app),
            Verdict::Denial(_) => {
                // Said once more by the one that writes it down.
                let refused = self.sessions.gate().open(&ask, &mut tapgate_session::NoPrompt).await;
                Offer::Refused(refused.err().map_or_else(String::new, |refusal| refusal.message().to_owned()))
            }
            Verdict::Grant(_) => {
                let to = self.hosts.origin(&host);
                match self.codes.give(Leave { party, app, host, place, begun }) {
                    Some(code) => Offer::Go(format!("{to}{ENTER}?code={code}")),
                    None => Offer::Refused("too many people come at once (try again in a minute)".to_owned()),
                }
            }
        }
    }

    /// Takes a code from the browser that it was made for, opens the session, and leads on.
    async fn enter(&self, host: &str, peer: SocketAddr, request: &http::request::Parts) -> Admitted {
        let code = request.uri.query().and_then(|query| query.strip_prefix("code="));
        let leave = code.and_then(|code| self.codes.take(code));
        let stale = || {
            let again =
                Answer::new(403, "Start again", "This way in was used, is over, or was made for another browser.");
            answer(again.with_url(format!("{}/", self.hosts.origin(host))))
        };
        let Some(leave) = leave.filter(|leave| leave.host == host && request.method == Method::GET) else {
            return stale();
        };
        if cookie::find(&request.headers, BEGUN).is_none_or(|begun| cookie::hash(begun) != leave.begun) {
            return stale();
        }
        let Some(value) = cookie::fresh() else { return stale() };
        let wanted = Wanted {
            key: SessionKey::Cookie(cookie::hash(&value)),
            app: &leave.app,
            host: Some(host),
            party: &leave.party,
            peer,
        };
        let session = match self.sessions.open(wanted).await {
            Ok(session) => session,
            Err(NotOpened::Refused(message)) => return answer(Answer::new(403, "Not opened", message)),
            Err(NotOpened::Failed(message)) => return answer(Answer::new(502, "Not reached", message)),
        };
        self.end_before(request, peer).await;
        let onward = Answer::redirect(leave.place.as_str().to_owned());
        let onward = onward.with("set-cookie", cookie::set(SESSION, &value)).with("set-cookie", cookie::clear(BEGUN));
        // A browser that can't do it passes over this. The challenge is given here alone, so that nobody who has
        // copied the cookie since can tie the session to a device of theirs.
        let invitation = session.binding.challenge().map(|challenge| device::invitation(&challenge));
        answer(invitation.into_iter().fold(onward, |onward, text| onward.with("secure-session-registration", text)))
    }

    /// Ties a session to the browser's device, and renews the device's cookie.
    fn device(&self, session: &AppSession, host: &str, request: &http::request::Parts) -> Answer {
        if request.method != Method::POST {
            return Answer::new(405, "Not so", "A browser proves its key with POST.");
        }
        let (number, origin) = (session.live.id().to_string(), self.hosts.origin(host));
        let proof = request.headers.get("secure-session-response").map(|proof| proof.to_str().unwrap_or_default());
        let renewed = match (request.uri.path(), proof) {
            (REGISTER, proof) => session.binding.register(proof.unwrap_or_default(), &origin),
            (_, Some(proof)) => session.binding.refresh(proof, &origin),
            (_, None) if !session.binding.is_tied() => Err(device::Unproven::State),
            (_, None) => {
                let Some(challenge) = session.binding.challenge() else {
                    return Answer::new(503, "Not now", "The system gives no random bytes.");
                };
                let asked = Answer::new(403, "Prove it", "The device's key must sign this challenge.");
                return asked.with("secure-session-challenge", format!("\"{challenge}\";id=\"{number}\""));
            }
        };
        match renewed {
            Ok(value) => {
                let done = Answer::new(200, "Bound", "").with_json(device::instructions(&number, &origin, host));
                done.with("set-cookie", cookie::set_for(DEVICE, &value, DEVICE_COOKIE_TTL))
            }
            Err(why) => Answer::new(401, "Not proven", format!("The device did not prove its key: {why}.")),
        }
    }

    /// A session that the browser had before makes room for the new one.
    async fn end_before(&self, request: &http::request::Parts, peer: SocketAddr) {
        let Some(old) = cookie::find(&request.headers, SESSION) else { return };
        if let Some(session) = self.sessions.find(&SessionKey::Cookie(cookie::hash(old)), None, peer).await {
            session.leave();
        }
    }
}

fn answer(answer: Answer) -> Admitted {
    Admitted::Answer(Box::new(answer))
}
