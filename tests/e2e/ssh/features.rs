//! What OpenSSH does beside commands: new keys on the way, keepalives, variables, many principals.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::SshdOptions;

use crate::world::World;

const SOON: Duration = Duration::from_mins(2);

/// `cat` of much, there and back.
fn there_and_back(world: &World, target: &str, options: &[&str]) -> Result<()> {
    let much = "0123456789abcdef".repeat(300_000);
    let mut cat = world.start_ssh(target, &[&["cat; exit 4", "--"], options].concat())?;
    cat.write(much.as_bytes())?;
    let ran = cat.finish(SOON)?.failure(4)?;
    assert!(ran.stdout == much, "{} bytes came back: {}", ran.stdout.len(), ran.stderr);
    Ok(())
}

#[test]
fn new_keys_may_be_asked_for_from_either_side() -> Result<()> {
    let world = World::new()?;
    there_and_back(&world, "dev1", &["-o", "RekeyLimit=512K"])?;
    let config = vec!["RekeyLimit 512K".to_owned()];
    let _rekeying = world.target("dev2", SshdOptions { config, ..world.trusting("dev") })?;
    there_and_back(&world, "dev2", &[])?;
    there_and_back(&world, "dev2", &["-o", "RekeyLimit=512K"])
}

#[test]
fn keepalives_of_either_side_are_answered() -> Result<()> {
    let world = World::new()?;
    let config = vec!["ClientAliveInterval 1".to_owned(), "ClientAliveCountMax 1".to_owned()];
    let _asking = world.target("dev2", SshdOptions { config, ..world.trusting("dev") })?;
    let alive = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
    let ran = world.ssh("dev2", &[&["sleep 4; echo still here", "--"][..], &alive].concat())?.success()?;
    assert_eq!(ran.stdout, "still here\n");
    Ok(())
}

#[test]
fn variables_arrive_as_the_server_allows() -> Result<()> {
    let world = World::new()?;
    let set = ["echo $TAPGATE_X $OTHER_X", "--", "-o", "SetEnv=TAPGATE_X=1 OTHER_X=2"];
    assert_eq!(world.ssh("dev1", &set)?.success()?.stdout, "1\n");
    Ok(())
}

#[test]
fn a_server_may_know_ten_thousand_principals() -> Result<()> {
    let world = World::new()?;
    let mut names: Vec<String> = (0..10_000).map(|n| format!("somebody-{n}")).collect();
    names.push(world.login.clone());
    let file = world.lab.write("principals", &names.join("\n"))?;
    let config = vec![format!("AuthorizedPrincipalsFile {}", file.display())];
    let _sshd = world.target("dev2", SshdOptions { config, ..world.trusting("dev") })?;
    world.ssh("dev2", &["true"])?.success()?;
    Ok(())
}

#[test]
fn a_banner_of_the_server_does_no_harm() -> Result<()> {
    let world = World::new()?;
    let banner = world.lab.write("banner", &"Authorised use only. \x1b[2J\n".repeat(500))?;
    let config = vec![format!("Banner {}", banner.display())];
    let _sshd = world.target("dev2", SshdOptions { config, ..world.trusting("dev") })?;
    let ran = world.ssh("dev2", &["echo in"])?.success()?;
    assert_eq!(ran.stdout, "in\n");
    assert!(!ran.stderr.contains('\x1b'), "what a target says before the login stays with the gate");
    Ok(())
}
