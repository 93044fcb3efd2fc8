//! Web sessions: how one begins, what ends it, and what a tap on a page is good for.

use std::sync::Arc;
use std::time::Duration;

use tapgate_api::{Assertion, DeviceAction, SessionTarget, WebOtp, WebSignIn, WebTap};
use tapgate_model::{Clock, Kind, Login};
use tapgate_proof::{Holder, Statement};
use tapgate_session::{Ask, ConnectionFacts, Door, Gate, ProtocolName, Verdict};
use tapgate_store::Store;
use webauthn_authenticator_rs::WebauthnAuthenticator;

use super::lab::{Lab, PASSWORD, Person, origin, peer};
use crate::web_session::Entrant;
use crate::web_session::sign_in::throwaway_key;
use crate::{Fault, Method, SignedIn, WebSession, token};

fn begin(name: &str, password: &str) -> WebSignIn {
    WebSignIn { user: name.to_owned(), password: password.to_owned() }
}

fn sign_in(lab: &Lab, person: &mut Person) -> Result<SignedIn, Fault> {
    let ceremony = lab.authority.web_sign_in_begin(&begin(&person.name, PASSWORD), peer())?;
    lab.authority.web_sign_in_finish(&person.tap(ceremony), peer())
}

fn status(lab: &Lab, cookie: &str) -> u16 {
    lab.authority.web_session(cookie, peer()).map_or_else(|fault| fault.status, |_| 200)
}

#[test]
fn a_password_and_a_tap_make_a_session_that_the_store_cannot_give_away() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let SignedIn { cookie, session } = sign_in(&lab, &mut jerry).unwrap();
    assert_eq!((session.user().as_str(), session.method()), ("jerry", Method::WebAuthn));
    assert_eq!(session.expires().since(lab.clock.now()), Duration::from_hours(8), "as long as the role lets a login");
    let again = lab.authority.web_session(&cookie, peer()).unwrap();
    assert_eq!((again.number(), again.holder()), (session.number(), Holder::WebSession(session.number())));
    for (key, entry) in lab.store.list("", 0).unwrap() {
        assert!(!key.contains(&cookie) && !String::from_utf8_lossy(&entry.value).contains(&cookie), "{key}");
    }
    for bad in ["", "x", &"A".repeat(43), &session.number().to_string()] {
        assert_eq!(status(&lab, bad), 401, "{bad:?}");
    }
    assert_eq!(lab.authority.end_web_session(&cookie).unwrap(), Some(session.number()));
    assert_eq!(status(&lab, &cookie), 401);
    assert_eq!(lab.authority.end_web_session(&cookie).unwrap(), None);
}

#[test]
fn the_tap_of_a_sign_in_makes_one_session_and_nothing_else() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let ceremony = lab.authority.web_sign_in_begin(&begin("jerry", PASSWORD), peer()).unwrap();
    let statement = Statement::from_der(&token::from_text(&ceremony.statement).unwrap()).unwrap();
    assert!(statement.parts().action.is_some());
    let answer = jerry.tap(ceremony);
    lab.authority.web_sign_in_finish(&answer, peer()).unwrap();
    assert_eq!(lab.authority.web_sign_in_finish(&answer, peer()).unwrap_err().status, 401, "a replay");
    // A tap for a terminal's login is none for a page, and the other way round.
    let terminal = jerry.tap(lab.login_begin("jerry", PASSWORD).unwrap());
    assert_eq!(lab.authority.web_sign_in_finish(&terminal, peer()).unwrap_err().status, 401);
    let page = jerry.tap(lab.authority.web_sign_in_begin(&begin("jerry", PASSWORD), peer()).unwrap());
    assert!(lab.authority.login_finish(&page, peer()).is_err());
}

#[test]
fn strangers_and_wrong_passwords_look_like_anybody() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    for (name, password) in [("jerry", "wrong horse battery"), ("nobody", PASSWORD)] {
        let ceremony = lab.authority.web_sign_in_begin(&begin(name, password), peer()).unwrap();
        assert!(!ceremony.webauthn.public_key.allow_credentials.is_empty());
        assert!(jerry.key.do_authentication(origin(), ceremony.webauthn).is_err(), "it is a decoy");
    }
    let otp = WebOtp { user: "jerry".into(), password: PASSWORD.into(), code: "123456".into() };
    assert_eq!(lab.authority.web_sign_in_otp(&otp, peer()).unwrap_err().status, 403, "no codes are taken here");
}

