//! `tapctl node|db|app add`: the resource, what the target's side needs, and whether the gate can connect.

use anyhow::{Context as _, Result};
use tapgate_lab::{Sshd, SshdOptions};

use crate::world::World;

/// What stands between two lines of what was printed.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    Some(text.split_once(from)?.1.split_once(to)?.0)
}

#[test]
fn a_node_is_added_by_what_it_shows_and_lets_the_gate_in_by_what_is_printed() -> Result<()> {
    let world = World::new()?;
    // A server that trusts nobody yet: its line comes from what `tapctl node add` prints.
    let stranger = Sshd::start(&world.lab, "stranger", SshdOptions { user_cas: Vec::new(), ..world.trusting("dev") })?;
    let addr = stranger.address().to_string();
    let add = ["node", "add", "web1", "--addr", &addr, "--labels", "env=dev", "--scan"];
    let ran = world.olga.tapctl(add)?.success()?;
    assert!(ran.stderr.contains("shows ssh-ed25519 SHA256:"), "{ran}");
    for part in ["node \"web1\" has been created", "TrustedUserCAKeys", "The gate can connect to it."] {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    let line = between(&ran.stdout, "<<'END'\n", "\nEND\n").context("no key is printed")?.to_owned();
    assert_eq!(line, world.user_ca);
    world.ssh("web1", &["true"])?.failure(255)?;
    drop(stranger);

    let trusting = Sshd::start(&world.lab, "trusting", SshdOptions { user_cas: vec![line], ..world.trusting("dev") })?;
    let key = world.lab.write("host.pub", trusting.host_key())?.display().to_string();
    let addr = trusting.address().to_string();
    let add = ["node", "add", "web1", "--addr", &addr, "--labels", "env=dev", "--host-key", &key];
    let ran = world.olga.tapctl(add)?.failure(1)?;
    assert!(ran.stderr.contains("is there already (use --force to replace it)"), "{ran}");
    world.olga.tapctl(add.into_iter().chain(["--force"]))?.success()?;
    world.ssh("web1", &["true"])?.success()?;

    let refused = world.jerry.tapctl(["node", "add", "mine", "--addr", &addr, "--host-key", &key])?.failure(1)?;
    assert!(refused.stderr.contains("you may not"), "{refused}");
    Ok(())
}

#[test]
fn databases_and_applications_are_added_with_what_their_side_needs() -> Result<()> {
    let world = World::new()?;
    let down = format!("127.0.0.1:{}", world.lab.port()?);
    let add = ["db", "add", "orders", "--protocol", "postgres", "--uri", &down, "--labels", "env=prod"];
    let ran = world.olga.tapctl(add)?.success()?;
    for part in
        ["db \"orders\" has been created", "hostssl  all  all  GATE/32  cert", "connect to it yet: connection refused"]
    {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    let config = world.config.display().to_string();
    let pem = crate::world::tapgate(&["ca", "--config", &config, "--databases"])?.success()?.stdout;
    assert_eq!(between(&ran.stdout, "<<'END'\n", "\nEND\n").context("no certificate is printed")?, pem.trim_end());
    let add = ["db", "add", "stock", "--protocol", "mysql", "--uri", &down];
    let ran = world.olga.tapctl(add)?.success()?;
    assert!(ran.stdout.contains("REQUIRE SUBJECT '/CN=app'"), "{ran}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let uri = format!("http://{}", listener.local_addr()?);
    let ran = world.olga.tapctl(["app", "add", "dash", "--uri", &uri, "--labels", "env=dev"])?.success()?;
    for part in ["has been created", "/.well-known/jwks.json", "The gate can connect to it."] {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    Ok(())
}
