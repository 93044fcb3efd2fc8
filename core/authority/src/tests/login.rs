//! Login: what it yields, what strangers learn, and what a copied key is good for.

use std::time::Duration;

use tapgate_api::Assertion;
use tapgate_identity::Credential;
use tapgate_model::Clock;
use tapgate_proof::Statement;
use webauthn_authenticator_rs::WebauthnAuthenticator;

use super::lab::{Lab, PASSWORD, der, origin, peer, public_key};
use crate::token;

#[test]
fn a_login_yields_both_certificates() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let certificates = lab.certificates(&mut jerry).unwrap();
    let identity = lab.identity(&certificates.tls_certificate);
    assert_eq!((identity.user().as_str(), identity.credential()), ("jerry", Credential::Login));
    assert_eq!(identity.not_after().as_secs(), certificates.expires);
    // The role says 8 hours, which is less than 12.
    assert_eq!(identity.not_after().since(lab.clock.now()), Duration::from_hours(8));
    let ssh = ssh_key::Certificate::from_openssh(&certificates.ssh_certificate).unwrap();
    lab.authority.trust().verify_ssh(&ssh, "jerry", peer(), lab.clock.now()).unwrap();
    assert_eq!((certificates.roles, certificates.logins), (vec!["dev".to_owned()], vec!["jerry".to_owned()]));
    assert_eq!(tapgate_identity::gate_pin(&der(&certificates.host_ca)).unwrap(), lab.authority.gate_fingerprint());
    assert!(certificates.host_ssh_ca.starts_with("ssh-ed25519 "));
}

#[test]
fn the_tap_signs_the_keys_of_the_login() {
    let (lab, _, _) = Lab::with_jerry();
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    let statement = Statement::from_der(&token::from_text(&ceremony.statement).unwrap()).unwrap();
    let random: [u8; 32] = token::from_text(&ceremony.random).unwrap().try_into().unwrap();
    assert_eq!(ceremony.webauthn.public_key.challenge, statement.challenge(&random));
    let ssh = ssh_key::private::Ed25519Keypair::from_seed(&[2; 32]);
    let blob = ssh_key::PrivateKey::from(ssh).public_key().to_bytes().unwrap();
    let spki = token::from_text(&public_key(1)).unwrap();
    assert_eq!(statement.parts().action, Some(token::sha256(&[&spki, &blob])));
}

#[test]
fn a_stranger_a_wrong_password_and_a_used_tap_get_one_answer() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    let good = jerry.tap(ceremony);
    lab.authority.login_finish(&good, peer()).unwrap();
    let answer = |assertion: &Assertion| lab.authority.login_finish(assertion, peer()).unwrap_err();
    let used = answer(&good);
    let forged = |id: String| Assertion { id, webauthn: good.webauthn.clone() };
    let stranger = answer(&forged(lab.login_begin("nobody", PASSWORD).unwrap().id));
    let wrong = answer(&forged(lab.login_begin("jerry", "wrong horse battery").unwrap().id));
    let other = answer(&forged(lab.login_begin("jerry", PASSWORD).unwrap().id));
    let nonsense = answer(&forged("nonsense".to_owned()));
    for fault in [&stranger, &wrong, &other, &nonsense] {
        assert_eq!(*fault, used);
    }
    assert_eq!(used.status, 401);
    // Another person's key does not answer for jerry.
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    assert!(olga.key.do_authentication(origin(), ceremony.webauthn).is_err());
    assert!(lab.sink.names().contains(&"auth.login_failed"));
}

