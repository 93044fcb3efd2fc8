//! Devices: a key vouches for another one, and is removed with all that it opened.

use std::sync::Arc;

use tapgate_api::{Assertion, Ceremony, DeviceAction, DeviceBegin, DeviceOutcome, DeviceRegister};
use tapgate_identity::Identity;
use tapgate_model::{Kind, Login};
use tapgate_proof::{Link, Registration};
use tapgate_session::{Ask, ConnectionFacts, Door, Gate, ProtocolName, Verdict};
use tapgate_store::Store;
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softtoken::SoftToken;

use super::lab::{Lab, PASSWORD, Person, origin, peer};
use crate::Fault;

/// A new key, up to where another one must vouch for it.
fn register(lab: &Lab, identity: &Identity, name: &str) -> Result<(Person, Ceremony), Fault> {
    let begin = DeviceBegin { name: name.to_owned(), passwordless: false };
    let challenge = lab.authority.device_begin(identity, &begin, peer())?;
    let mut key = SoftToken::new(true).unwrap().0;
    let webauthn = key.do_registration(origin(), challenge.webauthn).unwrap();
    let answer = DeviceRegister { id: challenge.id, webauthn };
    let ceremony = lab.authority.device_register(identity, &answer, peer())?;
    Ok((Person { name: identity.user().to_string(), key }, ceremony))
}

fn add(lab: &Lab, person: &mut Person, name: &str) -> Result<Person, Fault> {
    let identity = lab.login(person);
    let (new, ceremony) = register(lab, &identity, name)?;
    lab.authority.device_finish(&identity, &person.tap(ceremony), peer())?;
    Ok(new)
}

pub(super) fn begin(lab: &Lab, identity: &Identity, action: &DeviceAction) -> Result<Ceremony, Fault> {
    lab.authority.device_change_begin(identity, &serde_json::to_vec(action).unwrap(), peer())
}

pub(super) fn change(lab: &Lab, person: &mut Person, action: &DeviceAction) -> Result<DeviceOutcome, Fault> {
    let identity = lab.login(person);
    let ceremony = begin(lab, &identity, action)?;
    lab.authority.device_change_finish(&identity, &person.tap(ceremony), peer())
}

fn removal(name: &str) -> DeviceAction {
    DeviceAction::RemoveDevice { name: name.to_owned() }
}

fn names(lab: &Lab, identity: &Identity) -> Vec<(String, String)> {
    let devices = lab.authority.devices(identity, peer()).unwrap().devices;
    devices.into_iter().map(|device| (device.name, device.vouched_by)).collect()
}

fn is_asked(lab: &Lab, person: &mut Person) -> bool {
    let ceremony = lab.login_begin(&person.name, PASSWORD).unwrap();
    person.key.do_authentication(origin(), ceremony.webauthn).is_ok()
}

#[test]
fn a_key_vouches_for_another_and_that_one_for_a_third() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut second = add(&lab, &mut jerry, "second").unwrap();
    let mut third = add(&lab, &mut second, "third").unwrap();
    let identity = lab.login(&mut third);
    let pair = |name: &str, by: &str| (name.to_owned(), by.to_owned());
    assert_eq!(names(&lab, &identity), [pair("soft", "invite"), pair("second", "device"), pair("third", "device")]);
    // It counts by its chain: a restart reads nothing but the store and the pins.
    let reopened = lab.reopened();
    reopened.install_pins(lab.authority.pins.load().to_vec());
    assert_eq!(reopened.snapshot().unwrap().registrations().of(identity.user()).len(), 3);
    assert_eq!(lab.sink.names().iter().filter(|name| **name == "auth.enrolled").count(), 4);
}

#[test]
fn another_users_key_vouches_for_nothing() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let identity = lab.login(&mut jerry);
    let (_, ceremony) = register(&lab, &identity, "mine").unwrap();
    assert!(olga.key.do_authentication(origin(), ceremony.webauthn.clone()).is_err(), "it is not asked for");
    // Olga taps for a key of her own, and jerry's ceremony is given that tap.
    let hers = lab.login(&mut olga);
    let (_, other) = register(&lab, &hers, "hers").unwrap();
    let stolen = Assertion { id: ceremony.id.clone(), webauthn: olga.tap(other).webauthn };
    assert_eq!(lab.authority.device_finish(&identity, &stolen, peer()).unwrap_err().status, 401);
    assert_eq!(names(&lab, &identity).len(), 1);
    // Nor is her certificate any good for his ceremony, or his answer for hers.
    let (_, ceremony) = register(&lab, &identity, "mine").unwrap();
    assert_eq!(lab.authority.device_finish(&hers, &jerry.tap(ceremony), peer()).unwrap_err().status, 401);
    assert_eq!(names(&lab, &identity).len(), 1);
}

