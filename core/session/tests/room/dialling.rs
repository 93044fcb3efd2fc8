//! From a grant to a live session, and how that is cut.

use std::time::Duration;

use tapgate_model::Kind;
use tapgate_proof::Uses;
use tapgate_session::testing::{World, facts, target, unix};
use tapgate_session::{Ask, CutReason, EndReason, Grant, NoPrompt, Verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::world::{check, lock, policy, word};

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn granted(verdict: Verdict) -> Grant {
    match verdict {
        Verdict::Grant(grant) => grant,
        other => unreachable!("{}", word(other)),
    }
}

#[tokio::test]
async fn bytes_pass_are_counted_and_logged() {
    let (listener, address) = listener().await;
    let world = World::new(&policy("", &address));
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    let (mut upstream, live) = granted(check(&world, &tapped, "prod3", "jerry")).dial().await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    upstream.write_all(b"hello").await.unwrap();
    server.write_all(b"hi").await.unwrap();
    let mut bytes = [0; 2];
    upstream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(world.gate.live_count(), 1);
    live.finish(&EndReason::Client);
    assert_eq!(world.gate.live_count(), 0);
    assert_eq!(world.sink.names(), ["session.start", "session.end"]);
    let end = serde_json::to_value(world.sink.events().pop()).unwrap();
    assert_eq!((end["bytes_up"].as_u64(), end["bytes_down"].as_u64()), (Some(5), Some(2)));
    assert!(end["tap"]["proof"].is_string(), "the log holds the proof");
}

#[tokio::test]
async fn a_tap_for_one_session_is_spent_by_the_first() {
    let (_listener, address) = listener().await;
    let world = World::new(&policy("session_mfa_window: 0s", &address));
    let tapped = world.tapped("prod3", "jerry", Uses::Once);
    let (first, second) = (check(&world, &tapped, "prod3", "jerry"), check(&world, &tapped, "prod3", "jerry"));
    let (_upstream, live) = granted(first).dial().await.unwrap();
    let Err(spent) = granted(second).dial().await else { unreachable!("spent twice") };
    assert!(spent.to_string().contains("is spent"), "{spent}");
    live.finish(&EndReason::Target);
}

#[tokio::test]
async fn a_gate_that_closes_opens_nothing_more_and_lets_what_is_granted_begin() {
    let (_listener, address) = listener().await;
    let world = World::new(&policy("", &address));
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    let grant = granted(check(&world, &tapped, "prod3", "jerry"));
    world.gate.close();
    let (target, login, connection) = (target("prod3"), unix("jerry"), facts());
    let ask = Ask { identity: &tapped, kind: Kind::Node, target: &target, login: &login, connection: &connection };
    let refused = [world.gate.open(&ask, &mut NoPrompt).await.err(), world.gate.open_on_page(&ask).err()];
    assert!(
        refused.iter().flatten().filter(|refusal| refusal.reason().contains("closing")).count() == 2,
        "{refused:?}"
    );
    let (_upstream, live) = grant.dial().await.unwrap();
    assert_eq!(world.gate.live_count(), 1);
    live.finish(&EndReason::Client);
}

#[tokio::test]
async fn a_lock_between_check_and_dial_is_seen_before_anything_is_connected() {
    let (listener, address) = listener().await;
    let world = World::new(&policy("", &address));
    let grant = granted(check(&world, &world.tapped("prod3", "jerry", Uses::Window), "prod3", "jerry"));
    world.install(&(policy("", &address) + lock()));
    let Err(denied) = grant.dial().await else { unreachable!("dialled in spite of the lock") };
    assert!(denied.to_string().contains("locked"), "{denied}");
    let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "the target was connected to");
    assert_eq!((world.gate.live_count(), world.sink.names()), (0, vec!["session.failed"]));
}

