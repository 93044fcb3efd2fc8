//! Those who are held for a tap over their own connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, ready};
use tapgate_model::{Digest, Kind};
use tapgate_proof::{Holder, Uses};
use tapgate_session::limits::HELD_PER_USER_AND_ADDRESS_MAX;
use tapgate_session::testing::{CountingTaps, World, facts, target, unix, user};
use tapgate_session::{Ask, Challenge, ConnectionFacts, Door, Invitation, Prompt, PromptError, Tap, WaitKey};

use super::world::policy;

/// A prompt that can be shown.
struct Shown;

impl Prompt for Shown {
    fn show<'a>(&'a mut self, _: &'a Challenge, _: &'a Invitation) -> BoxFuture<'a, Result<(), PromptError>> {
        ready(Ok(())).boxed()
    }
}

/// The connection with this number.
fn numbered(number: u16) -> Digest {
    let [low, high] = number.to_le_bytes();
    let mut bytes = [low; 32];
    bytes[31] = high;
    Digest::from_bytes(bytes)
}

/// jerry's tap for prod3 over the connection with this number.
fn tap(world: &World, number: u8) -> Arc<Tap> {
    tap_for(world, Digest::from_bytes([number; 32]))
}

fn tap_for(world: &World, connection: Digest) -> Arc<Tap> {
    world.tap(Holder::SshSession(connection), Uses::Once, Duration::from_mins(1))
}

async fn open(world: &World, number: u8) -> Result<(), String> {
    open_from(world, number, facts().peer).await
}

async fn open_from(world: &World, number: u8, peer: SocketAddr) -> Result<(), String> {
    open_as(world, Digest::from_bytes([number; 32]), peer).await
}

async fn open_as(world: &World, connection: Digest, peer: SocketAddr) -> Result<(), String> {
    let (jerry, name, login) = (world.login("jerry"), target("prod3"), unix("jerry"));
    let holder = Some(Holder::SshSession(connection));
    let facts = ConnectionFacts { peer, door: Door::InBand, holder, ..facts() };
    let ask = Ask { identity: &jerry, kind: Kind::Node, target: &name, login: &login, connection: &facts };
    let opened = world.gate.open(&ask, &mut Shown).await;
    opened.map(drop).map_err(|refusal| refusal.message().to_owned())
}

/// Gives the waiting tasks of this one thread their turns.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_holders_a_tap_frees_its_own_only() {
    let taps = Arc::new(CountingTaps::default());
    let world = Arc::new(World::with_taps(&policy("", "127.0.0.1:9"), taps.clone()));
    let spawn = |number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { open(&world, number).await })
    };
    let (mine, theirs) = (spawn(1), spawn(2));
    settle().await;
    assert_eq!(taps.0.load(Ordering::SeqCst), 2);
    assert_eq!(world.gate.deposit(&tap(&world, 1)), 1);
    assert_eq!(mine.await.unwrap(), Ok(()));
    settle().await;
    assert!(!theirs.is_finished(), "another's tap freed it");
    let Err(refused) = theirs.await.unwrap() else { unreachable!("nobody tapped for it") };
    assert!(refused.contains("nobody tapped in time"), "{refused}");
}

/// A thousand connections from as many addresses as that takes: each goes on by its own tap, at the very moment of it.
/// The clock stands still here, and moves only when everybody waits: whoever looked now and then would move it.
#[tokio::test(start_paused = true)]
async fn a_thousand_wait_and_each_goes_on_at_once_by_its_own_tap() {
    const HELD: u16 = 1_000;
    let world = Arc::new(World::with_taps(&policy("", "127.0.0.1:9"), Arc::new(CountingTaps::default())));
    let mut held = Vec::new();
    for number in 0..HELD {
        let [street, _] = (number / 32).to_le_bytes();
        let (world, peer) = (Arc::clone(&world), SocketAddr::from(([198, 51, 100, street], 50_000)));
        held.push(tokio::spawn(async move { open_as(&world, numbered(number), peer).await }));
    }
    for _ in 0..20 {
        settle().await;
    }
    let begun = tokio::time::Instant::now();
    // The last first: nobody stands in anybody's way.
    for (number, one) in (0..HELD).zip(held).rev() {
        assert!(!one.is_finished(), "{number} went on by another's tap");
        assert_eq!(world.gate.deposit(&tap_for(&world, numbered(number))), 1);
        assert_eq!(one.await.unwrap(), Ok(()));
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "somebody was waited for by the clock");
}

