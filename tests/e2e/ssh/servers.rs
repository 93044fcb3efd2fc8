//! Servers that are not the plainest: without our authority, old, or behind another one.

use anyhow::Result;
use tapgate_lab::{KeyPair, Sshd, SshdOptions, program};

use crate::world::{World, tapgate, text};

const SOON: std::time::Duration = std::time::Duration::from_mins(1);

/// What OpenSSH of 2016 and before speaks, and nothing newer.
const OLD: [&str; 5] = [
    "KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1",
    "HostKeyAlgorithms ssh-rsa",
    "Ciphers aes256-cbc,aes128-cbc",
    "MACs hmac-sha1",
    "PubkeyAcceptedAlgorithms ssh-rsa",
];

fn keys(world: &World, words: &[&str]) -> Result<tapgate_lab::Ran> {
    let config = world.config.display().to_string();
    tapgate(&[&["keys"], words, &["--config", &config]].concat())
}

/// A server that takes this public line, and no certificate.
fn agentless(world: &World, name: &str, line: &str, more: &[&str]) -> Result<SshdOptions> {
    let authorized = world.lab.write(&format!("authorized-{name}"), line)?;
    let config = [format!("AuthorizedKeysFile {}", authorized.display()), "TrustedUserCAKeys none".to_owned()];
    let config = config.into_iter().chain(more.iter().map(|line| (*line).to_owned())).collect();
    Ok(SshdOptions { config, ..world.trusting("dev") })
}

#[test]
fn a_stored_key_opens_a_server_that_knows_no_authority_and_is_never_shown() -> Result<()> {
    let world = World::new()?;
    let made = keys(&world, &["make", "switches"])?.success()?;
    let line = made.stdout.trim().to_owned();
    assert!(line.starts_with("ssh-ed25519 ") && line.ends_with(" switches"), "{made}");
    let sshd = Sshd::start(&world.lab, "dev2", agentless(&world, "dev2", &line, &[])?)?;
    world.put(&sshd.node_yaml())?;
    let refused = world.ssh("dev2", &["true"])?.failure(255)?;
    assert!(refused.stderr.contains("refused the gate's certificate"), "{refused}");
    world.put(&(sshd.node_yaml() + "  ssh: { key: switches }\n"))?;
    assert_eq!(world.ssh("dev2", &["echo in"])?.success()?.stdout, "in\n");

    let again = keys(&world, &["make", "switches"])?.failure(1)?;
    assert!(again.stderr.contains("already"), "{again}");
    let listed = keys(&world, &["ls", "--format", "json"])?.success()?;
    assert_eq!(listed.json()?[0]["public_key"], line);
    for said in [&made, &again, &listed] {
        assert!(!said.stdout.contains("PRIVATE") && !said.stderr.contains("PRIVATE"), "{said}");
    }
    assert!(!world.olga.tapctl(["get", "node/dev2"])?.success()?.stdout.contains("PRIVATE"));

    // A key that is not there, or that the server does not take, is said to be so.
    keys(&world, &["rm", "switches"])?.success()?;
    let gone = world.ssh("dev2", &["true"])?.failure(255)?;
    assert!(gone.stderr.contains("the gate holds no key \"switches\""), "{gone}");
    keys(&world, &["make", "switches"])?.success()?;
    let refused = world.ssh("dev2", &["true"])?.failure(255)?;
    assert!(refused.stderr.contains("it refused the stored key \"switches\""), "{refused}");
    Ok(())
}

#[test]
fn an_old_server_is_entered_where_the_node_says_that_it_is_old() -> Result<()> {
    let world = World::new()?;
    let (own, host) = (KeyPair::make_rsa(&world.lab, "own-rsa")?, KeyPair::make_rsa(&world.lab, "old-host")?);
    keys(&world, &["import", "attic", &own.path().display().to_string()])?.success()?;
    let options = agentless(&world, "old", own.public(), &OLD)?;
    let sshd = Sshd::start(&world.lab, "old", SshdOptions { host_key: Some(host), ..options })?;
    world.put(&(sshd.node_yaml() + "  ssh: { key: attic }\n"))?;
    let refused = world.ssh("old", &["true"])?.failure(255)?;
    assert!(refused.stderr.contains("it shares no key exchange with the gate"), "{refused}");
    assert!(refused.stderr.contains("ssh.legacy_algorithms"), "{refused}");
    world.put(&(sshd.node_yaml() + "  ssh: { key: attic, legacy_algorithms: true }\n"))?;
    assert_eq!(world.ssh("old", &["echo in"])?.success()?.stdout, "in\n");
    let mut cat = world.start_ssh("old", &["cat; exit 3"])?;
    let much = "0123456789abcdef".repeat(100_000);
    cat.write(much.as_bytes())?;
    let ran = cat.finish(std::time::Duration::from_mins(1))?.failure(3)?;
    assert!(ran.stdout == much, "{} bytes came back", ran.stdout.len());
    Ok(())
}

