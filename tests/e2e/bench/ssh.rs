//! Loads of SSH sessions.

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapgate_lab::{KeyPair, SshdOptions};

use super::scene::{bench, checks, good, measured};
use crate::world::{World, event};

#[test]
fn sessions_are_real_and_the_gate_has_checked_each_of_them() -> Result<()> {
    let mut world = World::new()?;
    let metrics = measured(&mut world)?;
    let (mark, before) = (world.mark(), (world.dev1.connections(), world.prod3.connections()));
    let login = world.login.clone();
    let load = ["--protocol", "ssh", "--targets", "dev1,prod3", "--login", &login, "--rate", "10", "--duration", "2s"];
    let out = world.lab.path().join("out").display().to_string();
    let more = ["--metrics", &metrics, "--export", "json", "--out", &out];
    let report = good(&world.jerry, &[&load[..], &more].concat(), 20)?;
    assert_eq!((report["checks"]["count"].as_u64(), checks(&report, "grant")), (Some(20), 20), "{report}");
    // prod3 wants a tap: one opens all, and after the first its evidence is at hand.
    let results = report["checks"]["results"].as_array().context("no results")?;
    let warm: u64 =
        results.iter().filter(|found| found["warm"] == true).filter_map(|found| found["count"].as_u64()).sum();
    assert!(warm >= 9, "{report}");
    assert!(results.iter().all(|found| found["at_most_seconds"]["p50"].is_f64()), "{report}");
    let records = world.records();
    let since = |name: &str| records.iter().skip(mark).filter(|record| event(record) == name).count();
    assert_eq!((since("session.start"), since("mfa.succeeded")), (20, 1));
    assert_eq!((world.dev1.connections() - before.0, world.prod3.connections() - before.1), (10, 10));
    // What is exported is the same, with every bucket.
    let exported: Value = serde_json::from_str(&std::fs::read_to_string(format!("{out}/bench-ssh.json"))?)?;
    assert_eq!(exported["report"], report);
    let buckets = exported["distributions_us"]["session"].as_array().context("no distribution")?;
    assert_eq!(buckets.iter().filter_map(|bucket| bucket[1].as_u64()).sum::<u64>(), 20);
    Ok(())
}

#[test]
fn a_tap_for_every_session_is_a_cold_check_for_every_session() -> Result<()> {
    let mut world = World::new()?;
    world.put_prod_options("require_session_mfa: true, session_mfa_window: 0s, in_band: off")?;
    let metrics = measured(&mut world)?;
    let (mark, login) = (world.mark(), world.login.clone());
    let load = ["--protocol", "ssh", "--targets", "prod3", "--login", &login, "--rate", "4", "--duration", "1s"];
    let refused = bench(&world.jerry, &load)?.failure(1)?;
    assert!(refused.stderr.contains("pass --tap-each"), "{refused}");
    let report = good(&world.jerry, &[&load[..], &["--tap-each", "--metrics", &metrics]].concat(), 4)?;
    assert_eq!(checks(&report, "grant"), 4, "{report}");
    let records = world.records();
    let since = |name: &str| records.iter().skip(mark).filter(|record| event(record) == name).count();
    assert_eq!((since("session.start"), since("mfa.succeeded")), (4, 5));
    Ok(())
}

#[test]
fn what_fails_is_counted_by_its_kind() -> Result<()> {
    let world = World::new()?;
    let load = ["--protocol", "ssh", "--targets", "dev1", "--login", &world.login, "--rate", "4", "--duration", "1s"];
    let ran = bench(&world.jerry, &[&load[..], &["--run", "exit 3", "--format", "json"]].concat())?.failure(1)?;
    let report = ran.json()?;
    assert_eq!(report["sessions"], serde_json::json!({ "succeeded": 0, "failed": 4 }), "{ran}");
    let error = &report["errors"][0];
    assert_eq!((error["kind"].as_str(), error["count"].as_u64()), (Some("wrong_answer"), Some(4)), "{ran}");
    assert!(error["first"].as_str().is_some_and(|text| text.contains("ended with 3")), "{ran}");
    let text = bench(&world.jerry, &load)?.success()?;
    for part in ["ssh, through localhost:", "4 succeeded, 0 failed", "p99.99", "until the target is reached"] {
        assert!(text.stdout.contains(part), "{part}: {text}");
    }
    Ok(())
}

#[test]
fn the_same_load_goes_straight_to_the_server() -> Result<()> {
    let world = World::new()?;
    let (authority, key) = (KeyPair::make(&world.lab, "load-ca")?, KeyPair::make(&world.lab, "load")?);
    authority.sign_user(&key, &world.login)?;
    let options = SshdOptions { user_cas: vec![authority.public().to_owned()], ..SshdOptions::default() };
    let server = tapgate_lab::Sshd::start(&world.lab, "alone", options)?;
    let port = server.address().port();
    let known = world.lab.write("known", &format!("[127.0.0.1]:{port} {}\n", server.host_key()))?.display().to_string();
    let (target, identity) = (format!("127.0.0.1:{port}"), key.path().display().to_string());
    let load =
        ["--direct", "--protocol", "ssh", "--targets", &target, "--login", &world.login, "--identity", &identity];
    let load = [&load[..], &["--rate", "5", "--duration", "1s", "--known-hosts"]].concat();
    let report = good(&world.jerry, &[&load[..], &[&known]].concat(), 5)?;
    assert!(report["gate"].is_null() && report["checks"].is_null(), "{report}");
    assert_eq!(server.connections(), 5);
    // A host key that is not known is none to log in at.
    let other = KeyPair::make(&world.lab, "other")?;
    let wrong = world.lab.write("wrong", &format!("[127.0.0.1]:{port} {}\n", other.public()))?.display().to_string();
    let ran = bench(&world.jerry, &[&load[..], &[&wrong]].concat())?.failure(1)?;
    assert!(ran.stdout.contains("host key is not known"), "{ran}");
    let nobody = world.lab.write("nobody", "")?.display().to_string();
    let ran = bench(&world.jerry, &[&load[..], &[&nobody]].concat())?.failure(1)?;
    assert!(ran.stderr.contains("no host key of 127.0.0.1") && ran.stderr.contains("ssh-keyscan"), "{ran}");
    Ok(())
}
