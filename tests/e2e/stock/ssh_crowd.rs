//! A thousand clients that are held at once: nobody waits for them, and what a key may have waiting is counted for each
//! address, so that a thief uses up nothing of its owner's.

use std::net::Ipv4Addr;

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tapgate_lab::{Client, SshCrowd, SshWish};

use super::approver::{Approver, Asked, REST};
use crate::world::{World, copy, login_files, until};

/// How many are held.
const CROWD: usize = 1_000;

/// How many of one key the gate holds from one address.
const EACH: usize = 32;

/// What a client reads that is one too many.
const TOO_MANY: &str = "too many of your connections wait for a tap";

fn scene() -> Result<(World, Approver, Client)> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(4096.min(hard)), hard)?;
    let (world, approver) = Approver::in_prod()?;
    let thief = Client::new(&world.lab, "thief")?.without_key();
    copy(&world.jerry.tap_home(), &thief.tap_home())?;
    Ok((world, approver, thief))
}

/// So many clients with a copy of jerry's key, as many from each address as it says.
fn crowd(world: &World, thief: &Client, size: usize, each: usize) -> Result<SshCrowd> {
    let files = login_files(world, thief);
    let address = |n: usize| Ok(Ipv4Addr::new(127, 0, 1, u8::try_from(n / each + 1)?));
    let wish = SshWish {
        port: world.gate().address().port(),
        user: world.at("prod3"),
        key: &files.ssh_key,
        known_hosts: &files.known_hosts,
        command: "echo stolen",
        from: (0..size).map(address).collect::<Result<_>>()?,
        service: None,
    };
    SshCrowd::start(&world.lab, &wish)
}

#[test]
fn a_thousand_held_clients_keep_nobody_out() -> Result<()> {
    let (world, approver, thief) = scene()?;
    let held = crowd(&world, &thief, CROWD, 25)?;
    assert_eq!((held.asked().len(), held.over()), (CROWD, Vec::new()));
    // Somebody else's ask is answered, and the tap frees that one alone.
    let own = approver.ssh(&world, &["echo mine"])?;
    approver.approve(&Asked::of(&own)?)?;
    assert_eq!(own.finish(REST)?.success()?.stdout, "mine\n");
    assert_eq!(world.prod3.connections(), 1);
    // Nor does the owner of the copied key lack room, at an address of their own.
    let words = approver.ssh_words(&world, Some(login_files(&world, &world.jerry).ssh_key), "prod3");
    let owner = world.jerry.start_ssh(words.into_iter().chain(["localhost", "echo owner"].map(str::to_owned)))?;
    Asked::of(&owner)?;
    // Nobody of the crowd was sent away for them; a busy machine may have taken the two minutes that they are held.
    let sent_away: Vec<_> = held.over().into_iter().filter(|why| !why.contains("nobody tapped in time")).collect();
    assert_eq!((sent_away, world.prod3.connections()), (Vec::new(), 1));
    Ok(())
}

#[test]
fn a_key_has_its_quota_at_each_address() -> Result<()> {
    let (world, approver, thief) = scene()?;
    let mark = world.mark();
    let held = crowd(&world, &thief, EACH + 1, EACH + 1)?;
    let over = held.over();
    assert_eq!((held.asked().len(), over.len()), (EACH, 1), "{over:?}");
    assert!(over.iter().all(|why| why.contains(TOO_MANY)), "{over:?}");
    assert!(world.denied(mark)?.contains(TOO_MANY));
    // Another user at that address is asked all the same.
    let words = approver.ssh_words(&world, None, "prod3");
    let beside = [&["-b".to_owned(), "127.0.1.1".to_owned()], &words[..]].concat();
    let ssh = approver.ann.start_ssh(beside.into_iter().chain(["localhost", "true"].map(str::to_owned)))?;
    Asked::of(&ssh)?;
    // Those that vanish leave their places to whoever comes again.
    drop(held);
    until("the places to be free again", REST, || {
        let again = crowd(&world, &thief, EACH, EACH)?;
        Ok(again.asked().len() == EACH)
    })?;
    assert_eq!(world.prod3.connections(), 0);
    Ok(())
}