#[test]
fn a_tap_adds_one_key_once() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let identity = lab.login(&mut jerry);
    let (_, ceremony) = register(&lab, &identity, "second").unwrap();
    let answer = jerry.tap(ceremony);
    let won = std::thread::scope(|scope| {
        let finish = || lab.authority.device_finish(&identity, &answer, peer()).is_ok();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(finish)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    assert_eq!(lab.authority.device_finish(&identity, &answer, peer()).unwrap_err().status, 410);
    assert_eq!(names(&lab, &identity).len(), 2);
}

#[test]
fn a_tap_for_one_new_key_is_none_for_another() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let identity = lab.login(&mut jerry);
    let (_, one) = register(&lab, &identity, "one").unwrap();
    let (_, two) = register(&lab, &identity, "two").unwrap();
    let swapped = Assertion { id: two.id.clone(), webauthn: jerry.tap(one).webauthn };
    assert_eq!(lab.authority.device_finish(&identity, &swapped, peer()).unwrap_err().status, 401);
    // And a tap for something else adds no key.
    let ceremony = begin(&lab, &identity, &DeviceAction::RenameDevice { name: "soft".into(), to: "x".into() }).unwrap();
    assert_eq!(lab.authority.device_finish(&identity, &jerry.tap(ceremony), peer()).unwrap_err().status, 401);
    assert_eq!(names(&lab, &identity).len(), 1);
}

#[test]
fn a_registration_whose_digest_is_not_what_was_tapped_for_does_not_chain() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    add(&lab, &mut jerry, "second").unwrap();
    let user = "jerry".parse().unwrap();
    let stored: Vec<(String, Registration)> = (lab.store.list("registration/jerry/", 0).unwrap().into_iter())
        .map(|(key, entry)| (key, serde_json::from_slice(&entry.value).unwrap()))
        .collect();
    let (key, honest) = stored.iter().find(|(_, r)| matches!(r.link, Link::Device { .. })).unwrap();
    let other = stored.iter().find(|(_, r)| matches!(r.link, Link::Invite { .. })).unwrap();
    let forged = Registration { key: other.1.key.clone(), ..honest.clone() };
    lab.store.put(key, &serde_json::to_vec(&forged).unwrap(), None).unwrap();
    let snapshot = lab.authority.snapshot().unwrap();
    assert_eq!(snapshot.registrations().of(&user).len(), 1);
    assert!(lab.sink.names().contains(&"security.warning"));
}

#[test]
fn without_the_key_that_vouched_the_chain_is_broken() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut second = add(&lab, &mut jerry, "second").unwrap();
    let entries = lab.store.list("registration/jerry/", 0).unwrap();
    for (key, entry) in entries {
        let mut registration: Registration = serde_json::from_slice(&entry.value).unwrap();
        if matches!(registration.link, Link::Invite { .. }) {
            registration.link = Link::Pinned;
            lab.store.put(&key, &serde_json::to_vec(&registration).unwrap(), None).unwrap();
        }
    }
    lab.snapshot();
    assert!(!is_asked(&lab, &mut second), "what an untrusted key vouched for does not count");
    assert!(!is_asked(&lab, &mut jerry));
}

#[test]
fn a_removed_key_opens_nothing_and_what_it_vouched_for_stays() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut second = add(&lab, &mut jerry, "second").unwrap();
    let outcome = change(&lab, &mut second, &removal("soft")).unwrap();
    assert_eq!(outcome.lines, ["security key \"soft\" has been removed"]);
    assert!(!is_asked(&lab, &mut jerry));
    let identity = lab.login(&mut second);
    assert_eq!(names(&lab, &identity).len(), 1);
    assert!(lab.sink.names().contains(&"auth.device"));
    assert_eq!(change(&lab, &mut second, &removal("soft")).unwrap_err().status, 404);
}

#[test]
fn the_last_key_stays() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    assert_eq!(change(&lab, &mut jerry, &removal("soft")).unwrap_err().status, 409);
    let mut second = add(&lab, &mut jerry, "second").unwrap();
    // Two removals are begun while there are two keys; one of them finds one key left.
    let identity = lab.login(&mut jerry);
    let (one, two) = (begin(&lab, &identity, &removal("soft")), begin(&lab, &identity, &removal("second")));
    let (one, two) = (jerry.tap(one.unwrap()), second.tap(two.unwrap()));
    lab.authority.device_change_finish(&identity, &one, peer()).unwrap();
    assert_eq!(lab.authority.device_change_finish(&identity, &two, peer()).unwrap_err().status, 409);
    lab.login(&mut second);
}

#[test]
fn a_key_that_is_removed_meanwhile_vouches_for_nothing() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut second = add(&lab, &mut jerry, "second").unwrap();
    let identity = lab.login(&mut jerry);
    let (_, ceremony) = register(&lab, &identity, "third").unwrap();
    let answer = jerry.tap(ceremony);
    change(&lab, &mut second, &removal("soft")).unwrap();
    assert_eq!(lab.authority.device_finish(&identity, &answer, peer()).unwrap_err().status, 401);
    assert_eq!(names(&lab, &identity).len(), 1);
}

