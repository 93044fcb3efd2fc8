//! A fresh process takes over from a running gate: nobody is turned away, and live sessions go on.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapgate_api::path;
use tapgate_audit::verify_file;
use tapgate_lab::Lab;

use super::bare::{Bare, SLACK, curl, request, start_s_client};
use super::reload::gate_with;
use crate::db::scene::Scene as DbScene;
use crate::kube::scene::Scene as KubeScene;
use crate::world::{TAKEN, World, ask, event, hand_over, hand_over_beside, text, until};

/// What it says when it accepts nobody any more.
const MAKES_WAY: &str = "Makes way";

/// What it says when it goes on itself.
const GOES_ON: &str = "The hand-over has failed: this process goes on";

/// Whether a process runs: one that nobody has collected yet does not.
fn runs(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn a_live_session_goes_on_beside_a_fresh_process_and_a_lock_there_ends_it() -> Result<()> {
    let mut world = World::new()?;
    let mut session = world.start_ssh("dev1", &["while read word; do echo $word; done; exec sleep 60"])?;
    session.write(b"before\n")?;
    session.wait_for("before")?;
    let old = world.gate().process().id();
    let heir = hand_over(world.gate(), old)?;
    assert!(runs(old) && runs(heir));

    session.write(b"after\n")?;
    session.wait_for("after")?;
    world.ssh("dev1", &["true"])?.success()?;
    world.ssh("prod3", &["true"])?.success()?;
    // The store is the fresh process's: what an administrator says there counts for the old one's sessions as well.
    world.olga.tapctl(["lock", "--user=jerry", "--message=lost laptop", "--ttl=1h"])?.success()?;
    let ran = session.finish(SLACK * 2)?.failure(255)?;
    assert!(ran.stderr.contains("access is locked: lost laptop"), "{ran}");
    until("the old process to end with its last session", SLACK * 2, || Ok(!runs(old)))?;
    assert!(runs(heir));

    world.stop()?;
    until("the fresh process to end", SLACK * 2, || Ok(!runs(heir)))?;
    // One log, whole, with the end of every session that began.
    verify_file(world.audit_log())?;
    let records = world.records();
    let of = |name: &str| -> Vec<String> {
        let mut found: Vec<_> =
            records.iter().filter(|one| event(one) == name).map(|one| text(one, "session").to_owned()).collect();
        found.sort();
        found
    };
    assert_eq!(of("session.start"), of("session.end"));
    let cut = records.iter().any(|one| event(one) == "session.end" && text(one, "reason").contains("lost laptop"));
    assert!(cut && of("gate.started").len() >= 2, "{records:?}");
    Ok(())
}

#[test]
fn the_fresh_process_lists_the_sessions_of_those_before_it_and_ends_them() -> Result<()> {
    let mut world = World::new()?;
    let start = |target: &str| -> Result<_> {
        let session = world.start_ssh(target, &["echo here; exec sleep 60"])?;
        session.wait_for("here")?;
        Ok(session)
    };
    let (on_dev, on_prod) = (start("dev1")?, start("prod3")?);
    let live = || -> Result<Vec<(String, String)>> {
        let listed = world.olga.tapctl(["sessions", "live", "--format", "json"])?.success()?.json()?;
        let sessions = listed["sessions"].as_array().context("no list")?.clone();
        let of = |session: &serde_json::Value, key: &str| session[key].as_str().unwrap_or_default().to_owned();
        Ok(sessions.iter().map(|session| (of(session, "target"), of(session, "id"))).collect())
    };
    let mut before = live()?;
    assert_eq!(before.len(), 2);
    let first = world.gate().process().id();
    let second = hand_over(world.gate(), first)?;
    let mut after = live()?;
    before.sort();
    after.sort();
    assert_eq!(before, after, "the old process carries them, and the fresh one knows");
    let here = start("dev1")?;
    assert_eq!(live()?.len(), 3);

    let [dev, prod] = [&before[0].1, &before[1].1];
    let ran = world.jerry.tapctl(["sessions", "kill", dev])?.failure(1)?;
    assert!(ran.stderr.contains("you may not end others' sessions"), "{ran}");
    let ran = world.olga.tapctl(["sessions", "kill", dev])?.success()?;
    assert!(ran.stdout.contains(&format!("the session {dev} of jerry on dev1 has been ended")), "{ran}");
    let ran = on_dev.finish(SLACK * 2)?.failure(255)?;
    assert!(ran.stderr.contains("an administrator ended it"), "{ran}");
    until("the list without it", SLACK, || Ok(live()?.len() == 2))?;
    world.olga.tapctl(["sessions", "kill", dev])?.failure(1)?;

    // The session on prod3 is two processes back now.
    hand_over(world.gate(), second)?;
    let mut left: Vec<_> = live()?.into_iter().map(|(target, _)| target).collect();
    left.sort();
    assert_eq!(left, ["dev1", "prod3"]);
    assert!(runs(first) && runs(second));
    world.olga.tapctl(["sessions", "kill", prod])?.success()?;
    on_prod.finish(SLACK * 2)?.failure(255)?;
    until("the first process to end with its last session", SLACK * 2, || Ok(!runs(first)))?;
    assert_eq!(live()?.len(), 1);
    // What is said after the hand-over holds for what was opened before it.
    world.olga.tapctl(["lock", "--user=jerry", "--ttl=1h"])?.success()?;
    here.finish(SLACK * 2)?.failure(255)?;
    until("the second process to end", SLACK * 2, || Ok(!runs(second)))?;
    world.stop()?;
    verify_file(world.audit_log())?;
    Ok(())
}

#[test]
fn a_session_that_outlasts_its_gate_is_cut_with_a_word_and_its_end_is_recorded() -> Result<()> {
    let mut world = World::new()?;
    let session = world.start_ssh("dev1", &["echo here; exec sleep 60"])?;
    session.wait_for("here")?;
    let old = world.gate().process().id();
    let heir = hand_over(world.gate(), old)?;
    // Only the fresh process is told to end, as a supervisor does it that knows one main process.
    kill(Pid::from_raw(i32::try_from(heir)?), Signal::SIGTERM)?;
    let ran = session.finish(SLACK * 2)?.failure(255)?;
    assert!(ran.stderr.contains("the gate is shutting down"), "{ran}");
    until("both to end", SLACK * 2, || Ok(!runs(old) && !runs(heir)))?;
    let records = world.records();
    let names: Vec<&str> = records.iter().map(event).collect();
    assert!(names.contains(&"session.end") && names.last() == Some(&"gate.stopped"), "{names:?}");
    verify_file(world.audit_log())?;
    world.stop()?;
    Ok(())
}

#[test]
fn sessions_end_where_the_fresh_process_dies_as_nothing_could_be_recorded() -> Result<()> {
    let mut world = World::new()?;
    let session = world.start_ssh("dev1", &["echo here; exec sleep 60"])?;
    session.wait_for("here")?;
    let heir = hand_over(world.gate(), world.gate().process().id())?;
    kill(Pid::from_raw(i32::try_from(heir)?), Signal::SIGKILL)?;
    let ran = session.finish(SLACK * 2)?.failure(255)?;
    assert!(ran.stderr.contains("the gate is shutting down"), "{ran}");
    world.stop()?;
    world.start()?;
    world.ssh("dev1", &["true"])?.success().map(drop)
}

#[test]
fn nobody_is_turned_away_while_the_gate_changes_hands_twice() -> Result<()> {
    let bare = Bare::new()?;
    let over = Arc::new(AtomicBool::new(false));
    let (url, end) = (bare.url(path::FIND), Arc::clone(&over));
    let asking = thread::spawn(move || -> Result<u32> {
        let mut asked = 0;
        while !end.load(Ordering::Relaxed) {
            let answer = curl(&url, &[])?;
            ensure!(answer.status == 200, "{answer:?}");
            asked += 1;
        }
        Ok(asked)
    });
    let first = bare.gate.process().id();
    let second = hand_over(&bare.gate, first)?;
    until("the first process to end", SLACK, || Ok(!runs(first)))?;
    let admin = |path: &str| curl(&format!("http://127.0.0.1:{}{path}", bare.admin_port), &[]);
    assert_eq!(admin("/readyz")?.body, "ready, 0 sessions\n");

    hand_over(&bare.gate, second)?;
    until("the second process to end", SLACK, || Ok(!runs(second)))?;
    bare.is_well()?;
    over.store(true, Ordering::Relaxed);
    let asked = asking.join().expect("the thread does not panic")?;
    assert!(asked > 3, "{asked}");
    Ok(())
}

#[test]
fn sessions_are_opened_all_the_while() -> Result<()> {
    let world = World::new()?;
    let dev = || world.ssh("dev1", &["true"])?.success().map(drop);
    let prod = || world.ssh("prod3", &["true"])?.success().map(drop);
    hand_over_beside(world.gate(), &[&dev, &prod, &dev])
}

#[test]
fn databases_and_clusters_are_reached_all_the_while() -> Result<()> {
    let databases = DbScene::new("")?;
    let pass = databases.tap("app/shop")?;
    let select = || databases.psql(Some(&pass), "", "select 1")?.success().map(drop);
    hand_over_beside(databases.world.gate(), &[&select, &select])?;
    let clusters = KubeScene::new("")?;
    clusters.open_the_cluster()?;
    let list = || clusters.kubectl(&["get", "namespaces"])?.success().map(drop);
    hand_over_beside(clusters.world.gate(), &[&list, &list])
}

#[test]
fn a_request_that_is_on_its_way_when_the_gate_makes_way_is_answered() -> Result<()> {
    let bare = Bare::new()?;
    let last = request(path::FIND, bare.port);
    let more = last.replace("Connection: close\r\n", "");
    // One has said nothing yet, one rests after a request.
    let mut fresh = start_s_client(bare.port, &[])?;
    fresh.wait_for("Verify return code")?;
    let mut rests = start_s_client(bare.port, &[])?;
    rests.write(more.as_bytes())?;
    rests.wait_for("HTTP/1.1 200 OK")?;
    ask(bare.gate.process().id())?;
    bare.gate.process().wait_for_error(MAKES_WAY)?;
    fresh.write(more.as_bytes())?;
    rests.write(more.as_bytes())?;
    // Answered, and then closed: s_client stays for as long as the gate does.
    for (client, answers) in [(fresh, 1), (rests, 2)] {
        let ran = client.finish(SLACK * 2)?;
        assert_eq!(ran.stdout.matches("HTTP/1.1 200 OK").count(), answers, "{ran}");
        assert_eq!(ran.stdout.to_lowercase().matches("connection: close").count(), 1, "{ran}");
    }
    bare.gate.process().wait_for_error(TAKEN)?;
    bare.is_well()
}

#[test]
fn a_fresh_process_that_cannot_serve_leaves_the_old_one_in_its_place() -> Result<()> {
    let lab = Lab::new()?;
    let folder = lab.dir("resources")?;
    let bare = gate_with(lab, &format!("resources: {}\n", folder.display()))?;
    let good = fs::read_to_string(&bare.config)?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let elsewhere =
        good.replace(&format!("listen: \"127.0.0.1:{}\"", bare.port), &format!("listen: \"127.0.0.1:{port}\""));
    assert_ne!(elsewhere, good);
    let fails = |why: &str| -> Result<()> {
        ask(bare.gate.process().id())?;
        bare.gate.process().wait_for_error(GOES_ON).context(why.to_owned())?;
        assert!(bare.gate.process().stderr().contains(why), "{why}: {}", bare.gate.process().stderr());
        bare.is_well()
    };
    fs::write(&bare.config, "colour: red\n")?;
    fails("unknown key `colour`")?;
    fs::write(&bare.config, &good)?;
    fs::write(folder.join("broken.yaml"), "kind: nothing\n")?;
    fails("stays out of the old one's way")?;
    fs::remove_file(folder.join("broken.yaml"))?;
    // This one finds out only when it has the data directory: it is taken back.
    fs::write(&bare.config, &elsewhere)?;
    fails(&format!("can't listen on 127.0.0.1:{port}"))?;

    let metrics = curl(&format!("http://127.0.0.1:{}/metrics", bare.admin_port), &[])?.body;
    assert!(metrics.contains("tapgate_hand_overs_failed_total 3"), "{metrics}");
    fs::write(&bare.config, &good)?;
    hand_over(&bare.gate, bare.gate.process().id())?;
    bare.is_well()?;
    verify_file(bare.lab.path().join("data/audit.jsonl"))?;
    Ok(())
}