#[tokio::test(start_paused = true)]
async fn asks_of_one_holder_share_one_challenge() {
    let taps = Arc::new(CountingTaps::default());
    let world = Arc::new(World::with_taps(&policy("", "127.0.0.1:9"), taps.clone()));
    let mut held = Vec::new();
    for _ in 0..8 {
        let world = Arc::clone(&world);
        held.push(tokio::spawn(async move { open(&world, 3).await }));
    }
    settle().await;
    assert_eq!(taps.0.load(Ordering::SeqCst), 1);
    assert_eq!(world.gate.deposit(&tap(&world, 3)), 1);
    for one in held {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_holds_so_many_connections_and_no_more() {
    let world = Arc::new(World::with_taps(&policy("", "127.0.0.1:9"), Arc::new(CountingTaps::default())));
    let most = u8::try_from(HELD_PER_USER_AND_ADDRESS_MAX).unwrap();
    for number in 0..most {
        let world = Arc::clone(&world);
        tokio::spawn(async move { open(&world, number).await });
    }
    settle().await;
    let Err(refused) = open(&world, 99).await else { unreachable!("no limit") };
    assert!(refused.contains("too many of your connections wait"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_others_hold_elsewhere_leaves_the_owners_room_alone() {
    let world = Arc::new(World::with_taps(&policy("", "127.0.0.1:9"), Arc::new(CountingTaps::default())));
    let most = u8::try_from(HELD_PER_USER_AND_ADDRESS_MAX).unwrap();
    for number in 0..most {
        let world = Arc::clone(&world);
        let thief = SocketAddr::from(([198, 51, 100, 9], 50_000));
        tokio::spawn(async move { open_from(&world, number, thief).await });
    }
    settle().await;
    let owner = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { open(&world, 99).await })
    };
    settle().await;
    assert_eq!(world.gate.deposit(&tap(&world, 99)), 1);
    assert_eq!(owner.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_no_is_told_to_its_own_client_and_a_client_that_leaves_is_waited_for_no_more() {
    let world = Arc::new(World::with_taps(&policy("", "127.0.0.1:9"), Arc::new(CountingTaps::default())));
    let spawn = |number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { open(&world, number).await })
    };
    let (denied, gone) = (spawn(1), spawn(2));
    settle().await;
    let key = |number| {
        let entry = world.entry("prod3", "jerry", Holder::SshSession(Digest::from_bytes([number; 32])));
        WaitKey { user: user("jerry"), holder: entry.holder, target: entry.target.uid, login: entry.login }
    };
    assert!(world.gate.turn_down(&key(1), "it was denied on the page"));
    let refused = denied.await.unwrap().unwrap_err();
    assert!(refused.contains("it was denied on the page"), "{refused}");
    gone.abort();
    settle().await;
    assert!(!world.gate.turn_down(&key(2), "late"));
    assert_eq!(world.gate.deposit(&tap(&world, 2)), 0);
}

#[tokio::test(start_paused = true)]
async fn roles_that_show_no_address_refuse_at_once() {
    for options in ["in_band: off", "in_band: sk"] {
        let taps = Arc::new(CountingTaps::default());
        let world = World::with_taps(&policy(options, "127.0.0.1:9"), taps.clone());
        let refused = open(&world, 1).await.unwrap_err();
        assert!(refused.contains("use `tap ssh`"), "{options}: {refused}");
        assert_eq!(taps.0.load(Ordering::SeqCst), 0);
    }
}
