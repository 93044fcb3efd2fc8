//! Browser MFA: the page approves what the terminal asked for, once, for whoever types the terminal's code.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tapgate_api::{
    AdminAction, Assertion, BrowserAnswer, BrowserBegin, BrowserCarried, BrowserOutcome, BrowserRequest, Ceremony,
    EnrolBegin, EnrolFinish, browser_context,
};
use tapgate_audit::{BrowserStep, Event};
use tapgate_identity::Identity;
use tapgate_seal::Key;
use tapgate_session::Gate;
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softtoken::SoftToken;

use super::lab::{Lab, ORIGIN, PASSWORD, Person, origin, peer};
use crate::{Asker, Fault};

const NONCE: &str = "d658314e-68f0-4ad4-be79-0181e6e0dae5";

fn elsewhere() -> IpAddr {
    "192.0.2.99".parse().unwrap()
}

fn begin(ceremony: &str, key: &Key) -> BrowserBegin {
    let (ceremony, public_key) = (ceremony.to_owned(), key.public().to_owned());
    BrowserBegin { ceremony, port: 51_697, nonce: NONCE.to_owned(), public_key, paste: false }
}

/// jerry's session, asked for and handed over.
struct Handed {
    lab: Lab,
    gate: Gate,
    jerry: Person,
    identity: Identity,
    ceremony: Ceremony,
    key: Key,
    request: BrowserRequest,
}

impl Handed {
    fn new() -> Self {
        let (lab, _, mut jerry) = Lab::with_jerry();
        let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
        let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
        let key = Key::generate();
        let begin = begin(&ceremony.id, &key);
        let request = lab.authority.browser_begin(ORIGIN, Asker::Session(&identity), &begin, peer()).unwrap();
        Self { lab, gate, jerry, identity, ceremony, key, request }
    }

    /// What the page would get from the browser for jerry's key.
    fn tap(&mut self) -> Value {
        serde_json::to_value(self.jerry.tap(self.ceremony.clone()).webauthn).unwrap()
    }

    fn approve(&self, code: &str, webauthn: &Value) -> Result<BrowserCarried, Fault> {
        let answer = BrowserAnswer { code: code.to_owned(), webauthn: webauthn.clone() };
        self.lab.authority.browser_approve(&self.request.id, &answer, elsewhere())
    }

    fn wrong_code(&self) -> &'static str {
        if self.request.code == "000000" { "000001" } else { "000000" }
    }

    fn open(&self, carried: &BrowserCarried) -> BrowserOutcome {
        let context = browser_context(&self.request.id, &self.ceremony.id);
        serde_json::from_slice(&self.key.open(&carried.sealed, &context).unwrap()).unwrap()
    }

    fn finish(&self, outcome: BrowserOutcome) -> Result<tapgate_api::SessionCertificates, Fault> {
        let BrowserOutcome::Tapped { webauthn } = outcome else { panic!("no tap: {outcome:?}") };
        let answer = Assertion { id: self.ceremony.id.clone(), webauthn: *webauthn };
        self.lab.authority.session_finish(&self.gate, &self.identity, &answer, peer())
    }

    fn steps(&self) -> Vec<BrowserStep> {
        let step = |event: Event| match event {
            Event::MfaBrowser { step, .. } => Some(step),
            _ => None,
        };
        self.lab.sink.events().into_iter().filter_map(step).collect()
    }
}

#[test]
fn what_is_approved_in_the_browser_is_finished_by_the_terminal() {
    let mut handed = Handed::new();
    assert_eq!(handed.request.url, format!("{ORIGIN}/web/mfa/browser/{}", handed.request.id));
    let shown = handed.lab.authority.browser_shown(&handed.request.id, elsewhere()).unwrap();
    assert_eq!((shown.user.as_str(), shown.purpose.as_str(), shown.ceremony.as_str()), ("jerry", "session", "get"));
    assert_eq!((shown.targets[0].name.as_str(), shown.targets[0].login.as_str()), ("prod3", "jerry"));
    assert_eq!((shown.address.as_str(), shown.elsewhere), ("192.0.2.7", true));
    assert_eq!(shown.webauthn, serde_json::to_value(&handed.ceremony.webauthn).unwrap());

    let (tap, code) = (handed.tap(), handed.request.code.clone());
    let spaced = format!(" {}-{} ", &code[..3], &code[3..]);
    let carried = handed.approve(&spaced, &tap).unwrap();
    assert_eq!(carried.action, Some(format!("http://127.0.0.1:51697/callback/{NONCE}")));
    let certificates = handed.finish(handed.open(&carried)).unwrap();
    assert!(certificates.reusable);
    assert_eq!(handed.steps(), [BrowserStep::Begun, BrowserStep::Approved]);
    let log = format!("{:?}", handed.lab.sink.events());
    assert!(!log.contains(&handed.request.id) && !log.contains(&handed.ceremony.id), "no number is in the log");
}

