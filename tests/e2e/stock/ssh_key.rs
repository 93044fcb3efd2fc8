//! Registered SSH keys: the stock ssh logs in with them, and the touch of an `sk-` key is a tap.

use std::time::Duration;

use anyhow::Result;
use tapgate_identity::{CaKind, SshLoginSubject};
use tapgate_lab::{KeyPair, Ran};
use tapgate_model::{Clock as _, SystemClock};

use super::approver::REST;
use super::sk_agent::{SkAgent, TOUCHED, VERIFIED};
use crate::mfa::audit::independent;
use crate::world::{World, authority, login_files, open_store, person, text};

/// The options of a stock ssh that has an agent and no file.
fn words(world: &World, agent: &SkAgent, user: &str) -> Vec<String> {
    let known_hosts = login_files(world, &world.jerry).known_hosts;
    let options = [
        "HostKeyAlias=localhost".to_owned(),
        format!("UserKnownHostsFile={}", known_hosts.display()),
        format!("IdentityAgent={}", agent.socket.display()),
        "IdentityFile=none".to_owned(),
        "IdentitiesOnly=no".to_owned(),
        "BatchMode=yes".to_owned(),
        format!("User={user}"),
        format!("Port={}", world.gate().address().port()),
    ];
    options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect()
}

/// A stock ssh to its end.
fn ssh(world: &World, agent: &SkAgent, user: &str) -> Result<Ran> {
    let words = words(world, agent, user).into_iter().chain(["localhost", "echo in"].map(str::to_owned));
    world.jerry.ssh(words)
}

fn add(world: &World, agent: &SkAgent) -> Result<Ran> {
    world.jerry.tap(["ssh-key", "add", &agent.public.display().to_string()])?.success()
}

#[test]
fn the_touch_of_a_registered_key_opens_the_session_that_it_names() -> Result<()> {
    let mut world = World::new()?;
    world.put_prod_options("require_session_mfa: true, in_band: sk")?;
    let mark = world.mark();
    for (name, ecdsa) in [("yubi", false), ("solo", true)] {
        let agent = SkAgent::start(&world.lab, name, ecdsa)?;
        let user = world.at("prod3");
        ssh(&world, &agent, &user)?.failure(255)?;
        let added = add(&world, &agent)?;
        assert!(added.stdout.contains(name) && added.stdout.contains("SHA256:"), "{added}");
        agent.next(TOUCHED, 5);
        assert_eq!(ssh(&world, &agent, &user)?.success()?.stdout, "in\n");
        let start = world.await_record(mark, "session.start", |_| true)?;
        assert_eq!((text(&start, "door"), text(&start, "user")), ("in-band", "jerry"));
        assert_eq!(text(&start["tap"], "method"), "ssh-sk", "{start}");
        // The gate's own name may stand behind the target's, and the count may jump ahead.
        agent.next(TOUCHED, 70);
        ssh(&world, &agent, &format!("{user}@localhost"))?.success()?;
        // A role that asks for no tap is opened too.
        ssh(&world, &agent, &world.at("dev1"))?.success()?;
    }
    let listed = world.jerry.tap(["ssh-key", "ls", "--format", "json"])?.success()?.json()?;
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2), "{listed}");
    // One key is removed: what it opened stays proven.
    world.jerry.tap(["ssh-key", "rm", "yubi"])?.success()?;
    let keys = world.lab.path().join("keys.json");
    world.olga.tapctl(["audit", "export-keys", "--out", &keys.display().to_string()])?.success()?;
    assert!(world.stop()?.success());
    let (log, file) = (world.audit_log().display().to_string(), keys.display().to_string());
    let found = world.olga.tapctl(["audit", "verify", "--log", &log, "--keys", &file, "--format", "json"])?;
    let found = found.success()?.json()?;
    assert_eq!((&found["required"], &found["ssh_sk"]), (&4.into(), &4.into()), "{found}");
    let again = independent(&world, &keys)?;
    assert_eq!((&again["ssh_sk"], &again["faults"]), (&4.into(), &0.into()), "{again}");
    // Without the registrations of the keys, or with another gate's name, nothing is proven.
    for change in [("ssh_keys", serde_json::json!([])), ("cluster_name", serde_json::json!("elsewhere"))] {
        let mut others: serde_json::Value = serde_json::from_slice(&std::fs::read(&keys)?)?;
        others[change.0] = change.1;
        let other = world.lab.write("other.json", &others.to_string())?;
        let found = world.olga.tapctl([
            "audit",
            "verify",
            "--log",
            &log,
            "--keys",
            &other.display().to_string(),
            "--format",
            "json",
        ])?;
        let found = found.failure(1)?.json()?;
        assert_ne!(found["altered"], 0, "{found}");
        assert_eq!(independent(&world, &other)?["altered"], found["altered"]);
    }
    Ok(())
}

