//! One-time codes: a second factor for login, each step once, and nothing else.

use std::time::Duration;

use tapgate_api::{DeviceAction, LoginCertificates, OtpConfirm, OtpLogin, OtpSecret};
use tapgate_identity::Identity;
use tapgate_model::Clock;
use tapgate_store::Store;
use totp_rs::Totp;

use super::device::{begin, change};
use super::lab::{Lab, PASSWORD, Person, peer, public_key};
use crate::Fault;

const BOTH: &str = "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  \
                    second_factors: [webauthn, otp]\n";

fn add_otp() -> DeviceAction {
    DeviceAction::AddOtp { name: "phone".to_owned() }
}

fn accept(lab: &Lab) {
    lab.authority.put_resources_trusted(BOTH).unwrap();
}

/// Up to where a code is due.
fn secret(lab: &Lab, person: &mut Person) -> (Identity, OtpSecret, Totp) {
    let identity = lab.login(person);
    let ceremony = begin(lab, &identity, &add_otp()).unwrap();
    let outcome = lab.authority.device_change_finish(&identity, &person.tap(ceremony), peer()).unwrap();
    let secret = outcome.otp.unwrap();
    let totp = Totp::from_url(&secret.uri).unwrap();
    (identity, secret, totp)
}

/// Jerry with codes; the clock has moved on past the one that was shown.
fn with_codes() -> (Lab, Person, Totp) {
    let (lab, _, mut jerry) = Lab::with_jerry();
    accept(&lab);
    let (identity, secret, totp) = secret(&lab, &mut jerry);
    let confirm = OtpConfirm { id: secret.id, code: code(&totp, &lab, 0) };
    lab.authority.device_otp(&identity, &confirm, peer()).unwrap();
    lab.clock.advance(Duration::from_mins(1));
    (lab, jerry, totp)
}

/// The code of the step that is this many away.
fn code(totp: &Totp, lab: &Lab, steps: i64) -> String {
    let now = i64::try_from(lab.clock.now().as_secs()).unwrap() + steps * 30;
    totp.generate(now.try_into().unwrap()).to_string()
}

fn log_in(lab: &Lab, user: &str, password: &str, code: &str) -> Result<LoginCertificates, Fault> {
    let login = OtpLogin {
        user: user.to_owned(),
        password: password.to_owned(),
        code: code.to_owned(),
        tls_public_key: public_key(1),
        ssh_public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".to_owned(),
    };
    lab.authority.login_otp(&login, peer())
}

#[test]
fn a_code_logs_in_and_the_certificate_is_as_good_as_any() {
    let (lab, mut jerry, totp) = with_codes();
    let certificates = log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap();
    let identity = lab.identity(&certificates.tls_certificate);
    assert_eq!(identity.user().as_str(), "jerry");
    // A session still wants a key.
    let gate = lab.gate();
    lab.session(&gate, &identity, &mut jerry).unwrap();
}

#[test]
fn codes_are_for_where_the_preference_names_them() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    assert_eq!(change(&lab, &mut jerry, &add_otp()).unwrap_err().status, 403);
    assert_eq!(log_in(&lab, "jerry", PASSWORD, "123456").unwrap_err().status, 403);
    let alone = BOTH.replace("webauthn, otp", "otp");
    lab.authority.put_resources_trusted(&alone).unwrap();
    secret(&lab, &mut jerry);
}

#[test]
fn a_step_is_good_once_among_many_threads() {
    let (lab, _, totp) = with_codes();
    let code = code(&totp, &lab, 0);
    let won = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..5).map(|_| scope.spawn(|| log_in(&lab, "jerry", PASSWORD, &code).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    let user = "jerry".parse().unwrap();
    let next = self::code(&totp, &lab, 1);
    let spent = std::thread::scope(|scope| {
        let (lab, user, code) = (&lab, &user, &next);
        let threads: Vec<_> = (0..32)
            .map(|_| scope.spawn(|| lab.authority.spend_code(user, code).unwrap() == crate::otp::Code::Good))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count()
    });
    assert_eq!(spent, 1, "of thirty-two who come with the next code, one gets on");
}

#[test]
fn a_clock_may_be_off_by_one_step_and_no_more() {
    for (steps, good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
        let (lab, _, totp) = with_codes();
        lab.clock.advance(Duration::from_mins(5));
        let login = log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, steps));
        assert_eq!(login.is_ok(), good, "{steps}");
    }
}

#[test]
fn an_earlier_step_than_the_last_one_is_over() {
    let (lab, _, totp) = with_codes();
    log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 1)).unwrap();
    assert_eq!(log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap_err().status, 401);
    // The code that was shown when the codes were added is spent from the beginning.
    let (lab, _, mut jerry) = Lab::with_jerry();
    accept(&lab);
    let (identity, secret, totp) = secret(&lab, &mut jerry);
    let shown = code(&totp, &lab, 0);
    let confirm = OtpConfirm { id: secret.id, code: shown.clone() };
    lab.authority.device_otp(&identity, &confirm, peer()).unwrap();
    assert_eq!(log_in(&lab, "jerry", PASSWORD, &shown).unwrap_err().status, 401);
}

