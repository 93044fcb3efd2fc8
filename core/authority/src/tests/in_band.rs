//! Taps that stock clients ask for: whom a tap frees, who may make it, from where, how often, and until when.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, ready};
use tapgate_api::{AskApproved, AskCode, Assertion};
use tapgate_identity::Identity;
use tapgate_model::{Kind, Login};
use tapgate_session::{
    Ask, Challenge, ConnectionFacts, Door, Gate, Grant, Invitation, Manner, Prompt, PromptError, ProtocolName, Refusal,
};
use webauthn_authenticator_rs::WebauthnAuthenticator as _;

use super::lab::{Lab, Person, origin, peer};
use crate::Fault;
use crate::limits::IN_BAND_PER_USER_AND_ADDRESS_MAX;

/// A client that is turned away and comes again.
struct Away;

impl Prompt for Away {
    fn manner(&self, _: &Challenge) -> Manner {
        Manner::Return
    }

    fn show<'a>(&'a mut self, _: &'a Challenge, _: &'a Invitation) -> BoxFuture<'a, Result<(), PromptError>> {
        ready(Err(PromptError::CannotAsk)).boxed()
    }
}

struct World {
    lab: Lab,
    gate: Gate,
    jerry: Person,
    identity: Arc<Identity>,
}

fn world() -> World {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let identity = Arc::new(lab.login(&mut jerry));
    World { gate: lab.gate(), lab, jerry, identity }
}

fn typed(code: &str) -> AskCode {
    AskCode { code: code.to_owned(), also: Vec::new() }
}

fn elsewhere() -> IpAddr {
    "198.51.100.9".parse().unwrap()
}

impl World {
    fn ask_as(&self, login: &str, from: IpAddr) -> Result<Grant, Refusal> {
        let peer = SocketAddr::new(from, 50_000);
        let facts = ConnectionFacts { peer, door: Door::InBand, protocol: ProtocolName::Mysql, holder: None };
        let (target, login) = ("prod3".parse().unwrap(), Login::parse(Kind::Node, login).unwrap());
        let ask =
            Ask { identity: &self.identity, kind: Kind::Node, target: &target, login: &login, connection: &facts };
        self.gate.open(&ask, &mut Away).now_or_never().unwrap()
    }

    fn ask(&self, from: IpAddr) -> Result<Grant, Refusal> {
        self.ask_as("jerry", from)
    }

    /// Asks, and reads the page's number and the code.
    fn asked(&self, from: IpAddr) -> (String, String) {
        let Err(refusal) = self.ask(from) else { panic!("nothing was asked") };
        let Invitation { url, code } = refusal.invitation().unwrap().clone();
        (url.rsplit('/').next().unwrap().to_owned(), code)
    }

    fn tap_with(&self, person: &mut Person, id: &str, code: &str, from: IpAddr) -> Result<AskApproved, Fault> {
        let authority = &self.lab.authority;
        let ceremony = authority.ask_code(&self.gate, id, &typed(code), from)?;
        let options = serde_json::from_value(ceremony.webauthn).unwrap();
        let webauthn = person.key.do_authentication(origin(), options);
        let webauthn = webauthn.map_err(|error| Fault::denied(format!("no key: {error:?}")))?;
        authority.ask_approve(&self.gate, id, &Assertion { id: ceremony.id, webauthn }, from)
    }

    fn tap(&mut self, id: &str, code: &str) -> Result<AskApproved, Fault> {
        let mut jerry = self.jerry.cloned();
        let tapped = self.tap_with(&mut jerry, id, code, peer());
        self.jerry = jerry;
        tapped
    }
}

#[test]
fn a_tap_lets_a_client_come_again_once_from_where_it_asked_and_soon() {
    let mut world = world();
    let (id, code) = world.asked(peer());
    assert_eq!(world.asked(peer()), (id.clone(), code.clone()), "until the tap it is the same page");
    assert!(world.tap(&id, &code).unwrap().again);
    assert!(world.ask(elsewhere()).is_err(), "a copy of the key elsewhere gains nothing");
    assert!(world.ask(peer()).is_ok());
    let (next, _) = world.asked(peer());
    assert_ne!(next, id);
    assert_eq!(
        world.lab.authority.ask_code(&world.gate, &id, &typed(&code), peer()).unwrap_err().status,
        404,
        "used up"
    );

    world.lab.clock.advance(Duration::from_secs(1));
    let (id, code) = world.asked(peer());
    world.tap(&id, &code).unwrap();
    world.lab.clock.advance(Duration::from_secs(61));
    assert!(world.ask(peer()).is_err(), "it came too late");
}