#[test]
fn a_key_that_was_removed_does_not_come_back_from_the_store() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut second = add(&lab, &mut jerry, "second").unwrap();
    let before = lab.store.list("registration/jerry/", 0).unwrap();
    change(&lab, &mut second, &removal("soft")).unwrap();
    for (key, entry) in before {
        lab.store.put(&key, &entry.value, None).unwrap();
    }
    lab.snapshot();
    assert!(!is_asked(&lab, &mut jerry));
    assert!(is_asked(&lab, &mut second));
}

#[test]
fn names_are_ones_own_and_unique() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    add(&lab, &mut jerry, "second").unwrap();
    assert_eq!(add(&lab, &mut jerry, "second").err().unwrap().status, 409);
    assert_eq!(add(&lab, &mut jerry, "a\nb").err().unwrap().status, 400);
    let rename = |name: &str, to: &str| DeviceAction::RenameDevice { name: name.into(), to: to.into() };
    assert_eq!(change(&lab, &mut jerry, &rename("second", "soft")).unwrap_err().status, 409);
    assert_eq!(change(&lab, &mut jerry, &rename("nothing", "x")).unwrap_err().status, 404);
    change(&lab, &mut jerry, &rename("second", "blue")).unwrap();
    let identity = lab.login(&mut jerry);
    assert_eq!(names(&lab, &identity)[1], ("blue".to_owned(), "device".to_owned()), "the chain holds");
}

#[test]
fn whoever_is_locked_changes_no_device() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let identity = lab.login(&mut jerry);
    let (_, ceremony) = register(&lab, &identity, "second").unwrap();
    let answer = jerry.tap(ceremony);
    let lock = "kind: lock\nversion: v2\nmetadata:\n  name: out\nspec:\n  target:\n    user: jerry\n";
    lab.authority.put_resources_trusted(lock).unwrap();
    assert_eq!(lab.authority.device_finish(&identity, &answer, peer()).unwrap_err().status, 403);
    assert_eq!(register(&lab, &identity, "third").err().unwrap().status, 403);
}

#[test]
fn where_sessions_need_a_verified_user_so_does_a_new_key() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let strict = super::lab::RESOURCES.replacen("require_session_mfa: true", "require_session_mfa: hardware_key", 1);
    lab.authority.put_resources_trusted(&strict).unwrap();
    let identity = lab.login(&mut jerry);
    let (_, ceremony) = register(&lab, &identity, "second").unwrap();
    let asked = serde_json::to_value(&ceremony.webauthn).unwrap();
    assert_eq!(asked.pointer("/publicKey/userVerification").unwrap(), "required");
}

fn verdict(gate: &Gate, session: &Arc<Identity>) -> Verdict {
    let facts = ConnectionFacts {
        peer: "192.0.2.7:5022".parse().unwrap(),
        door: Door::Certificate,
        protocol: ProtocolName::Ssh,
        holder: None,
    };
    let (target, login) = ("prod3".parse().unwrap(), Login::Unix("jerry".parse().unwrap()));
    gate.check(&Ask { identity: session, kind: Kind::Node, target: &target, login: &login, connection: &facts })
}

#[tokio::test]
async fn removing_a_key_cuts_the_sessions_that_it_opened() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = super::lab::RESOURCES.replace("127.0.0.1:22", &listener.local_addr().unwrap().to_string());
    lab.authority.put_resources_trusted(&here).unwrap();
    let mut second = add(&lab, &mut jerry, "second").unwrap();
    let gate = lab.gate();
    let identity = lab.login(&mut jerry);
    let by = |person: &mut Person| {
        let certificates = lab.session(&gate, &identity, person).unwrap();
        Arc::new(lab.identity(&certificates.tls_certificate))
    };
    let (first_session, second_session) = (by(&mut jerry), by(&mut second));
    let open = async |session: &Arc<Identity>| {
        let Verdict::Grant(grant) = verdict(&gate, session) else { panic!("the session opens") };
        grant.dial().await.ok().unwrap()
    };
    let (_up, live) = open(&first_session).await;
    let (_up, other) = open(&second_session).await;
    change(&lab, &mut second, &removal("soft")).unwrap();
    gate.install(lab.authority.snapshot().unwrap());
    let why = live.cut().wanted().await;
    assert_eq!(why.to_string(), "the security key of this session's tap was removed");
    assert!(other.may_open().is_ok(), "the other key's session goes on");
    // The evidence is gone too: the same certificate opens no second session.
    assert!(!matches!(verdict(&gate, &first_session), Verdict::Grant(_)));
    assert!(matches!(verdict(&gate, &second_session), Verdict::Grant(_)));
}
