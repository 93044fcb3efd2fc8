//! `ssh -J gate login@target`: only the connection inside opens a session, and only for the same user.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::{KeyPair, Ran, program};

use crate::world::{ASKED, Tapper, World, login_files, person, until};

const SOON: Duration = Duration::from_mins(1);

/// Plain ssh with the lines of `tap config ssh`, over a jump, with the login certificate for both connections.
fn ssh(world: &World, words: &[&str]) -> Result<Ran> {
    ssh_with(world, &login_files(world, &world.jerry).ssh_key.display().to_string(), words)
}

/// The same with this key's certificate for the connection inside.
fn ssh_with(world: &World, key: &str, words: &[&str]) -> Result<Ran> {
    let own = with_key(key);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let config = config(world)?;
    let words = [&["-F", &config, "-J", "localhost"], own.as_slice(), words].concat();
    world.jerry.start(&program("ssh", "openssh-client")?, words)?.finish(SOON)
}

fn config(world: &World) -> Result<String> {
    let lines = world.jerry.tap(["config", "ssh"])?.success()?;
    Ok(world.lab.write("printed_config", &lines.stdout)?.display().to_string())
}

/// The same to the gate itself.
fn ssh_to_gate(world: &World, words: &[&str]) -> Result<Ran> {
    let config = config(world)?;
    world.jerry.start(&program("ssh", "openssh-client")?, [&["-F", &config], words].concat())?.finish(SOON)
}

fn with_key(key: &str) -> [String; 4] {
    ["-o".to_owned(), format!("IdentityFile={key}"), "-o".to_owned(), format!("CertificateFile={key}-cert.pub")]
}

#[test]
fn a_jump_leads_to_a_target_by_its_name() -> Result<()> {
    let world = World::new()?;
    for target in ["dev1.localhost", "dev1"] {
        let ran = ssh(&world, &["-o", "BatchMode=yes", &world.at(target), "echo jumped; exit 5"])?.failure(5)?;
        assert_eq!(ran.stdout, "jumped\n", "{target}");
    }
    assert_eq!(world.dev1.connections(), 2);
    Ok(())
}

#[test]
fn a_stalled_connection_over_a_jump_stalls_none_beside_it() -> Result<()> {
    let world = World::new()?;
    let (config, to) = (config(&world)?, world.at("dev1"));
    let key = login_files(&world, &world.jerry).ssh_key.display().to_string();
    let socket = world.lab.path().join("j");
    let own = with_key(&key).join(" ");
    // One connection to the gate, and two inside it. What the first one gets is read by nobody.
    let master = format!("ssh -F {config} -M -S {s} -N localhost", s = socket.display());
    let sh = program("sh", "dash")?;
    let _master = world.jerry.start(&sh, ["-c", &format!("exec {master}")])?;
    until("the connection to the gate", SOON, || Ok(socket.exists()))?;
    let over = format!("ssh -F {config} -o ProxyCommand='ssh -S {} -W [%h]:%p localhost' {own} {to}", socket.display());
    let marker = world.lab.path().join("begun");
    let stalled = format!("{over} 'touch {}; cat /dev/zero' | sleep 600", marker.display());
    let _stalled = world.jerry.start(&sh, ["-c", &stalled])?;
    until("the first to be in", SOON, || Ok(marker.exists()))?;
    for _ in 0..3 {
        let beside = format!("head -c 5000000 /dev/zero | {over} cat | wc -c");
        let ran = world.jerry.start(&sh, ["-c", &beside])?.finish(SOON)?.success()?;
        assert_eq!(ran.stdout.trim(), "5000000");
    }
    Ok(())
}

#[test]
fn much_data_passes_both_ways_over_a_jump() -> Result<()> {
    let world = World::new()?;
    let to = world.at("dev1.localhost");
    let mut words = vec!["-c".to_owned()];
    let (config, own) = (config(&world)?, with_key(&login_files(&world, &world.jerry).ssh_key.display().to_string()));
    let own = own.join(" ");
    words.push(format!("head -c 60000000 /dev/zero | ssh -F {config} -J localhost {own} {to} cat | wc -c"));
    let ran = world.jerry.start(&program("sh", "dash")?, words)?.finish(SOON)?.success()?;
    assert_eq!(ran.stdout.trim(), "60000000");
    Ok(())
}

#[test]
fn the_connection_inside_needs_its_own_tap() -> Result<()> {
    let world = World::new()?;
    let to = world.at("prod3.localhost");
    let refused = ssh(&world, &[&to, "true"])?.failure(255)?;
    assert!(refused.stderr.contains(ASKED), "{refused}");
    assert_eq!(world.prod3.connections(), 0);
    let key = KeyPair::make(&world.lab, "key")?;
    Tapper::new(&world, &world.jerry, "jerry")?.session(&key, "prod3")?;
    let tapped = ssh_with(&world, &key.path().display().to_string(), &[&to, "echo tapped"])?.success()?;
    assert_eq!(tapped.stdout, "tapped\n");
    Ok(())
}

#[test]
fn the_connection_that_is_jumped_over_opens_nothing() -> Result<()> {
    let world = World::new()?;
    ssh_to_gate(&world, &["jerry@localhost", "true"])?.failure(255)?;
    for place in ["dev1:23", "127.0.0.1:80", "a b:22"] {
        ssh_to_gate(&world, &["-W", place, "jerry@localhost"])?.failure(255)?;
    }
    ssh_to_gate(&world, &["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:9", "jerry@localhost"])?
        .failure(255)?;
    assert_eq!(world.dev1.connections() + world.prod3.connections(), 0);
    assert!(world.records().iter().all(|record| record["event"] != "session.start"));
    Ok(())
}

#[test]
fn both_connections_must_be_one_users() -> Result<()> {
    let world = World::new()?;
    let ann = person(&world.lab, "ann")?;
    world.invite_and_enrol("ann", &ann, "access-dev")?;
    world.log_in(&ann, "ann")?;
    let anns = login_files(&world, &ann).ssh_key.display().to_string();
    let ran = ssh_with(&world, &anns, &["-o", "IdentitiesOnly=yes", &world.at("dev1.localhost"), "true"])?;
    assert!(ran.stderr.contains("the certificate is ann's, and the tunnel around the connection is jerry's"), "{ran}");
    Ok(())
}