#[test]
fn a_session_ends_when_it_rests_too_long_and_at_its_end() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let SignedIn { cookie, .. } = sign_in(&lab, &mut jerry).unwrap();
    for _ in 0..7 {
        lab.clock.advance(Duration::from_mins(59));
        assert_eq!(status(&lab, &cookie), 200, "it is used");
    }
    lab.clock.advance(Duration::from_hours(1));
    assert_eq!(status(&lab, &cookie), 401, "it rested");
    let SignedIn { cookie, .. } = sign_in(&lab, &mut jerry).unwrap();
    for _ in 0..15 {
        lab.clock.advance(Duration::from_mins(31));
        assert_eq!(status(&lab, &cookie), 200);
    }
    lab.clock.advance(Duration::from_mins(16));
    assert_eq!(status(&lab, &cookie), 401, "eight hours are over, however much it was used");
}

#[test]
fn another_cookie_takes_over_and_the_old_one_fades() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let SignedIn { cookie, session } = sign_in(&lab, &mut jerry).unwrap();
    let fresh = lab.authority.rotate_web_session(&session).unwrap();
    assert_ne!(fresh, cookie);
    assert_eq!((status(&lab, &cookie), status(&lab, &fresh)), (200, 200), "requests are under way");
    assert_eq!(lab.authority.web_session(&fresh, peer()).unwrap().number(), session.number());
    lab.clock.advance(Duration::from_secs(10));
    assert_eq!((status(&lab, &cookie), status(&lab, &fresh)), (401, 200));
    // Whoever signs out with either ends both.
    let newest = lab.authority.rotate_web_session(&session).unwrap();
    lab.authority.end_web_session(&fresh).unwrap();
    assert_eq!((status(&lab, &fresh), status(&lab, &newest)), (401, 401));
    assert!(lab.authority.rotate_web_session(&session).is_err(), "what is over stays over");
}

#[test]
fn locks_resets_and_removed_keys_end_sessions() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let SignedIn { cookie, .. } = sign_in(&lab, &mut jerry).unwrap();
    let lock = "kind: lock\nversion: v2\nmetadata:\n  name: out\nspec:\n  target:\n    user: jerry\n";
    lab.authority.put_resources_trusted(lock).unwrap();
    assert_eq!(status(&lab, &cookie), 403);
    lab.store.delete("resource/lock/out").unwrap();
    lab.snapshot();
    assert_eq!(status(&lab, &cookie), 401, "it was ended, not suspended");

    let SignedIn { cookie, .. } = sign_in(&lab, &mut jerry).unwrap();
    lab.store.put("password/jerry", b"another hash", None).unwrap();
    assert_eq!(status(&lab, &cookie), 401, "another password");

    let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
    let (mut jerry, _) = lab.enrol(&invite).unwrap();
    let SignedIn { cookie, .. } = sign_in(&lab, &mut jerry).unwrap();
    let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
    lab.enrol(&invite).unwrap();
    assert_eq!(status(&lab, &cookie), 401, "a reset");
    assert!(lab.store.list("web-session/jerry/", 0).unwrap().is_empty());
}

#[test]
fn a_user_has_so_many_sessions_and_the_oldest_makes_room() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let first = sign_in(&lab, &mut jerry).unwrap().cookie;
    let user = "jerry".parse().unwrap();
    let open = || {
        let (spki, peers) = (throwaway_key().unwrap(), (peer(), peer()));
        let entrant = Entrant { user: &user, method: Method::Sso, credential: None, spki: &spki, peers };
        lab.authority.open_web_session(&entrant, |why| Fault::denied(why)).unwrap().cookie
    };
    let more: Vec<String> = (1..crate::limits::WEB_SESSIONS_MAX).map(|_| open()).collect();
    assert_eq!(status(&lab, &first), 200);
    let last = open();
    assert_eq!((status(&lab, &first), status(&lab, &more[0]), status(&lab, &last)), (401, 200, 200));
}

/// The soft key as a passkey would answer: it names whose it is.
fn passkey(lab: &Lab, person: &mut Person, handle_of: &str) -> Assertion {
    let mut challenge = lab.authority.web_passkey_begin(peer()).unwrap();
    let known = lab.authority.keys_of(&person.name.parse().unwrap()).unwrap();
    let own = known.into_iter().map(|key| webauthn_rs_proto::AllowCredentials {
        type_: "public-key".to_owned(),
        id: key.cred_id().clone(),
        transports: None,
    });
    challenge.webauthn.public_key.allow_credentials = own.collect();
    let mut webauthn = person.key.do_authentication(origin(), challenge.webauthn).unwrap();
    let handle = lab.authority.user_handle(&handle_of.parse().unwrap());
    webauthn.response.user_handle = Some(handle.to_vec());
    Assertion { id: challenge.id, webauthn }
}