#[tokio::test]
async fn a_lock_cuts_a_live_session_and_another_change_does_not() {
    let (_listener, address) = listener().await;
    let world = World::new(&policy("", &address));
    let grant = granted(check(&world, &world.tapped("prod3", "jerry", Uses::Window), "prod3", "jerry"));
    let (_upstream, live) = grant.dial().await.unwrap();
    let mut cut = live.cut();
    world.install(&policy("", &address));
    assert!(tokio::time::timeout(Duration::from_millis(50), cut.wanted()).await.is_err());
    world.install(&(policy("", &address) + lock()));
    let reason = tokio::time::timeout(Duration::from_secs(1), cut.wanted()).await.unwrap();
    assert!(matches!(&reason, CutReason::Denied(why) if why.contains("locked")), "{reason}");
    live.finish(&EndReason::Cut(reason));
}

#[tokio::test]
async fn a_removed_key_or_target_cuts_and_the_end_of_the_window_does_not() {
    let (_listener, address) = listener().await;
    let world = World::new(&policy("", &address));
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    let (_one, first) = granted(check(&world, &tapped, "prod3", "jerry")).dial().await.unwrap();
    assert!(first.may_open().is_ok());
    world.clock.advance(Duration::from_secs(301));
    let mut cut = first.cut();
    assert!(tokio::time::timeout(Duration::from_millis(50), cut.wanted()).await.is_err(), "staying is not opening");
    let Err(denial) = first.may_open() else { unreachable!("a channel outlived the window") };
    assert!(denial.message().starts_with("MFA is required to access Node \"prod3\""), "{}", denial.message());
    world.install_without_keys(&policy("", &address));
    assert_eq!(cut.wanted().await, CutReason::NotRegistered);
    first.finish(&EndReason::Cut(CutReason::NotRegistered));
}

#[tokio::test]
async fn a_session_ends_with_its_role_s_longest_time() {
    let (_listener, address) = listener().await;
    let world = World::new(&policy("max_session_ttl: 1h", &address));
    let tapped = world.tapped("prod3", "jerry", Uses::Window);
    let (_upstream, live) = granted(check(&world, &tapped, "prod3", "jerry")).dial().await.unwrap();
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(live.cut().wanted().await, CutReason::MaxSessionTtl);
    drop(live);
    assert_eq!(world.gate.live_count(), 0);
}

#[tokio::test]
async fn a_target_that_is_down_is_named_without_its_address() {
    let (listener, address) = listener().await;
    drop(listener);
    let world = World::new(&policy("", &address));
    let grant = granted(check(&world, &world.tapped("prod3", "jerry", Uses::Window), "prod3", "jerry"));
    let Err(down) = grant.dial().await else { unreachable!("nobody listens there") };
    assert_eq!(down.to_string(), "Node \"prod3\" cannot be reached: connection refused (is it up?)");
    assert_eq!(world.sink.names(), ["session.failed"]);
}

#[tokio::test]
async fn the_certificate_door_asks_nobody_and_says_what_to_do() {
    let world = World::new(&policy("", "127.0.0.1:9"));
    let (jerry, name, login, facts) = (world.login("jerry"), target("prod3"), unix("jerry"), facts());
    let ask = Ask { identity: &jerry, kind: Kind::Node, target: &name, login: &login, connection: &facts };
    let Err(refusal) = world.gate.open(&ask, &mut NoPrompt).await else { unreachable!("opened without a tap") };
    let said = "MFA is required to access Node \"prod3\" (this connection brought no tap; use `tap ssh`)";
    assert_eq!(refusal.message(), said);
    assert_eq!(world.sink.names(), ["session.denied"]);
}

#[tokio::test]
async fn a_policy_that_has_come_to_ask_for_a_tap_stops_a_grant_without_one() {
    let (_listener, address) = listener().await;
    let relaxed = policy("", &address).replace("require_session_mfa: true", "require_session_mfa: false");
    let world = World::new(&relaxed);
    let grant = granted(check(&world, &world.login("jerry"), "prod3", "jerry"));
    world.install(&policy("", &address));
    let Err(denied) = grant.dial().await else { unreachable!("dialled without the tap that is due now") };
    assert!(denied.to_string().contains("has just changed"), "{denied}");
}