#[test]
fn a_page_is_used_once() {
    let mut handed = Handed::new();
    let (tap, code) = (handed.tap(), handed.request.code.clone());
    let carried = handed.approve(&code, &tap).unwrap();
    let not_open = handed.lab.authority.browser_shown("x", peer()).unwrap_err();
    assert_eq!(handed.approve(&code, &tap).unwrap_err(), not_open);
    assert_eq!(handed.lab.authority.browser_shown(&handed.request.id, peer()).unwrap_err(), not_open);
    assert!(!handed.lab.authority.browser_is_open(&handed.request.id, peer()));
    handed.finish(handed.open(&carried)).unwrap();
    assert!(handed.finish(handed.open(&carried)).is_err(), "and the ceremony is as well");
}

#[test]
fn a_wrong_code_costs_a_try_and_too_many_end_it() {
    let mut handed = Handed::new();
    let tap = handed.tap();
    for left in (1..crate::limits::BROWSER_TRIES).rev() {
        let fault = handed.approve(handed.wrong_code(), &tap).unwrap_err();
        assert!(fault.status == 403 && fault.error.message.contains(&left.to_string().replace('1', "one")), "{fault}");
    }
    let last = handed.approve(handed.wrong_code(), &tap).unwrap();
    assert!(matches!(handed.open(&last), BrowserOutcome::Exhausted));
    assert_eq!(handed.approve(&handed.request.code, &tap).unwrap_err().status, 404);
    let assertion = Assertion { id: handed.ceremony.id.clone(), webauthn: serde_json::from_value(tap).unwrap() };
    let over = handed.lab.authority.session_finish(&handed.gate, &handed.identity, &assertion, peer());
    assert_eq!(over.unwrap_err().status, 410, "the ceremony went with it");
}

#[test]
fn a_right_code_after_wrong_ones_gets_on() {
    let mut handed = Handed::new();
    let tap = handed.tap();
    assert!(handed.approve(handed.wrong_code(), &tap).is_err());
    assert!(handed.approve("", &tap).is_err());
    assert!(handed.approve(&handed.request.code, &tap).is_ok());
    let refused = handed.steps().iter().filter(|step| **step == BrowserStep::Refused).count();
    assert_eq!(refused, 2);
}

#[test]
fn only_the_users_own_key_over_this_very_challenge_at_our_origin_approves() {
    let mut handed = Handed::new();
    let code = handed.request.code.clone();
    // Another ceremony of the same user.
    let (other, _) = handed.lab.session_begin(&handed.gate, &handed.identity).unwrap();
    let other = serde_json::to_value(handed.jerry.tap(other).webauthn).unwrap();
    assert!(handed.approve(&code, &other).is_err());
    // Another origin: the client's data are what the browser at that origin wrote, and the key signed them.
    let mut evil = handed.tap();
    let data = format!(
        r#"{{"type":"webauthn.get","challenge":"{}","origin":"https://evil.test","crossOrigin":false}}"#,
        crate::token::to_text(handed.ceremony.webauthn.public_key.challenge.as_slice())
    );
    evil["response"]["clientDataJSON"] = json!(crate::token::to_text(data.as_bytes()));
    assert!(handed.approve(&code, &evil).is_err());
    // Somebody else's key, under the name of one of jerry's.
    let (mut stranger, _) = SoftToken::new(true).unwrap();
    let foreign = stranger.do_authentication(origin(), handed.ceremony.webauthn.clone());
    assert!(foreign.is_err(), "a stranger's key does not even answer");
    assert!(handed.approve(&code, &json!({"nonsense": 1})).is_err());
    let tap = handed.tap();
    assert!(handed.approve(&code, &tap).is_ok());
}

