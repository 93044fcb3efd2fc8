//! Enrolment: the first administrator, invites, resets.

use std::time::Duration;

use tapgate_api::{EnrolBegin, EnrolFinish};
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softtoken::SoftToken;

use super::lab::{Lab, PASSWORD, origin, peer};
use crate::AuthorityError;

#[test]
fn the_first_administrator_counts_for_nothing_until_pinned() {
    let lab = Lab::new();
    let invite = lab.authority.first_admin(&"olga".parse().unwrap()).unwrap();
    let (mut olga, enrolled) = lab.enrol(&invite).unwrap();
    assert!(enrolled.pin.as_ref().unwrap().starts_with("sha256:"));
    assert!(lab.sink.names().contains(&"security.warning"));
    // The challenge is a decoy, which her key does not know.
    let decoy = lab.login_begin("olga", PASSWORD).unwrap();
    assert!(olga.key.do_authentication(origin(), decoy.webauthn).is_err());
    lab.pin(&enrolled);
    assert_eq!(lab.login(&mut olga).user().as_str(), "olga");
    let again = lab.authority.first_admin(&"eve".parse().unwrap());
    assert!(matches!(again, Err(AuthorityError::HasAdmin(user)) if user.as_str() == "olga"));
}

#[test]
fn before_there_is_a_pinned_one_the_first_administrator_may_be_made_again() {
    let lab = Lab::new();
    let lost = lab.authority.first_admin(&"olga".parse().unwrap()).unwrap();
    let invite = lab.authority.first_admin(&"olga".parse().unwrap()).unwrap();
    assert_eq!(lab.enrol(&lost).err().unwrap().status, 404);
    lab.enrol(&invite).unwrap();
}

#[test]
fn an_invite_is_good_once() {
    let (lab, mut olga) = Lab::founded();
    let invite = lab.invite(&mut olga, "jerry", &["dev"]).unwrap();
    let (mut jerry, enrolled) = lab.enrol(&invite).unwrap();
    assert_eq!(enrolled.pin, None);
    assert_eq!(lab.login(&mut jerry).user().as_str(), "jerry");
    assert_eq!(lab.enrol(&invite).err().unwrap().status, 404);
    for name in ["auth.invite", "auth.enrolled", "admin.changed", "auth.login", "mfa.succeeded"] {
        assert!(lab.sink.names().contains(&name), "{name}");
    }
}

#[test]
fn of_two_who_enrol_with_one_invite_one_gets_on() {
    let (lab, mut olga) = Lab::founded();
    let invite = lab.invite(&mut olga, "jerry", &["dev"]).unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let begin = EnrolBegin {
            token: invite.token.clone(),
            password: PASSWORD.into(),
            device_name: "k".into(),
            passwordless: false,
        };
        let challenge = lab.authority.enrol_begin(&begin, peer()).unwrap();
        let webauthn = SoftToken::new(true).unwrap().0.do_registration(origin(), challenge.webauthn).unwrap();
        answers.push(EnrolFinish { id: challenge.id, webauthn });
    }
    let done: Vec<_> = answers.iter().map(|finish| lab.authority.enrol_finish(finish, peer())).collect();
    assert_eq!(done.iter().filter(|result| result.is_ok()).count(), 1);
    // And neither answer is good twice.
    assert!(answers.iter().all(|finish| lab.authority.enrol_finish(finish, peer()).is_err()));
}

#[test]
fn an_invite_ends_and_never_stands_in_the_store() {
    let (lab, mut olga) = Lab::founded();
    let invite = lab.invite(&mut olga, "jerry", &["dev"]).unwrap();
    let file = std::fs::read(lab.dir.path().join("store.db")).unwrap();
    let wal = std::fs::read(lab.dir.path().join("store.db-wal")).unwrap_or_default();
    let secret = crate::token::from_text(&invite.token).unwrap();
    for bytes in [file, wal] {
        assert!(!bytes.windows(43).any(|window| window == invite.token.as_bytes()));
        assert!(!bytes.windows(32).any(|window| window == secret));
    }
    assert!(!format!("{invite:?}").contains(&invite.token));
    lab.clock.advance(Duration::from_secs(3601));
    assert_eq!(lab.enrol(&invite).err().unwrap().status, 404);
}

#[test]
fn a_reset_takes_the_old_key_and_password_away() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
    // Until the new key is there, the old one is good.
    lab.login(&mut jerry);
    let (mut anew, _) = lab.enrol(&invite).unwrap();
    lab.login(&mut anew);
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    assert!(jerry.key.do_authentication(origin(), ceremony.webauthn).is_err());
}

#[test]
fn whom_an_administrator_invited_keeps_their_key_when_the_administrator_gets_a_new_one() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    lab.authority.put_resources_trusted(SECOND_ADMIN).unwrap();
    let invite = lab.invite(&mut olga, "paul", &[]).unwrap();
    let (mut paul, _) = lab.enrol(&invite).unwrap();
    // Paul, whom olga invited, resets olga: her first key is retired, and its pin with it.
    let invite = lab.invite(&mut paul, "olga", &[]).unwrap();
    let (mut olga_anew, _) = lab.enrol(&invite).unwrap();
    lab.login(&mut olga_anew);
    lab.login(&mut paul);
    lab.login(&mut jerry);
    let ceremony = lab.login_begin("olga", PASSWORD).unwrap();
    assert!(olga.key.do_authentication(origin(), ceremony.webauthn).is_err());
}

#[test]
fn weak_passwords_and_odd_names_are_refused_before_the_invite_is_spent() {
    let (lab, mut olga) = Lab::founded();
    let invite = lab.invite(&mut olga, "jerry", &["dev"]).unwrap();
    for (password, device_name) in [("short", "k"), (PASSWORD, ""), (PASSWORD, "a\nb"), (PASSWORD, &"x".repeat(65))] {
        let (token, password) = (invite.token.clone(), password.to_owned());
        let begin = EnrolBegin { token, password, device_name: device_name.to_owned(), passwordless: false };
        assert_eq!(lab.authority.enrol_begin(&begin, peer()).err().unwrap().status, 400, "{device_name:?}");
    }
    lab.enrol(&invite).unwrap();
}

#[test]
fn a_key_of_somebody_else_is_refused() {
    let (lab, mut olga) = Lab::founded();
    let invite = lab.invite(&mut olga, "jerry", &["dev"]).unwrap();
    let begin = EnrolBegin {
        token: invite.token.clone(),
        password: PASSWORD.into(),
        device_name: "k".into(),
        passwordless: false,
    };
    let first = lab.authority.enrol_begin(&begin, peer()).unwrap();
    let mut key = SoftToken::new(true).unwrap().0;
    let webauthn = key.do_registration(origin(), first.webauthn).unwrap();
    // The same answer under another user's invite does not fit its challenge.
    let other = lab.invite(&mut olga, "ann", &["dev"]).unwrap();
    let begin = EnrolBegin { token: other.token, ..begin };
    let second = lab.authority.enrol_begin(&begin, peer()).unwrap();
    let finish = EnrolFinish { id: second.id, webauthn };
    assert_eq!(lab.authority.enrol_finish(&finish, peer()).err().unwrap().status, 400);
}

const SECOND_ADMIN: &str = "kind: user\nversion: v2\nmetadata:\n  name: paul\nspec:\n  roles: [admin]\n";
