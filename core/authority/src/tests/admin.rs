//! What administrators do: planned before the tap, signed by it, and done once.

use tapgate_api::AdminAction;
use tapgate_proof::Statement;
use webauthn_authenticator_rs::WebauthnAuthenticator;

use super::lab::{Lab, PASSWORD, Person, peer};
use crate::{Fault, token};

fn put(yaml: &str, replace: bool) -> AdminAction {
    AdminAction::PutResources { yaml: yaml.to_owned(), replace }
}

fn begin(lab: &Lab, person: &mut Person, action: &AdminAction) -> Result<tapgate_api::Ceremony, Fault> {
    let identity = lab.login(person);
    let body = serde_json::to_vec(action).unwrap();
    lab.authority.admin_begin(&lab.policy(), &identity, &body, peer())
}

#[test]
fn bad_yaml_is_refused_before_the_tap_with_every_problem() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let bad = "kind: role\nversion: v7\nmetadata:\n  name: a\nspec:\n  nonsense: 1\n---\nkind: nonsense\n";
    let fault = begin(&lab, &mut olga, &put(bad, false)).unwrap_err();
    assert_eq!(fault.status, 400);
    assert!(fault.error.message.lines().count() >= 2, "{}", fault.error.message);
    assert!(fault.error.message.contains("<stdin>:6:"), "{}", fault.error.message);
}

#[test]
fn what_would_not_hold_together_is_refused_before_the_tap() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let dangling = "kind: user\nversion: v2\nmetadata:\n  name: ann\nspec:\n  roles: [nosuch]\n";
    assert_eq!(begin(&lab, &mut olga, &put(dangling, false)).unwrap_err().status, 400);
    let used = AdminAction::DeleteResource { kind: "role".into(), name: "dev".into() };
    let fault = begin(&lab, &mut olga, &used).unwrap_err();
    assert_eq!(fault.status, 400, "{fault}");
    let unknown = AdminAction::Invite { user: "ann".into(), roles: vec!["nosuch".into()] };
    assert_eq!(begin(&lab, &mut olga, &unknown).unwrap_err().status, 400);
}

#[test]
fn the_tap_signs_the_exact_bytes() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let action = AdminAction::DeleteResource { kind: "node".into(), name: "stage1".into() };
    let body = serde_json::to_vec(&action).unwrap();
    let ceremony = begin(&lab, &mut olga, &action).unwrap();
    let statement = Statement::from_der(&token::from_text(&ceremony.statement).unwrap()).unwrap();
    assert_eq!(statement.parts().action, Some(token::sha256(&[&body])));
}

#[test]
fn resources_are_created_replaced_and_deleted() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let node = "\
kind: node
version: v2
metadata:
  # the new one
  name: prod4
  labels: {env: prod}
spec:
  addr: 127.0.0.1:22
  host_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ]
";
    let outcome = lab.admin(&mut olga, &put(node, false)).unwrap();
    assert_eq!(outcome.lines, ["node \"prod4\" has been created"]);
    let uid = |lab: &Lab| lab.policy().node(&"prod4".parse().unwrap()).unwrap().uid;
    let first = uid(&lab);
    assert_eq!(begin(&lab, &mut olga, &put(node, false)).unwrap_err().status, 409);
    let outcome = lab.admin(&mut olga, &put(node, true)).unwrap();
    assert_eq!(outcome.lines, ["node \"prod4\" has been updated"]);
    assert_eq!(uid(&lab), first, "a replaced target is the same target");
    let delete = AdminAction::DeleteResource { kind: "nodes".into(), name: "prod4".into() };
    assert_eq!(lab.admin(&mut olga, &delete).unwrap().lines, ["node \"prod4\" has been deleted"]);
    assert_eq!(begin(&lab, &mut olga, &delete).unwrap_err().status, 404);
    lab.admin(&mut olga, &put(node, false)).unwrap();
    assert_ne!(uid(&lab), first, "a target that is made again is another one");
    let identity = lab.login(&mut olga);
    let texts = lab.authority.resources(&lab.policy(), &identity, Some("node"), Some("prod4")).unwrap();
    assert!(texts[0].yaml.contains("# the new one"));
}

