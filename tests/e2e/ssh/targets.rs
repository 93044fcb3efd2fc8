//! Targets that are not what they should be: down, somebody else, or trusting another gate.

use anyhow::Result;
use tapgate_lab::{KeyPair, Sshd, SshdOptions};

use crate::world::{World, tapgate, text};

#[test]
fn a_target_that_is_down_is_said_to_be() -> Result<()> {
    let world = World::new()?;
    let gone = Sshd::start(&world.lab, "dev2", world.trusting("dev"))?;
    world.put(&gone.node_yaml())?;
    drop(gone);
    let mark = world.mark();
    let ran = world.ssh("dev2", &["true"])?.failure(255)?;
    assert!(ran.stderr.contains("Node \"dev2\" cannot be reached: connection refused"), "{ran}");
    assert!(!ran.stderr.contains("127.0.0.1"), "a target's address is not the client's to know: {ran}");
    let failed = world.await_record(mark, "session.failed", |_| true)?;
    assert!(text(&failed, "reason").contains("refused"), "{failed}");
    Ok(())
}

#[test]
fn a_target_with_another_host_key_gets_no_byte_of_the_session() -> Result<()> {
    let world = World::new()?;
    let impostor = Sshd::start(&world.lab, "dev2", world.trusting("dev"))?;
    let other = KeyPair::make(&world.lab, "other-host")?;
    world.put(&impostor.node_yaml().replace(impostor.host_key(), other.public()))?;
    let mark = world.mark();
    let ran = world.ssh("dev2", &["true"])?.failure(255)?;
    assert!(ran.stderr.contains("host key"), "{ran}");
    let failed = world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&failed, "reason").contains("host key"), "{failed}");
    assert_eq!(impostor.connections(), 1);
    assert!(!impostor.log().contains("Accepted") && !impostor.log().contains("user"), "{}", impostor.log());
    Ok(())
}

#[test]
fn a_host_certificate_of_the_pinned_authority_is_enough() -> Result<()> {
    let world = World::new()?;
    let hosts = KeyPair::make(&world.lab, "hosts")?;
    let options = SshdOptions { host_ca: Some(hosts), ..world.trusting("dev") };
    let sshd = Sshd::start(&world.lab, "dev2", options)?;
    let without_key: Vec<_> = sshd.node_yaml().lines().map(str::to_owned).collect();
    let key = without_key.iter().position(|line| line.contains("host_keys:")).unwrap_or_default();
    let kept =
        without_key.iter().enumerate().filter(|(n, _)| *n != key && *n != key + 1).map(|(_, line)| line.as_str());
    world.put(&(kept.collect::<Vec<_>>().join("\n") + "\n"))?;
    world.ssh("dev2", &["true"])?.success()?;
    Ok(())
}

#[test]
fn a_target_that_trusts_another_authority_lets_nobody_in() -> Result<()> {
    let world = World::new()?;
    let foreign = KeyPair::make(&world.lab, "foreign")?;
    let options = SshdOptions { user_cas: vec![foreign.public().to_owned()], ..world.trusting("dev") };
    let sshd = world.target("dev2", options)?;
    let mark = world.mark();
    let ran = world.ssh("dev2", &["true"])?.failure(255)?;
    assert!(ran.stderr.contains("node \"dev2\" can't be entered"), "{ran}");
    let failed = world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&failed, "reason").contains("can't be entered"), "{failed}");
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
    Ok(())
}

#[test]
fn the_gate_prints_what_targets_must_trust() -> Result<()> {
    let world = World::new()?;
    let config = world.config.display().to_string();
    let printed = tapgate(&["ca", "--config", &config])?.success()?;
    assert!(printed.stdout.contains(&format!("# CA pin {}\n", world.pin)), "{printed}");
    // As it is, it is the file that sshd takes.
    let sshd = world.target("dev2", SshdOptions { user_cas: vec![printed.stdout], ..world.trusting("dev") })?;
    world.ssh("dev2", &["true"])?.success()?;
    drop(sshd);

    let elsewhere = std::fs::read_to_string(&world.config)?.replace("/data\n", "/nowhere\n");
    let elsewhere = world.lab.write("elsewhere.yaml", &elsewhere)?.display().to_string();
    let told = tapgate(&["ca", "--config", &elsewhere])?.failure(1)?;
    assert!(told.stderr.contains("run `tapgate init` first"), "{told}");
    assert!(!world.lab.path().join("nowhere").exists());
    Ok(())
}