#[test]
fn wrong_codes_are_limited_and_lock_nobody_out_of_the_key() {
    let (lab, mut jerry, totp) = with_codes();
    for _ in 0..5 {
        assert_eq!(log_in(&lab, "jerry", PASSWORD, "000000").unwrap_err().status, 401);
    }
    let limited = log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap_err();
    assert_eq!(limited.status, 401, "a right code is refused too, and nobody is told why");
    lab.login(&mut jerry);
    // Neither does a restart help.
    let reopened = lab.reopened();
    reopened.install_pins(lab.authority.pins.load().to_vec());
    drop(reopened.snapshot().unwrap());
    assert!(!reopened.store.list("otp-tries/real/", lab.clock.now().as_secs()).unwrap().is_empty());
    lab.clock.advance(Duration::from_mins(15));
    log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap();
}

#[test]
fn whoever_does_not_know_the_password_uses_up_no_tries() {
    let (lab, _, totp) = with_codes();
    let answers: Vec<Fault> =
        (0..6).map(|_| log_in(&lab, "jerry", "wrong horse battery", "000000").unwrap_err()).collect();
    let stranger = log_in(&lab, "nobody", PASSWORD, "000000").unwrap_err();
    log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap();
    let used = log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap_err();
    assert!(answers.iter().all(|answer| *answer == stranger && *answer == used), "there is one answer");
}

#[test]
fn codes_add_no_key_open_no_session_and_need_a_tap_themselves() {
    let (lab, _, totp) = with_codes();
    let identity = lab.identity(&log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap().tls_certificate);
    // The keys are lost behind the authority's back: codes are all that is left.
    for (key, _) in lab.store.list("credential-state/jerry/", 0).unwrap() {
        lab.store.delete(&key).unwrap();
    }
    let refusal = "per-session MFA is not satisfied by 'otp' devices";
    let begun = tapgate_api::DeviceBegin { name: "thief".to_owned(), passwordless: false };
    assert_eq!(lab.authority.device_begin(&identity, &begun, peer()).err().unwrap().error.message, refusal);
    let gate = lab.gate();
    assert_eq!(lab.session_begin(&gate, &identity).err().unwrap().error.message, refusal);
    let rename = DeviceAction::RenameDevice { name: "phone".into(), to: "x".into() };
    assert_eq!(begin(&lab, &identity, &rename).err().unwrap().error.message, refusal);
}

#[test]
fn codes_are_renamed_and_removed_by_a_tap() {
    let (lab, mut jerry, totp) = with_codes();
    assert_eq!(change(&lab, &mut jerry, &add_otp()).unwrap_err().status, 409);
    change(&lab, &mut jerry, &DeviceAction::RenameDevice { name: "phone".into(), to: "old phone".into() }).unwrap();
    let outcome = change(&lab, &mut jerry, &DeviceAction::RemoveDevice { name: "old phone".into() }).unwrap();
    assert_eq!(outcome.lines, ["one-time codes \"old phone\" has been removed"]);
    assert_eq!(log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 0)).unwrap_err().status, 401);
    assert_eq!(lab.sink.names().iter().filter(|name| **name == "auth.device").count(), 3);
}

#[test]
fn a_wrong_code_adds_nothing_and_three_end_it() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    accept(&lab);
    let (identity, secret, totp) = secret(&lab, &mut jerry);
    let confirm = |code: &str| {
        let confirm = OtpConfirm { id: secret.id.clone(), code: code.to_owned() };
        lab.authority.device_otp(&identity, &confirm, peer()).map(drop).map_err(|fault| fault.status)
    };
    assert_eq!(confirm("000000"), Err(400));
    assert_eq!(confirm("nonsense"), Err(400));
    assert_eq!(confirm("000000"), Err(403));
    assert_eq!(confirm(&code(&totp, &lab, 0)), Err(410));
    assert_eq!(log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 1)).unwrap_err().status, 401);
}

#[test]
fn a_reset_takes_the_codes_away() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let mut jerry = {
        let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
        lab.enrol(&invite).unwrap().0
    };
    accept(&lab);
    let (identity, secret, totp) = secret(&lab, &mut jerry);
    let confirm = OtpConfirm { id: secret.id, code: code(&totp, &lab, 0) };
    lab.authority.device_otp(&identity, &confirm, peer()).unwrap();
    let invite = lab.invite(&mut olga, "jerry", &[]).unwrap();
    lab.enrol(&invite).unwrap();
    assert_eq!(log_in(&lab, "jerry", PASSWORD, &code(&totp, &lab, 1)).unwrap_err().status, 401);
}