#[test]
fn a_passkey_signs_in_whose_it_is_once() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let refused = passkey(&lab, &mut jerry, "jerry");
    assert_eq!(lab.authority.web_passkey_finish(&refused, peer()).unwrap_err().status, 401, "a second factor alone");
    // As if jerry had chosen so with the invite.
    for (key, entry) in lab.store.list("registration/jerry/", 0).unwrap() {
        let mut registration: tapgate_proof::Registration = serde_json::from_slice(&entry.value).unwrap();
        registration.traits.passwordless = true;
        lab.store.put(&key, &serde_json::to_vec(&registration).unwrap(), None).unwrap();
    }
    lab.snapshot();
    let answer = passkey(&lab, &mut jerry, "jerry");
    let signed_in = lab.authority.web_passkey_finish(&answer, peer()).unwrap();
    assert_eq!((signed_in.session.user().as_str(), signed_in.session.method()), ("jerry", Method::Passkey));
    assert_eq!(lab.authority.web_passkey_finish(&answer, peer()).unwrap_err().status, 401, "a replay");
    let other = passkey(&lab, &mut jerry, "olga");
    assert_eq!(lab.authority.web_passkey_finish(&other, peer()).unwrap_err().status, 401, "another one's handle");
    let mut swapped = passkey(&lab, &mut jerry, "jerry");
    swapped.id = lab.authority.web_passkey_begin(peer()).unwrap().id;
    assert_eq!(lab.authority.web_passkey_finish(&swapped, peer()).unwrap_err().status, 401, "another challenge");
    let late = passkey(&lab, &mut jerry, "jerry");
    lab.clock.advance(Duration::from_mins(5));
    assert_eq!(lab.authority.web_passkey_finish(&late, peer()).unwrap_err().status, 401, "too late");
}

fn wish() -> Vec<SessionTarget> {
    vec![SessionTarget { kind: "node".into(), name: "prod3".into(), login: "jerry".into() }]
}

fn tap_for(lab: &Lab, gate: &Gate, session: &WebSession, person: &mut Person) -> Assertion {
    let asked = lab.authority.web_tap_begin(gate, session, (&wish(), &session.holder()), peer()).unwrap();
    let WebTap::Tap { id, webauthn, targets, reusable_until, .. } = asked else { unreachable!("a tap is due") };
    assert_eq!((targets[0].name.as_str(), reusable_until.is_some()), ("prod3", true));
    let options = serde_json::from_value(webauthn).unwrap();
    Assertion { id, webauthn: person.key.do_authentication(origin(), options).unwrap() }
}

fn opens(gate: &Gate, session: &WebSession) -> bool {
    let connection = ConnectionFacts {
        peer: (peer(), 4022).into(),
        door: Door::Web,
        protocol: ProtocolName::Ssh,
        holder: Some(session.holder()),
    };
    let (target, login) = ("prod3".parse().unwrap(), Login::Unix("jerry".parse().unwrap()));
    let identity = session.identity();
    let ask = Ask { identity, kind: Kind::Node, target: &target, login: &login, connection: &connection };
    matches!(gate.check(&ask), Verdict::Grant(_))
}

#[test]
fn a_tap_on_a_page_opens_for_the_session_that_asked_for_it() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let gate = lab.gate();
    let (mine, other) = (sign_in(&lab, &mut jerry).unwrap().session, sign_in(&lab, &mut jerry).unwrap().session);
    assert!(!opens(&gate, &mine));
    let answer = tap_for(&lab, &gate, &mine, &mut jerry);
    let stolen = tap_for(&lab, &gate, &mine, &mut jerry);
    assert_eq!(lab.authority.web_tap_finish(&gate, &other, &stolen, peer()).unwrap_err().status, 401);
    let tap = lab.authority.web_tap_finish(&gate, &mine, &answer, peer()).unwrap();
    let holders = tap.verified().statement().parts().targets.iter().map(|entry| entry.holder.clone());
    assert_eq!(holders.collect::<Vec<_>>(), [mine.holder()]);
    gate.bring(&tap);
    assert!(opens(&gate, &mine) && !opens(&gate, &other));
    lab.clock.advance(Duration::from_secs(301));
    assert!(!opens(&gate, &mine));
}

#[test]
fn a_page_changes_devices_as_a_terminal_does_and_its_session_goes_with_its_key() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let SignedIn { cookie, session } = sign_in(&lab, &mut jerry).unwrap();
    let identity = Arc::clone(session.identity());
    let rename = DeviceAction::RenameDevice { name: "soft".into(), to: "blue".into() };
    let ceremony = super::device::begin(&lab, &identity, &rename).unwrap();
    lab.authority.device_change_finish(&identity, &jerry.tap(ceremony), peer()).unwrap();
    assert_eq!(lab.authority.devices(&identity, peer()).unwrap().devices[0].name, "blue");
    // Its registration gone, the key vouches for no session any more.
    for (key, _) in lab.store.list("registration/jerry/", 0).unwrap() {
        lab.store.delete(&key).unwrap();
    }
    lab.snapshot();
    assert_eq!(status(&lab, &cookie), 401);
}