#[test]
fn a_bad_touch_opens_nothing() -> Result<()> {
    let world = World::new()?;
    world.put_prod_options("require_session_mfa: true, in_band: sk")?;
    let agent = SkAgent::start(&world.lab, "yubi", false)?;
    let user = world.at("prod3");
    add(&world, &agent)?;
    let before = world.prod3.connections();
    // Nobody touched it: it does not even log in, whatever the role asks for.
    for target in ["prod3", "dev1"] {
        agent.next(0, 5);
        let ran = ssh(&world, &agent, &world.at(target))?.failure(255)?;
        assert!(ran.stderr.contains("the key was not touched"), "{ran}");
    }
    // Another application, whose signature is not the registered key's.
    agent.sign_for("ssh:other");
    agent.next(TOUCHED, 6);
    ssh(&world, &agent, &user)?.failure(255)?;
    agent.sign_for("localhost");
    ssh(&world, &agent, &user)?.failure(255)?;
    agent.sign_for("ssh:");
    assert_eq!(world.prod3.connections(), before);
    // A key that counts backwards, or stands still, may have a copy.
    agent.next(TOUCHED, 10);
    ssh(&world, &agent, &user)?.success()?;
    for counter in [10, 9, 1] {
        agent.next(TOUCHED, counter);
        let mark = world.mark();
        let ran = ssh(&world, &agent, &user)?.failure(255)?;
        assert!(ran.stderr.contains("counted backwards"), "{ran}");
        world.await_record(mark, "session.failed", |_| true)?;
    }
    agent.next(TOUCHED, 11);
    ssh(&world, &agent, &user)?.success()?;
    // A role that wants a PIN.
    world.put_prod_options("require_session_mfa: hardware_key_pin")?;
    let before = world.prod3.connections();
    agent.next(TOUCHED, 20);
    let ran = ssh(&world, &agent, &user)?.failure(255)?;
    assert!(ran.stderr.contains("has not verified its user") && ran.stderr.contains("tap ssh"), "{ran}");
    agent.next(VERIFIED, 21);
    ssh(&world, &agent, &user)?.success()?;
    // Roles for which it is no tap.
    for options in ["require_session_mfa: hardware_key_attested", "require_session_mfa: true, in_band: off"] {
        world.put_prod_options(options)?;
        agent.next(VERIFIED, 30);
        let ran = ssh(&world, &agent, &user)?.failure(255)?;
        assert!(ran.stderr.contains("tap ssh"), "{options}: {ran}");
    }
    assert_eq!(world.prod3.connections(), before + 1);
    Ok(())
}

