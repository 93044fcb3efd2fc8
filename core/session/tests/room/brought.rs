//! Taps that are made on a page before their session is asked for.

use std::sync::Arc;
use std::time::Duration;

use tapgate_identity::Identity;
use tapgate_model::Digest;
use tapgate_proof::{Holder, Uses};
use tapgate_session::testing::{GATE, World, facts, user};
use tapgate_session::{ConnectionFacts, CutReason, Door, Tap, Verdict};

use super::world::{check_from, policy, word, world};

fn web(session: &Identity) -> ConnectionFacts {
    let holder = Some(Holder::WebSession(*session.fingerprint()));
    ConnectionFacts { door: Door::Web, holder, ..facts() }
}

/// One connection of that web session, a terminal's.
fn connection(session: &Identity, number: u8) -> ConnectionFacts {
    let connection = Digest::from_bytes([number; 32]);
    let holder = Some(Holder::WebConnection { session: *session.fingerprint(), connection });
    ConnectionFacts { door: Door::Web, holder, ..facts() }
}

/// jerry's tap for prod3, good for this web session.
fn tap(world: &World, session: &Identity, uses: Uses) -> Arc<Tap> {
    tap_for(world, Holder::WebSession(*session.fingerprint()), uses)
}

fn tap_for(world: &World, holder: Holder, uses: Uses) -> Arc<Tap> {
    world.tap(holder, uses, Duration::from_mins(5))
}

#[test]
fn a_tap_that_was_brought_opens_for_its_web_session_until_the_window_is_over() {
    let world = world();
    let (mine, other) = (world.login("jerry"), world.login("jerry"));
    let open = |session, facts: &ConnectionFacts| word(check_from(&world.gate, session, "prod3", "jerry", facts));
    assert_eq!(open(&mine, &web(&mine)), "challenge: no tap was shown");
    world.gate.bring(&tap(&world, &mine, Uses::Window));
    assert_eq!(open(&mine, &web(&mine)), "grant");
    assert_eq!(open(&mine, &web(&mine)), "grant", "and again");
    assert_eq!(open(&other, &web(&other)), "challenge: no tap was shown");
    // Naming another one's session does not make it one's own.
    assert_eq!(open(&other, &web(&mine)), "challenge: the tap names another target, login or key");
    let root = word(check_from(&world.gate, &mine, "prod3", "root", &web(&mine)));
    assert_eq!(root, "challenge: no tap was shown");
    world.clock.advance(Duration::from_secs(301));
    assert!(open(&mine, &web(&mine)).starts_with("challenge: "));
}

#[tokio::test]
async fn a_tap_for_a_terminal_opens_for_its_connection_alone() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::new(&policy("", &listener.local_addr().unwrap().to_string()));
    let (mine, other) = (world.login("jerry"), world.login("jerry"));
    let open = |session, facts: &ConnectionFacts| check_from(&world.gate, session, "prod3", "jerry", facts);
    let (first, second) = (connection(&mine, 1), connection(&mine, 2));
    world.gate.bring(&tap_for(&world, first.holder.clone().unwrap(), Uses::Window));
    assert_eq!(word(open(&mine, &second)), "challenge: no tap was shown");
    assert_eq!(word(open(&mine, &web(&mine))), "challenge: no tap was shown");
    assert_eq!(word(open(&other, &first)), "challenge: the tap names another target, login or key");
    let Verdict::Grant(grant) = open(&mine, &first) else { unreachable!("the tap opens") };
    let (_upstream, live) = grant.dial().await.unwrap();
    // Signing out ends what any connection of the session has opened.
    assert_eq!(world.gate.end_held(&Holder::WebSession(*other.fingerprint())), 0);
    assert_eq!(world.gate.end_held(&Holder::WebSession(*mine.fingerprint())), 1);
    assert_eq!(live.cut().wanted().await, CutReason::SignedOut);
    // A tap for the session as a whole is none for a connection of it.
    world.gate.bring(&tap(&world, &mine, Uses::Window));
    assert_eq!(word(open(&mine, &second)), "challenge: no tap was shown");
    // One for once opens one session, and the page asks for the next one.
    world.gate.bring(&tap_for(&world, second.holder.clone().unwrap(), Uses::Once));
    assert_eq!(word(open(&mine, &second)), "grant");
    assert_eq!(word(open(&mine, &second)), "challenge: no tap was shown");
}

#[test]
fn another_policy_weighs_it_anew() {
    let world = world();
    let mine = world.login("jerry");
    world.gate.bring(&tap(&world, &mine, Uses::Window));
    world.install(&policy("session_mfa_window: 1m", "127.0.0.1:9"));
    world.clock.advance(Duration::from_secs(61));
    let late = word(check_from(&world.gate, &mine, "prod3", "jerry", &web(&mine)));
    assert_eq!(late, "challenge: the tap's window is over");
}

#[tokio::test]
async fn one_for_one_session_opens_one_and_signing_out_ends_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::new(&policy("", &listener.local_addr().unwrap().to_string()));
    let mine = world.login("jerry");
    world.gate.bring(&tap(&world, &mine, Uses::Once));
    let open = || check_from(&world.gate, &mine, "prod3", "jerry", &web(&mine));
    let Verdict::Grant(grant) = open() else { unreachable!("the tap opens") };
    let (_upstream, live) = grant.dial().await.unwrap();
    let Verdict::Grant(second) = open() else { unreachable!("what is spent is seen when it is dialled") };
    assert!(second.dial().await.is_err_and(|error| error.to_string().contains("is spent")));

    let own = world.gate.live_of(&user("jerry"));
    assert_eq!((own.len(), own[0].id, own[0].tapped, own[0].door), (1, live.id(), true, Door::Web));
    assert!(world.gate.live_of(&user("ann")).is_empty());
    assert!(!world.gate.end_own(&user("ann"), live.id()), "it is not ann's");
    assert_eq!(world.gate.end_held(&Holder::WebSession(GATE)), 0);
    assert_eq!(world.gate.end_held(&Holder::WebSession(*mine.fingerprint())), 1);
    assert_eq!(live.cut().wanted().await, CutReason::SignedOut);
    assert!(world.gate.end_own(&user("jerry"), live.id()));
}