#[test]
fn a_decoy_has_the_form_of_a_challenge_and_stays_the_same() {
    let (lab, _, _) = Lab::with_jerry();
    let ids = |ceremony: &tapgate_api::Ceremony| {
        let keys = &ceremony.webauthn.public_key.allow_credentials;
        keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>()
    };
    let real = serde_json::to_value(lab.login_begin("jerry", PASSWORD).unwrap()).unwrap();
    let first = lab.login_begin("nobody", PASSWORD).unwrap();
    let decoy = serde_json::to_value(&first).unwrap();
    let keys = |value: &serde_json::Value| {
        let options = value.pointer("/webauthn/publicKey").unwrap().as_object().unwrap().clone();
        let key = options["allowCredentials"][0].as_object().unwrap().clone();
        (options.keys().cloned().collect::<Vec<_>>(), key.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(keys(&real), keys(&decoy));
    assert_eq!(ids(&first), ids(&lab.login_begin("nobody", PASSWORD).unwrap()));
    // A wrong password gets the decoy of that name: the real ids would say that it is right.
    let wrong = lab.login_begin("jerry", "wrong horse battery").unwrap();
    assert_ne!(ids(&wrong), ids(&lab.login_begin("jerry", PASSWORD).unwrap()));
    // And after a restart it is the same.
    let reopened = lab.reopened();
    let begin = tapgate_api::LoginBegin {
        user: "nobody".into(),
        password: PASSWORD.into(),
        tls_public_key: public_key(1),
        ssh_public_key: ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[2; 32]))
            .public_key()
            .to_openssh()
            .unwrap(),
    };
    assert_eq!(ids(&reopened.login_begin(&begin, peer()).unwrap()), ids(&first));
}

#[test]
fn a_tap_that_comes_too_late_is_refused() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    let answer = jerry.tap(ceremony);
    lab.clock.advance(Duration::from_mins(5));
    assert_eq!(lab.authority.login_finish(&answer, peer()).unwrap_err().status, 401);
}

#[test]
fn a_copied_key_is_found_out() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut thief = jerry.cloned();
    lab.login(&mut jerry);
    lab.login(&mut jerry);
    let warnings = lab.sink.names().iter().filter(|name| **name == "security.warning").count();
    // The copy's counter stands where it stood when it was made.
    assert_eq!(lab.certificates(&mut thief).unwrap_err().status, 401);
    assert!(lab.sink.names().contains(&"mfa.failed"));
    let now = lab.sink.names().iter().filter(|name| **name == "security.warning").count();
    assert!(now > warnings);
}

#[test]
fn of_two_copies_tapped_side_by_side_one_gets_on() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let mut thief = jerry.cloned();
    // Both ceremonies begin with the same count, so only the count at the end tells them apart.
    let (one, two) = (lab.login_begin("jerry", PASSWORD).unwrap(), lab.login_begin("jerry", PASSWORD).unwrap());
    let (one, two) = (jerry.tap(one), thief.tap(two));
    lab.authority.login_finish(&one, peer()).unwrap();
    assert_eq!(lab.authority.login_finish(&two, peer()).unwrap_err().status, 401);
}

#[test]
fn one_answer_wins_among_many_threads() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    let answer = jerry.tap(ceremony);
    let won = std::thread::scope(|scope| {
        let finish = || lab.authority.login_finish(&answer, peer()).is_ok();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(finish)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
}

#[test]
fn guessing_is_slowed_down() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let refused = (0..40).map(|_| lab.login_begin("jerry", "wrong horse battery")).filter(Result::is_err).count();
    assert!(refused > 20, "{refused}");
    // From elsewhere jerry gets in.
    let begin = tapgate_api::LoginBegin {
        user: "jerry".into(),
        password: PASSWORD.into(),
        tls_public_key: public_key(1),
        ssh_public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".into(),
    };
    let elsewhere = "198.51.100.1".parse().unwrap();
    let ceremony = lab.authority.login_begin(&begin, elsewhere).unwrap();
    lab.authority.login_finish(&jerry.tap(ceremony), elsewhere).unwrap();
}

#[test]
fn a_locked_user_gets_no_certificate() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let lock = "kind: lock\nversion: v2\nmetadata:\n  name: out\nspec:\n  target:\n    user: jerry\n";
    lab.authority.put_resources_trusted(lock).unwrap();
    assert_eq!(lab.certificates(&mut jerry).unwrap_err().status, 403);
}
