//! `tap batch`: one tap for a shown set, and real programs that reach exactly that set.

use anyhow::Result;
use tapgate_lab::{Client, Process, own_binary, python_program};

use super::approver::REST;
use crate::world::{World, event, person, text};

const HOSTS: usize = 20;

/// carl may open twenty nodes, all of which one sshd is.
fn fleet(options: &str) -> Result<(World, Client, Vec<String>)> {
    let world = World::new()?;
    let names: Vec<String> = (1..=HOSTS).map(|n| format!("web{n:02}")).collect();
    let one = world.prod3.node_yaml();
    let node =
        |name: &String| one.replacen("name: prod3", &format!("name: {name}"), 1).replace("\"prod\"", "\"fleet\"");
    let all = names.iter().map(node).chain([world.role("access-fleet", "fleet", options)]);
    world.put(&all.collect::<Vec<_>>().join("---\n"))?;
    let carl = person(&world.lab, "carl")?;
    world.invite_and_enrol("carl", &carl, "access-fleet,access-prod")?;
    world.log_in(&carl, "carl")?;
    Ok((world, carl, names))
}

fn batch(client: &Client, words: &[&str]) -> Result<Process> {
    client.start(&own_binary("tap")?, [&["batch"], words].concat())
}

#[test]
fn ansible_reaches_twenty_hosts_by_one_tap() -> Result<()> {
    let (world, carl, names) = fleet("require_session_mfa: true, session_mfa_batch: { max_targets: 40 }")?;
    let carl = carl
        .with("ANSIBLE_HOME", world.lab.path().join("ansible"))
        .with("LC_ALL", "C.UTF-8")
        .with("ANSIBLE_NOCOLOR", "1")
        .with("ANSIBLE_SSH_ARGS", "-o ControlMaster=no");
    let (mark, login) = (world.mark(), world.login.clone());
    let ansible = python_program("ansible")?.display().to_string();
    let inventory = format!("{},", names.join(","));
    let set = ["--labels", "env=fleet", "--login", &login];
    let command = ["--yes", "--", &ansible, "-i", &inventory, "all", "-m", "raw", "-a", "echo here", "-f", "20"];
    let ran = batch(&carl, &[&set[..], &command].concat())?.finish(REST)?.success()?;
    assert_eq!(ran.stdout.matches("here").count(), HOSTS, "{ran}");
    assert!(ran.stderr.contains("One tap opens these 20 node(s), and no others"), "{ran}");
    assert!(names.iter().all(|name| ran.stderr.contains(name)), "{ran}");
    world.await_record(mark, "session.end", |_| true)?;
    let records: Vec<_> = world.records().into_iter().skip(mark).collect();
    let of = |name: &str| records.iter().filter(|record| event(record) == name).collect::<Vec<_>>();
    assert_eq!(of("mfa.succeeded").len(), 1, "one tap");
    let started = of("session.start");
    let mut proofs: Vec<_> = started.iter().map(|record| text(&record["tap"], "proof_id")).collect();
    proofs.dedup();
    assert_eq!((started.len(), proofs.len()), (HOSTS, 1));
    // The set is what the tap has signed: a node beside it is none of the command's.
    let outside = [&set[..], &["--yes", "--", "ssh", "-o", "ConnectTimeout=5", "prod3", "true"]].concat();
    batch(&carl, &outside)?.finish(REST)?.failure(255)?;
    // The command's exit status is the batch's, and a no runs nothing.
    let status = [&set[..], &["-y", "--", "sh", "-c", "ssh web07 exit 7"]].concat();
    batch(&carl, &status)?.finish(REST)?.failure(7)?;
    let mark = world.mark();
    let mut asked = batch(&carl, &[&set[..], &["--", "touch", "ran"]].concat())?;
    asked.wait_for_error("[y/N]: ")?;
    asked.write(b"n\n")?;
    asked.finish(REST)?.failure(1)?;
    assert!(!carl.home().join("ran").exists());
    // Without a command the set is listed, and nobody is asked for anything.
    let listed = batch(&carl, &[&set[..], &["--format", "json"]].concat())?.finish(REST)?.success()?.json()?;
    assert_eq!(listed["nodes"].as_array().map(Vec::len), Some(HOSTS), "{listed}");
    assert_eq!(listed["nodes"][0]["name"], "web01");
    assert!(world.records().iter().skip(mark).all(|record| event(record) != "mfa.begin"));
    Ok(())
}

#[test]
fn a_role_says_how_many_one_tap_covers() -> Result<()> {
    let (world, carl, names) = fleet("require_session_mfa: true, session_mfa_batch: { max_targets: 2 }")?;
    let login = world.login.clone();
    let all = ["--labels", "env=fleet", "--login", &login, "--yes", "--", "true"];
    let ran = batch(&carl, &all)?.finish(REST)?.failure(1)?;
    assert!(ran.stderr.contains("one tap cover 2 targets, not 20"), "{ran}");
    let two = names[..2].join(",");
    let some = ["--nodes", &two, "--login", &login, "--yes", "--", "sh", "-c", "ssh web01 echo a; ssh web02 echo b"];
    assert_eq!(batch(&carl, &some)?.finish(REST)?.success()?.stdout, "a\nb\n");
    for bad in [
        &["--nodes", "web01,web99", "--login", &login, "--yes", "--", "true"][..],
        &["--nodes", "web01", "--login", "somebody", "--yes", "--", "true"],
        &["--labels", "env=nothing", "--login", &login, "--yes", "--", "true"],
    ] {
        batch(&carl, bad)?.finish(REST)?.failure(1)?;
    }
    // A role that wants a tap for each session is not talked around.
    world.put(&world.role("access-fleet", "fleet", "require_session_mfa: true, session_mfa_window: 0s"))?;
    let ran = batch(&carl, &some)?.finish(REST)?.failure(1)?;
    assert!(ran.stderr.contains("use tap ssh for each"), "{ran}");
    Ok(())
}