#[test]
fn a_credential_of_another_user_approves_nothing() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    let key = Key::generate();
    let request =
        lab.authority.browser_begin(ORIGIN, Asker::Session(&identity), &begin(&ceremony.id, &key), peer()).unwrap();
    // olga taps over jerry's challenge with her own key.
    let hers = lab.login_begin("olga", PASSWORD).unwrap();
    let mut options = ceremony.webauthn.clone();
    options.public_key.allow_credentials = hers.webauthn.public_key.allow_credentials.clone();
    let tap = olga.key.do_authentication(origin(), options).unwrap();
    let answer = BrowserAnswer { code: request.code.clone(), webauthn: serde_json::to_value(tap).unwrap() };
    assert_eq!(lab.authority.browser_approve(&request.id, &answer, peer()).unwrap_err().status, 403);
}

#[test]
fn denying_ends_the_ceremony_and_tells_the_terminal() {
    let mut handed = Handed::new();
    let tap = handed.tap();
    let carried = handed.lab.authority.browser_deny(&handed.request.id, peer()).unwrap();
    assert!(matches!(handed.open(&carried), BrowserOutcome::Denied));
    assert_eq!(handed.approve(&handed.request.code, &tap).unwrap_err().status, 404);
    assert_eq!(handed.lab.authority.browser_deny(&handed.request.id, peer()).unwrap_err().status, 404);
    let assertion = Assertion { id: handed.ceremony.id.clone(), webauthn: serde_json::from_value(tap).unwrap() };
    let over = handed.lab.authority.session_finish(&handed.gate, &handed.identity, &assertion, peer());
    assert_eq!(over.unwrap_err().status, 410);
    assert_eq!(handed.steps(), [BrowserStep::Begun, BrowserStep::Denied]);
}

#[test]
fn a_page_ends_with_its_ceremony() {
    let mut handed = Handed::new();
    let tap = handed.tap();
    handed.lab.clock.advance(Duration::from_secs(301));
    assert_eq!(handed.approve(&handed.request.code, &tap).unwrap_err().status, 404);
    assert_eq!(handed.lab.authority.browser_shown(&handed.request.id, peer()).unwrap_err().status, 404);
}

#[test]
fn only_whoever_began_it_hands_it_over_and_once() {
    let handed = Handed::new();
    let authority = &handed.lab.authority;
    let again = |asker: Asker<'_>, begin: &BrowserBegin| authority.browser_begin(ORIGIN, asker, begin, peer());
    let mine = begin(&handed.ceremony.id, &handed.key);
    assert_eq!(again(Asker::Session(&handed.identity), &mine).unwrap_err().status, 409);
    let (fresh, _) = handed.lab.session_begin(&handed.gate, &handed.identity).unwrap();
    let fresh = begin(&fresh.id, &handed.key);
    for asker in [Asker::Login, Asker::Enrolment, Asker::Admin(&handed.identity)] {
        assert_eq!(again(asker, &fresh).unwrap_err().status, 410);
    }
    for bad in [
        BrowserBegin { port: 1023, ..fresh.clone() },
        BrowserBegin { nonce: "x@evil.test/".to_owned(), ..fresh.clone() },
        BrowserBegin { public_key: String::new(), ..fresh.clone() },
    ] {
        assert_eq!(again(Asker::Session(&handed.identity), &bad).unwrap_err().status, 400);
    }
    assert!(again(Asker::Session(&handed.identity), &fresh).is_ok());
}

#[test]
fn a_cluster_may_forbid_it() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let yaml = "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  \
                second_factors: [webauthn]\n  allow_cli_auth_via_browser: false\n";
    lab.admin(&mut olga, &AdminAction::PutResources { yaml: yaml.into(), replace: true }).unwrap();
    let (gate, identity) = (lab.gate(), lab.login(&mut jerry));
    let (ceremony, _) = lab.session_begin(&gate, &identity).unwrap();
    let begin = begin(&ceremony.id, &Key::generate());
    let fault = lab.authority.browser_begin(ORIGIN, Asker::Session(&identity), &begin, peer()).unwrap_err();
    assert!(fault.status == 403 && fault.error.message.contains("does not allow taps in the browser"), "{fault}");
}