#[test]
fn what_is_no_key_is_not_taken() -> Result<()> {
    let world = World::new()?;
    let file = world.lab.write("no-key", "hello\n")?.display().to_string();
    let refused = keys(&world, &["import", "x", &file])?.failure(1)?;
    assert!(refused.stderr.contains("no private key"), "{refused}");
    let locked = world.lab.path().join("locked");
    let words = ["-q", "-t", "ed25519", "-N", "secret", "-f", &locked.display().to_string()].map(str::to_owned);
    world.jerry.start(&program("ssh-keygen", "openssh-client")?, words)?.finish(SOON)?.success()?;
    let refused = keys(&world, &["import", "x", &locked.display().to_string()])?.failure(1)?;
    assert!(refused.stderr.contains("the key has a passphrase"), "{refused}");
    assert_eq!(keys(&world, &["ls"])?.success()?.stdout, "");
    keys(&world, &["rm", "x"])?.failure(1)?;
    keys(&world, &["make", "../x"])?.failure(2)?;
    Ok(())
}

/// A bastion, and a server that is reached through it.
fn behind(world: &World, more: &[&str]) -> Result<(Sshd, Sshd, String)> {
    let config = more.iter().map(|line| (*line).to_owned()).collect();
    let bastion = Sshd::start(&world.lab, "bastion", SshdOptions { config, ..world.trusting("transit") })?;
    let inner = Sshd::start(&world.lab, "inner", world.trusting("dev"))?;
    let yaml = format!("{}---\n{}  ssh: {{ via: bastion }}\n", bastion.node_yaml(), inner.node_yaml());
    Ok((bastion, inner, yaml))
}

#[test]
fn a_server_behind_another_is_reached_through_it() -> Result<()> {
    let world = World::new()?;
    let (bastion, inner, yaml) = behind(&world, &[])?;
    world.put(&yaml)?;
    let mark = world.mark();
    let mut cat = world.start_ssh("inner", &["cat; echo err >&2; exit 9"])?;
    let much = "0123456789abcdef".repeat(400_000);
    cat.write(much.as_bytes())?;
    let ran = cat.finish(std::time::Duration::from_mins(1))?.failure(9)?;
    assert!(ran.stdout == much && ran.stderr == "err\n", "{} bytes came back, {}", ran.stdout.len(), ran.stderr);
    assert_eq!((bastion.connections(), inner.connections()), (1, 1));
    let start = world.await_record(mark, "session.start", |_| true)?;
    assert_eq!((text(&start, "target"), &start["via"]), ("inner", &serde_json::json!(["bastion"])));
    // Nobody is let in on the way: the grant is for the target alone.
    world.ssh("bastion", &["true"])?.failure(1)?;

    // A lock on the way stops what goes that way, live sessions included.
    let mut live = world.start_ssh("inner", &["echo up; exec cat"])?;
    live.wait_for("up")?;
    world.put("kind: lock\nversion: v2\nmetadata: { name: seized }\nspec: { target: { node: bastion } }\n")?;
    live.wait_for_error("a node on the way to the target is locked")?;
    assert_eq!(live.wait(std::time::Duration::from_secs(20))?.code(), Some(255));
    world.olga.tapctl(["rm", "lock/seized"])?.success()?;

    // What others are reached through is not removed.
    let kept = world.olga.tapctl(["rm", "node/bastion"])?;
    assert!(!kept.status.success() && kept.stderr.contains("there is no node `bastion`"), "{kept}");
    Ok(())
}

#[test]
fn what_fails_on_the_way_is_said_in_words() -> Result<()> {
    let world = World::new()?;
    let (bastion, inner, yaml) = behind(&world, &["AllowTcpForwarding no"])?;
    world.put(&yaml)?;
    let refused = world.ssh("inner", &["true"])?.failure(255)?;
    assert!(refused.stderr.contains("through node \"bastion\", and it does not allow forwarding"), "{refused}");
    drop(bastion);
    let down = world.ssh("inner", &["true"])?.failure(255)?;
    assert!(down.stderr.contains("Node \"bastion\" cannot be reached: connection refused"), "{down}");

    let open = Sshd::start(&world.lab, "bastion2", world.trusting("transit"))?;
    let other = KeyPair::make(&world.lab, "other")?;
    world.put(&format!("{}---\n{}  ssh: {{ via: bastion2 }}\n", open.node_yaml(), inner.node_yaml()))?;
    drop(inner);
    let down = world.ssh("inner", &["true"])?.failure(255)?;
    assert!(down.stderr.contains("through node \"bastion2\", and it cannot connect to the next node"), "{down}");
    world.put(&open.node_yaml().replace(open.host_key(), other.public()))?;
    let false_one = world.ssh("inner", &["true"])?.failure(255)?;
    assert!(false_one.stderr.contains("through node \"bastion2\", and its host key"), "{false_one}");

    let circle = open.node_yaml() + "  ssh: { via: bastion2 }\n";
    let file = world.lab.write("circle.yaml", &circle)?.display().to_string();
    let refused = world.olga.tapctl(["create", "--force", "-f", &file])?;
    assert!(!refused.status.success() && refused.stderr.contains("circle"), "{refused}");
    Ok(())
}
