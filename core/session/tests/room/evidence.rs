//! What a tap is good for, and what it is not.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use tapgate_proof::Uses;
use tapgate_proof::testing::{Gesture, SoftKey};
use tapgate_session::Verdict;
use tapgate_session::testing::{ClientKey, World, facts, is_warm};

use super::world::{check, check_from, lock, policy, word, world};

const OTHER: &str = "challenge: the tap names another target, login or key";
const OVER: &str = "challenge: the tap's window is over";

#[test]
fn without_a_tap_only_what_needs_none_opens() {
    let world = world();
    let jerry = world.login("jerry");
    assert_eq!(word(check(&world, &jerry, "dev1", "jerry")), "grant");
    assert_eq!(word(check(&world, &jerry, "prod3", "jerry")), "challenge: no tap was shown");
    assert_eq!(word(check(&world, &jerry, "dev1", "root")), "denial: no role of the user allows it");
}

#[test]
fn a_tap_opens_what_it_names_and_nothing_else() {
    let world = world();
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant", "warm");
    assert_eq!(word(check(&world, &tapped, "prod3", "root")), OTHER);
    assert_eq!(word(check(&world, &tapped, "dev1", "jerry")), OTHER, "not even where no tap is due");
}

#[test]
fn of_many_at_once_with_one_certificate_one_verifies_its_tap() {
    let world = world();
    for _ in 0..20 {
        let (tapped, begin) = (world.tapped("prod3", "jerry", Uses::Window), Barrier::new(8));
        let open = || {
            begin.wait();
            matches!(check(&world, &tapped, "prod3", "jerry"), Verdict::Grant(grant) if !is_warm(&grant))
        };
        let cold = thread::scope(|scope| {
            let all = [(); 8].map(|()| scope.spawn(open));
            all.map(|one| one.join().unwrap()).into_iter().filter(|cold| *cold).count()
        });
        assert_eq!(cold, 1);
    }
}

#[test]
fn the_window_is_fixed_and_does_not_slide() {
    let world = world();
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    for _ in 0..2 {
        assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
        world.clock.advance(Duration::from_secs(149));
    }
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
    world.clock.advance(Duration::from_secs(3));
    // The certificate ends with the window, so that is what is said first.
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "denial: the certificate has expired");
}

#[test]
fn a_role_shortens_the_window_at_once_also_for_evidence_at_hand() {
    let world = world();
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
    world.clock.advance(Duration::from_secs(90));
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
    world.install(&policy("session_mfa_window: 1m", "127.0.0.1:9"));
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), OVER);
}

#[test]
fn evidence_of_another_address_or_holder_does_not_help() {
    let world = world();
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
    // The same tap in a certificate for another key: the statement names the first one's digest.
    let proof = tapped.proof().cloned().unwrap();
    let thief = world.session(&ClientKey::generate(), &proof);
    assert_eq!(word(check(&world, &thief, "prod3", "jerry")), OTHER);
    let mut elsewhere = facts();
    elsewhere.peer = ([198, 51, 100, 1], 1).into();
    world.install(&policy("pin_source_ip: true", "127.0.0.1:9"));
    let verdict = check_from(&world.gate, &tapped, "prod3", "jerry", &elsewhere);
    assert_eq!(word(verdict), "challenge: the tap was made from another address");
}

#[test]
fn a_certificate_of_the_real_authority_without_a_real_tap_is_refused() {
    let world = world();
    let client = ClientKey::generate();
    let entry = || vec![world.entry("prod3", "jerry", client.holder())];
    let statement = world.statement(entry(), Uses::Window, Duration::from_mins(5));
    // Whoever holds the session authority's key, but not jerry's security key.
    let forged = SoftKey::generate().tap(&statement, [1; 32], &world.rp);
    let identity = world.session(&client, &forged);
    assert_eq!(
        word(check(&world, &identity, "prod3", "jerry")),
        "challenge: the security key of the tap is not registered"
    );
    let mut dressed_up = forged;
    dressed_up.credential_id = world.key.credential_id().to_vec();
    let identity = world.session(&client, &dressed_up);
    assert!(word(check(&world, &identity, "prod3", "jerry")).starts_with("challenge: the tap does not verify"));
    let untouched = Gesture { flags: 0, ..Gesture::at(&world.rp) };
    let identity = world.session(&client, &world.key.tap_as(&statement, [1; 32], &untouched));
    assert!(word(check(&world, &identity, "prod3", "jerry")).starts_with("challenge: the tap does not verify"));
}

#[test]
fn a_change_of_policy_is_weighed_at_once_and_asks_for_no_new_tap() {
    let world = world();
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
    world.install(&policy("", "127.0.0.1:9"));
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "grant");
    world.install(&(policy("", "127.0.0.1:9") + lock()));
    assert_eq!(word(check(&world, &tapped, "prod3", "jerry")), "denial: the lock `lost-laptop` is in force");
    world.install_without_keys(&policy("", "127.0.0.1:9"));
    assert_eq!(
        word(check(&world, &tapped, "prod3", "jerry")),
        "challenge: the security key of the tap is not registered"
    );
}

#[test]
fn a_verified_tap_is_due_where_the_role_says_hardware_key() {
    let strict = policy("", "127.0.0.1:9").replace("require_session_mfa: true", "require_session_mfa: hardware_key");
    let world = World::new(&strict);
    let client = ClientKey::generate();
    let statement =
        world.statement(vec![world.entry("prod3", "jerry", client.holder())], Uses::Window, Duration::from_mins(5));
    let touched = Gesture { flags: 1, ..Gesture::at(&world.rp) };
    let identity = world.session(&client, &world.key.tap_as(&statement, [1; 32], &touched));
    assert!(word(check(&world, &identity, "prod3", "jerry")).starts_with("challenge: the tap does not verify"));
    assert_eq!(word(check(&world, &world.tapped("prod3", "jerry", Uses::Window), "prod3", "jerry")), "grant");
}

#[test]
fn unknown_and_forbidden_are_one_answer_to_the_client_and_two_in_the_log() {
    let world = world();
    let jerry = world.login("jerry");
    let said = |name: &str| match check(&world, &jerry, name, "jerry") {
        Verdict::Denial(denial) => (denial.message().replace(name, "x"), denial.reason().to_string()),
        _ => unreachable!(),
    };
    let (forbidden, unknown) = (said("secret"), said("nowhere"));
    assert_eq!(forbidden.0, unknown.0);
    assert_ne!(forbidden.1, unknown.1);
}

#[test]
fn a_login_that_has_ended_opens_nothing() {
    let world = world();
    let jerry = world.login("jerry");
    world.clock.advance(Duration::from_hours(12));
    assert_eq!(word(check(&world, &jerry, "dev1", "jerry")), "denial: the certificate has expired");
    let stranger = world.login("mallory");
    assert_eq!(word(check(&world, &Arc::clone(&stranger), "dev1", "jerry")), "denial: there is no such user");
}