#[test]
fn an_administrators_change_is_shown_as_it_was_written() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let identity = lab.login(&mut olga);
    let yaml = "kind: user\nversion: v2\nmetadata:\n  name: jerry\nspec:\n  roles: [staging]\n";
    let body = serde_json::to_vec(&AdminAction::PutResources { yaml: yaml.into(), replace: true }).unwrap();
    let ceremony = lab.authority.admin_begin(&lab.policy(), &identity, &body, peer()).unwrap();
    let key = Key::generate();
    let begin = begin(&ceremony.id, &key);
    let request = lab.authority.browser_begin(ORIGIN, Asker::Admin(&identity), &begin, peer()).unwrap();
    let shown = lab.authority.browser_shown(&request.id, peer()).unwrap();
    assert_eq!((shown.purpose.as_str(), shown.elsewhere), ("admin", false));
    assert_eq!(shown.details.unwrap(), format!("# create or replace\n{yaml}"));
}

#[test]
fn a_stranger_who_logs_in_gets_a_page_that_opens_nothing() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let ceremony = lab.login_begin("olga", "wrong password").unwrap();
    let key = Key::generate();
    let request = lab.authority.browser_begin(ORIGIN, Asker::Login, &begin(&ceremony.id, &key), peer()).unwrap();
    assert_eq!(lab.authority.browser_shown(&request.id, peer()).unwrap().user, "olga");
    let hers = lab.login_begin("olga", PASSWORD).unwrap();
    let mut options = ceremony.webauthn.clone();
    options.public_key.allow_credentials = hers.webauthn.public_key.allow_credentials.clone();
    let tap = olga.key.do_authentication(origin(), options).unwrap();
    let answer = BrowserAnswer { code: request.code.clone(), webauthn: serde_json::to_value(tap).unwrap() };
    assert_eq!(lab.authority.browser_approve(&request.id, &answer, peer()).unwrap_err().status, 403);
}

#[test]
fn a_key_that_is_made_in_the_browser_is_enrolled_by_the_terminal() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let invite = lab.invite(&mut olga, "ann", &["dev"]).unwrap();
    let enrol = EnrolBegin {
        token: invite.token,
        password: PASSWORD.to_owned(),
        device_name: "laptop".to_owned(),
        passwordless: false,
    };
    let challenge = lab.authority.enrol_begin(&enrol, peer()).unwrap();
    let key = Key::generate();
    let begin = begin(&challenge.id, &key);
    let request = lab.authority.browser_begin(ORIGIN, Asker::Enrolment, &begin, peer()).unwrap();
    let shown = lab.authority.browser_shown(&request.id, peer()).unwrap();
    assert_eq!((shown.ceremony.as_str(), shown.purpose.as_str(), shown.user.as_str()), ("create", "enrol", "ann"));
    assert_eq!(shown.details.as_deref(), Some("laptop"));
    let (mut token, _) = SoftToken::new(true).unwrap();
    let made = token.do_registration(origin(), challenge.webauthn).unwrap();
    let answer = BrowserAnswer { code: request.code.clone(), webauthn: serde_json::to_value(made).unwrap() };
    let carried = lab.authority.browser_approve(&request.id, &answer, peer()).unwrap();
    let message = key.open(&carried.sealed, &browser_context(&request.id, &challenge.id)).unwrap();
    let BrowserOutcome::Registered { webauthn } = serde_json::from_slice(&message).unwrap() else { panic!() };
    let finish = EnrolFinish { id: challenge.id, webauthn: *webauthn };
    assert_eq!(lab.authority.enrol_finish(&finish, peer()).unwrap().user, "ann");
    lab.snapshot();
    let mut ann = Person { name: "ann".to_owned(), key: token };
    assert!(lab.certificates(&mut ann).is_ok(), "and its chain holds");
}
