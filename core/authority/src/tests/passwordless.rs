//! Login by a key alone: which keys may, whose they are, and what else they may not.

use tapgate_api::{
    Assertion, Ceremony, DeviceBegin, DeviceRegister, LoginCertificates, PASSWORDLESS_USER, PasswordlessBegin,
};
use tapgate_proof::{Purpose, Registration, Statement};
use tapgate_store::Store;
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softtoken::SoftToken;
use webauthn_rs::prelude::PublicKeyCredential;
use webauthn_rs_proto::AllowCredentials;

use super::lab::{Lab, Person, origin, peer, public_key};
use crate::webauthn::NewKey;
use crate::{Fault, token};

fn begin(lab: &Lab) -> Result<Ceremony, Fault> {
    let ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".to_owned();
    lab.authority.passwordless_begin(&PasswordlessBegin { tls_public_key: public_key(1), ssh_public_key }, peer())
}

/// Adds a key that may log in alone, as its owner wants, and answers its credential id.
fn add(lab: &Lab, person: &mut Person, passwordless: bool) -> Vec<u8> {
    let identity = lab.login(person);
    let begin = DeviceBegin { name: format!("bio {passwordless}"), passwordless };
    let mut challenge = lab.authority.device_begin(&identity, &begin, peer()).unwrap();
    let chosen = challenge.webauthn.public_key.authenticator_selection.as_mut().unwrap();
    // The software key keeps nothing itself, and we remember for it.
    assert_eq!(std::mem::take(&mut chosen.require_resident_key), passwordless);
    let webauthn = person.key.do_registration(origin(), challenge.webauthn).unwrap();
    let id = webauthn.raw_id.clone();
    let answer = DeviceRegister { id: challenge.id, webauthn };
    let ceremony = lab.authority.device_register(&identity, &answer, peer()).unwrap();
    let mut vouching = ceremony;
    // The key holds the new credential too; the old one must answer.
    vouching.webauthn.public_key.allow_credentials.retain(|allowed| allowed.id != id);
    lab.authority.device_finish(&identity, &person.tap(vouching), peer()).unwrap();
    id
}

/// What the key answers of its own accord.
fn answer(person: &mut Person, ceremony: &Ceremony, id: &[u8], handle: Option<Vec<u8>>) -> PublicKeyCredential {
    let mut options = ceremony.webauthn.clone();
    assert!(options.public_key.allow_credentials.is_empty(), "nobody is named");
    options.public_key.allow_credentials =
        vec![AllowCredentials { type_: "public-key".to_owned(), id: id.to_vec(), transports: None }];
    let mut answer = person.key.do_authentication(origin(), options).unwrap();
    answer.response.user_handle = handle;
    answer
}

fn log_in(lab: &Lab, person: &mut Person, id: &[u8], handle: Option<Vec<u8>>) -> Result<LoginCertificates, Fault> {
    let ceremony = begin(lab)?;
    let webauthn = answer(person, &ceremony, id, handle);
    lab.authority.login_finish(&Assertion { id: ceremony.id, webauthn }, peer())
}

fn handle(lab: &Lab, user: &str) -> Vec<u8> {
    lab.authority.user_handle(&user.parse().unwrap()).to_vec()
}

#[test]
fn the_key_says_whose_it_is_and_the_login_is_as_good_as_any() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let id = add(&lab, &mut jerry, true);
    for said in [Some(handle(&lab, "jerry")), None] {
        let certificates = log_in(&lab, &mut jerry, &id, said).unwrap();
        assert_eq!(certificates.user, "jerry");
        let identity = lab.identity(&certificates.tls_certificate);
        assert_eq!(identity.user().as_str(), "jerry");
        let listed = lab.authority.devices(&identity, peer()).unwrap().devices;
        assert_eq!(listed.iter().map(|device| device.passwordless).collect::<Vec<_>>(), [false, true]);
    }
}