#[test]
fn whoever_taps_is_where_the_client_is_unless_the_cluster_says_otherwise() {
    let mut world = world();
    let (id, code) = world.asked(elsewhere());
    let shown = world.lab.authority.ask_shown(&id, peer()).unwrap();
    assert!(shown.elsewhere && shown.address == elsewhere().to_string(), "{shown:?}");
    for _ in 0..5 {
        let refused = world.tap(&id, &code).unwrap_err();
        assert!(refused.status == 403 && refused.error.message.contains("another address"), "{refused}");
    }
    let preference = "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  \
                      allow_approval_from_elsewhere: true\n";
    world.lab.authority.put_resources_trusted(preference).unwrap();
    world.lab.snapshot();
    world.gate.install(world.lab.authority.snapshot().unwrap());
    world.tap(&id, &code).unwrap();
    assert!(world.ask(elsewhere()).is_ok());
}

#[test]
fn three_wrong_codes_or_a_no_end_it_and_the_client_is_told() {
    let world = world();
    let (id, code) = world.asked(peer());
    let authority = &world.lab.authority;
    let wrong = if code == "000-000" { "000-001" } else { "000-000" };
    for status in [403, 403, 404] {
        assert_eq!(authority.ask_code(&world.gate, &id, &typed(wrong), peer()).unwrap_err().status, status);
    }
    assert_eq!(
        authority.ask_code(&world.gate, &id, &typed(&code), peer()).unwrap_err().status,
        404,
        "the right one is late"
    );
    let Err(told) = world.ask(peer()) else { panic!("opened") };
    assert!(told.message().contains("a wrong code was typed too often"), "{}", told.message());
    world.lab.clock.advance(Duration::from_secs(61));
    let (id, _) = world.asked(peer());
    authority.ask_deny(&world.gate, &id, elsewhere()).unwrap();
    assert_eq!(authority.ask_deny(&world.gate, &id, peer()).unwrap_err().status, 404);
    let Err(told) = world.ask(peer()) else { panic!("opened") };
    assert!(told.message().contains("it was denied on the page"), "{}", told.message());
}

#[test]
fn anothers_key_and_anothers_ceremony_approve_nothing() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let identity = Arc::new(lab.login(&mut jerry));
    let mut world = World { gate: lab.gate(), lab, jerry, identity };
    let (id, code) = world.asked(peer());
    assert!(world.tap_with(&mut olga, &id, &code, peer()).is_err());
    // A ceremony for something else is none for this page.
    let (other, _) = world.lab.session_begin(&world.gate, &world.identity).unwrap();
    let answer = world.jerry.tap(other);
    assert_eq!(world.lab.authority.ask_approve(&world.gate, &id, &answer, peer()).unwrap_err().status, 404);
    assert!(world.ask(peer()).is_err());
    world.tap(&id, &code).unwrap();
    assert!(world.ask(peer()).is_ok());
}

#[test]
fn pages_end_by_themselves() {
    let mut world = world();
    let (id, code) = world.asked(peer());
    world.lab.clock.advance(Duration::from_mins(5));
    assert!(!world.lab.authority.ask_is_open(&id, peer()));
    assert_eq!(world.tap(&id, &code).unwrap_err().status, 404);
}

#[test]
fn a_thief_elsewhere_uses_up_nothing_of_the_owners() {
    let world = world();
    let mut refused = 0;
    // Of logins that a role gives there is one; each address has a quota of its own.
    for host in 0..=IN_BAND_PER_USER_AND_ADDRESS_MAX {
        let from: IpAddr = format!("198.51.{}.{}", host / 200, host % 200 + 1).parse().unwrap();
        refused += usize::from(world.ask(from).err().and_then(|refusal| refusal.invitation().cloned()).is_none());
    }
    assert_eq!(refused, 0);
    world.asked(peer());
}