#[test]
fn the_preference_is_there_before_anybody_writes_it() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let preference = "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n  require_session_mfa: true\n";
    for replace in [false, true, false] {
        let outcome = lab.admin(&mut olga, &put(preference, replace)).unwrap();
        assert_eq!(outcome.lines, ["cluster auth preference has been updated"]);
    }
}

#[test]
fn a_preference_names_the_gates_own_relying_party() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let own = lab.authority.relying_party().id.clone();
    let preference = |rp_id: &str| {
        let head = "kind: cluster_auth_preference\nversion: v2\nmetadata:\n  name: cluster-auth-preference\nspec:\n";
        format!("{head}  second_factors: [webauthn]\n  webauthn:\n    rp_id: {rp_id}\n")
    };
    lab.admin(&mut olga, &put(&preference(&own), false)).unwrap();
    let fault = begin(&lab, &mut olga, &put(&preference("other.example.com"), false)).unwrap_err();
    assert_eq!(fault.status, 400);
    assert!(fault.error.message.contains("<stdin>:1: the rp_id of this gate is"), "{fault}");
}

#[test]
fn who_may_not_is_told_so_before_the_tap() {
    let (lab, _, mut jerry) = Lab::with_jerry();
    for action in [
        put("nonsense", false),
        AdminAction::DeleteResource { kind: "role".into(), name: "nosuch".into() },
        AdminAction::Invite { user: "ann".into(), roles: vec![] },
        AdminAction::Invite { user: "olga".into(), roles: vec![] },
    ] {
        assert_eq!(begin(&lab, &mut jerry, &action).unwrap_err().status, 403, "{action:?}");
    }
    let identity = lab.login(&mut jerry);
    let read = lab.authority.resources(&lab.policy(), &identity, Some("role"), None);
    assert_eq!(read.unwrap_err().status, 403);
    assert_eq!(lab.authority.resources(&lab.policy(), &identity, None, None).unwrap(), []);
}

#[test]
fn a_right_that_is_gone_by_the_tap_is_gone() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let action = AdminAction::DeleteResource { kind: "node".into(), name: "stage1".into() };
    let identity = lab.login(&mut olga);
    let body = serde_json::to_vec(&action).unwrap();
    let ceremony = lab.authority.admin_begin(&lab.policy(), &identity, &body, peer()).unwrap();
    let answer = olga.tap(ceremony);
    let demoted = "kind: user\nversion: v2\nmetadata:\n  name: olga\nspec:\n  roles: [dev]\n";
    lab.authority.put_resources_trusted(demoted).unwrap();
    let fault = lab.authority.admin_finish(&lab.policy(), &identity, &answer, peer()).unwrap_err();
    assert_eq!(fault.status, 403);
    assert!(lab.policy().node(&"stage1".parse().unwrap()).is_some());
}

#[test]
fn a_user_who_is_made_again_has_no_key() {
    let (lab, mut olga, mut jerry) = Lab::with_jerry();
    lab.admin(&mut olga, &AdminAction::DeleteResource { kind: "user".into(), name: "jerry".into() }).unwrap();
    let user = "kind: user\nversion: v2\nmetadata:\n  name: jerry\nspec:\n  roles: [dev]\n";
    lab.admin(&mut olga, &put(user, false)).unwrap();
    let ceremony = lab.login_begin("jerry", PASSWORD).unwrap();
    assert!(jerry.key.do_authentication(super::lab::origin(), ceremony.webauthn).is_err());
}

#[test]
fn an_invite_survives_no_restart_between_begin_and_tap() {
    let (lab, mut olga, _) = Lab::with_jerry();
    let identity = lab.login(&mut olga);
    let body = serde_json::to_vec(&AdminAction::Invite { user: "ann".into(), roles: vec!["dev".into()] }).unwrap();
    let ceremony = lab.authority.admin_begin(&lab.policy(), &identity, &body, peer()).unwrap();
    let answer = olga.tap(ceremony);
    let reopened = lab.reopened();
    reopened.install_pins(lab.authority.pins.load().to_vec());
    drop(reopened.snapshot().unwrap());
    let fault = reopened.admin_finish(&lab.policy(), &identity, &answer, peer()).unwrap_err();
    assert_eq!(fault.status, 410);
    assert!(lab.policy().roles_of(&"ann".parse().unwrap()).is_none(), "nothing was written");
}