#[test]
fn the_tap_signs_a_login_with_these_keys_and_is_good_once() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let id = add(&lab, &mut jerry, true);
    let ceremony = begin(&lab).unwrap();
    let statement = Statement::from_der(&token::from_text(&ceremony.statement).unwrap()).unwrap();
    assert_eq!((statement.parts().purpose, statement.parts().user.as_str()), (Purpose::Login, PASSWORDLESS_USER));
    let asked = serde_json::to_value(&ceremony.webauthn).unwrap();
    assert_eq!(asked.pointer("/publicKey/userVerification").unwrap(), "required");
    let webauthn = answer(&mut jerry, &ceremony, &id, None);
    let given = Assertion { id: ceremony.id, webauthn };
    lab.authority.login_finish(&given, peer()).unwrap();
    assert_eq!(lab.authority.login_finish(&given, peer()).unwrap_err().status, 401);
    // Nor does it answer a login that names its user.
    let named = lab.login_begin("jerry", super::lab::PASSWORD).unwrap();
    let other = Assertion { id: named.id, webauthn: given.webauthn };
    assert_eq!(lab.authority.login_finish(&other, peer()).unwrap_err().status, 401);
}

#[test]
fn a_key_that_was_not_registered_for_it_may_not() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let plain = add(&lab, &mut jerry, false);
    assert_eq!(log_in(&lab, &mut jerry, &plain, Some(handle(&lab, "jerry"))).unwrap_err().status, 401);
    // Somebody with the database can't let it either: what was chosen is what was vouched for.
    for (key, entry) in lab.store.list("registration/jerry/", 0).unwrap() {
        let mut registration: Registration = serde_json::from_slice(&entry.value).unwrap();
        registration.traits.passwordless = registration.credential_id == plain;
        lab.store.put(&key, &serde_json::to_vec(&registration).unwrap(), None).unwrap();
    }
    lab.snapshot();
    assert_eq!(log_in(&lab, &mut jerry, &plain, Some(handle(&lab, "jerry"))).unwrap_err().status, 401);
    assert!(lab.sink.names().contains(&"security.warning"));
}

#[test]
fn another_users_name_a_stranger_and_a_missing_pin_are_refused() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    let id = add(&lab, &mut jerry, true);
    assert_eq!(log_in(&lab, &mut jerry, &id, Some(handle(&lab, "olga"))).unwrap_err().status, 401);
    // A key that says it is jerry's and signs with another one's.
    let hers = add(&lab, &mut olga, true);
    let ceremony = begin(&lab).unwrap();
    let mut forged = answer(&mut olga, &ceremony, &hers, Some(handle(&lab, "jerry")));
    forged.raw_id = id.clone();
    assert_eq!(
        lab.authority.login_finish(&Assertion { id: ceremony.id, webauthn: forged }, peer()).unwrap_err().status,
        401
    );
    // A touch alone is one factor.
    let ceremony = begin(&lab).unwrap();
    let mut lax = ceremony.clone();
    lax.webauthn.public_key.user_verification = webauthn_rs_proto::UserVerificationPolicy::Preferred;
    let touched = answer(&mut jerry, &lax, &id, Some(handle(&lab, "jerry")));
    assert_eq!(
        lab.authority.login_finish(&Assertion { id: ceremony.id, webauthn: touched }, peer()).unwrap_err().status,
        401
    );
    // A key that nobody has registered.
    let mut stranger = Person { name: "jerry".to_owned(), key: SoftToken::new(true).unwrap().0 };
    let challenge =
        lab.authority.webauthn.begin_registration(&"jerry".parse().unwrap(), [1; 16], Vec::new(), NewKey::default());
    let made = stranger.key.do_registration(origin(), challenge.unwrap().0).unwrap();
    assert_eq!(log_in(&lab, &mut stranger, &made.raw_id, Some(handle(&lab, "jerry"))).unwrap_err().status, 401);
}

#[test]
fn a_cluster_may_forbid_it_and_whoever_is_locked_stays_out() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    let id = add(&lab, &mut jerry, true);
    let waiting = begin(&lab).unwrap();
    let webauthn = answer(&mut jerry, &waiting, &id, None);
    let forbid = "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  \
                  allow_passwordless: false\n";
    lab.authority.put_resources_trusted(forbid).unwrap();
    assert_eq!(begin(&lab).unwrap_err().status, 403);
    assert_eq!(lab.authority.login_finish(&Assertion { id: waiting.id, webauthn }, peer()).unwrap_err().status, 401);
    lab.authority.put_resources_trusted(&forbid.replace("false", "true")).unwrap();
    log_in(&lab, &mut jerry, &id, None).unwrap();
    let lock = "kind: lock\nversion: v2\nmetadata:\n  name: out\nspec:\n  target:\n    user: jerry\n";
    lab.authority.put_resources_trusted(lock).unwrap();
    assert_eq!(log_in(&lab, &mut jerry, &id, None).unwrap_err().status, 403);
}