#[test]
fn a_certificate_over_a_security_key_counts_where_the_key_is_registered() -> Result<()> {
    let mut world = World::new()?;
    world.put_prod_options("require_session_mfa: true, in_band: sk")?;
    let user = world.at("prod3");
    for (name, ecdsa) in [("yubi", false), ("solo", true)] {
        let agent = SkAgent::start(&world.lab, name, ecdsa)?;
        add(&world, &agent)?;
        let certificate = world.jerry.tap(["ssh-key", "certify", name])?.success()?.stdout;
        assert!(certificate.starts_with("sk-") && certificate.contains("-cert-v01@openssh.com "), "{certificate}");
        agent.offer(&certificate)?;
        agent.next(TOUCHED, 5);
        assert_eq!(ssh(&world, &agent, &user)?.success()?.stdout, "in\n");
        agent.next(0, 6);
        let ran = ssh(&world, &agent, &user)?.failure(255)?;
        assert!(ran.stderr.contains("the key was not touched"), "{ran}");
        agent.next(TOUCHED, 4);
        let ran = ssh(&world, &agent, &user)?.failure(255)?;
        assert!(ran.stderr.contains("counted backwards"), "{ran}");
    }
    let opened = world.prod3.connections();
    // With a stolen authority a thief certifies a key of their own, and touches that: it opens what wants no tap.
    world.stop()?;
    let ca = authority(&open_store(&world)?, CaKind::LoginSsh)?;
    world.start()?;
    let thief = SkAgent::start(&world.lab, "thief", false)?;
    let line = std::fs::read_to_string(&thief.public)?;
    let (public_key, now) = (ssh_key::PublicKey::from_openssh(&line)?, SystemClock.now());
    let (jerry, expires) = ("jerry".parse()?, now.plus(Duration::from_hours(1)));
    let subject = SshLoginSubject { user: &jerry, public_key: &public_key, source_ip: None, expires };
    thief.offer(&ca.issue_login(&subject, &world.fingerprint()?, now)?.to_openssh()?)?;
    thief.next(TOUCHED, 5);
    let mark = world.mark();
    ssh(&world, &thief, &user)?.failure(255)?;
    assert!(world.denied(mark)?.contains("is not registered"));
    ssh(&world, &thief, &world.at("dev1"))?.success()?;
    assert_eq!(world.prod3.connections(), opened);
    // The proofs hold for an auditor too.
    let found = world.olga.tapctl(["audit", "verify", "--format", "json"])?.success()?.json()?;
    assert_eq!((&found["ssh_sk"], &found["required"]), (&2.into(), &2.into()), "{found}");
    let keys = world.lab.path().join("keys.json");
    world.olga.tapctl(["audit", "export-keys", "--out", &keys.display().to_string()])?.success()?;
    assert!(world.stop()?.success());
    assert_eq!(independent(&world, &keys)?["ssh_sk"], 2);
    Ok(())
}

#[test]
fn a_key_is_one_persons_and_ends_with_its_removal() -> Result<()> {
    let world = World::new()?;
    let agent = SkAgent::start(&world.lab, "yubi", false)?;
    let file = agent.public.display().to_string();
    add(&world, &agent)?;
    // Not twice, not by another user, and no private key or another type.
    let ran = world.jerry.tap(["ssh-key", "add", &file, "--name", "again"])?.failure(1)?;
    assert!(ran.stderr.contains("registered already"), "{ran}");
    let carl = person(&world.lab, "carl")?;
    world.invite_and_enrol("carl", &carl, "access-dev")?;
    world.log_in(&carl, "carl")?;
    carl.tap(["ssh-key", "add", &file])?.failure(1)?;
    let plain = KeyPair::make(&world.lab, "plain")?;
    let ran = world.jerry.tap(["ssh-key", "add", &plain.path().display().to_string()])?.failure(1)?;
    assert!(ran.stderr.contains("no public key"), "{ran}");
    let odd = world.lab.write("odd.pub", "ssh-dss AAAAB3NzaC1kc3MAAACBAA== old\n")?;
    world.jerry.tap(["ssh-key", "add", &odd.display().to_string()])?.failure(1)?;
    // Without the security key there is no registration.
    let other = SkAgent::start(&world.lab, "thief", false)?;
    let wrong = world.jerry.clone().with("TAP_SOFTWARE_KEY", world.lab.path().join("none.json"));
    wrong.tap(["ssh-key", "add", &other.public.display().to_string()])?.failure(1)?;
    ssh(&world, &other, &world.at("dev1"))?.failure(255)?;
    // A live session of a key ends when the key goes.
    let command = ["localhost", "echo up; exec cat"].map(str::to_owned);
    let live = world.jerry.start_ssh(words(&world, &agent, &world.at("dev1")).into_iter().chain(command))?;
    live.wait_for("up\n")?;
    world.jerry.tap(["ssh-key", "rm", "yubi"])?.success()?;
    let ran = live.finish(REST)?.failure(255)?;
    assert!(ran.stderr.contains("was removed"), "{ran}");
    ssh(&world, &agent, &world.at("dev1"))?.failure(255)?;
    let ran = world.jerry.tap(["ssh-key", "add", &file])?.failure(1)?;
    assert!(ran.stderr.contains("was removed"), "{ran}");
    Ok(())
}
