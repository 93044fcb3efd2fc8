//! `ssh -J gate login@target`: only the connection inside opens a session, and only for the same user.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::{KeyPair, Ran, program};

use crate::world::{ASKED, Tapper, World, login_files, person};

const SOON: Duration = Duration::from_mins(1);

/// Plain ssh with the lines of `tap config ssh`.
fn ssh(world: &World, words: &[&str]) -> Result<Ran> {
    let lines = world.jerry.tap(["config", "ssh"])?.success()?;
    let config = world.lab.write("printed_config", &lines.stdout)?.display().to_string();
    world.jerry.start(&program("ssh", "openssh-client")?, [&["-F", &config], words].concat())?.finish(SOON)
}

fn with_key(key: &str) -> [String; 4] {
    ["-o".to_owned(), format!("IdentityFile={key}"), "-o".to_owned(), format!("CertificateFile={key}-cert.pub")]
}

#[test]
fn a_jump_leads_to_a_target_by_its_name() -> Result<()> {
    let world = World::new()?;
    for target in ["dev1.localhost", "dev1"] {
        let to = world.at(target);
        let jump = ["-J", "localhost", "-o", "HostKeyAlias=dev1", "-o", "IdentitiesOnly=yes"];
        let files = login_files(&world, &world.jerry);
        let known = format!("UserKnownHostsFile={}", files.known_hosts.display());
        let own = with_key(&files.ssh_key.display().to_string());
        let own: Vec<&str> = own.iter().map(String::as_str).chain(["-o", &known]).collect();
        let words = if target == "dev1" { [&jump, own.as_slice()].concat() } else { Vec::new() };
        let ran =
            ssh(&world, &[&words[..], &["-o", "BatchMode=yes", &to, "echo jumped; exit 5"]].concat())?.failure(5)?;
        assert_eq!(ran.stdout, "jumped\n", "{target}");
    }
    assert_eq!(world.dev1.connections(), 2);
    Ok(())
}

#[test]
fn much_data_passes_both_ways_over_a_jump() -> Result<()> {
    let world = World::new()?;
    let to = world.at("dev1.localhost");
    let mut words = vec!["-c".to_owned()];
    let lines = world.jerry.tap(["config", "ssh"])?.success()?;
    let config = world.lab.write("printed_config", &lines.stdout)?.display().to_string();
    words.push(format!("head -c 60000000 /dev/zero | ssh -F {config} {to} cat | wc -c"));
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
    let own = with_key(&key.path().display().to_string());
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    assert_eq!(ssh(&world, &[&own, [to.as_str(), "echo tapped"].as_slice()].concat())?.success()?.stdout, "tapped\n");
    Ok(())
}

#[test]
fn the_connection_that_is_jumped_over_opens_nothing() -> Result<()> {
    let world = World::new()?;
    ssh(&world, &["jerry@localhost", "true"])?.failure(255)?;
    for place in ["dev1:23", "127.0.0.1:80", "a b:22"] {
        ssh(&world, &["-W", place, "jerry@localhost"])?.failure(255)?;
    }
    ssh(&world, &["-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:9", "jerry@localhost"])?.failure(255)?;
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
    let own = with_key(&login_files(&world, &ann).ssh_key.display().to_string());
    let own: Vec<&str> =
        own.iter().map(String::as_str).chain(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]).collect();
    // Of two keys ssh tries the first one first; jerry's own would follow it.
    let to = world.at("dev1.localhost");
    let ran = ssh(&world, &[&own, [to.as_str(), "true"].as_slice()].concat())?;
    assert!(ran.stderr.contains("the certificate is ann's, and the tunnel around the connection is jerry's"), "{ran}");
    Ok(())
}
