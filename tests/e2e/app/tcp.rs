//! TCP applications: bytes through a tunnel, each port a session of its own, one tap for the set.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use anyhow::Result;

use super::scene::{Proxy, Scene};
use crate::world::text;

fn scene() -> Result<Scene> {
    let scene = Scene::new()?;
    let [one, two] = scene.app.tcp;
    scene.put_app(
        "broker",
        "prod",
        "tcp://127.0.0.1",
        &format!("  tcp_ports: [{{port: {one}}}, {{port: {two}}}]\n"),
    )?;
    Ok(scene)
}

/// The first line, and the answer to a word.
fn talk(proxy: &Proxy, word: &str) -> Result<(String, String)> {
    let mut stream = proxy.connect()?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    lines.read_line(&mut first)?;
    stream.write_all(word.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut rest = String::new();
    lines.read_to_string(&mut rest)?;
    Ok((first, rest))
}

#[test]
fn each_port_is_a_session_and_one_tap_opens_all() -> Result<()> {
    let scene = scene()?;
    let [one, two] = scene.app.tcp;
    let mark = scene.world.mark();
    let first = scene.proxy("broker", &["--target-port", &one.to_string()])?;
    let second = scene.proxy("broker", &["--target-port", &two.to_string()])?;
    assert!(first.process.stderr().contains("MFA is required") && second.process.stderr().is_empty());
    assert_eq!(talk(&first, "hello\n")?, (format!("port {one}\n"), "hello\nbye\n".to_owned()));
    assert_eq!(talk(&second, "there\n")?, (format!("port {two}\n"), "there\nbye\n".to_owned()));
    for _ in 0..2 {
        let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "broker")?;
        assert_eq!(text(&end, "protocol"), "tcp");
        assert!(end["bytes_up"].as_u64() == Some(6), "{end}");
    }
    let count = |name: &str| scene.world.records().iter().skip(mark).filter(|r| text(r, "event") == name).count();
    assert_eq!((count("mfa.succeeded"), count("session.start")), (1, 2));
    Ok(())
}

#[test]
fn what_is_not_offered_is_refused_in_words() -> Result<()> {
    let scene = scene()?;
    let refused = |words: &[&str], why: &str| -> Result<()> {
        let ran = scene.world.jerry.tap(["proxy", "app"].iter().chain(words))?.failure(1)?;
        assert!(ran.stderr.contains(why), "{ran}");
        Ok(())
    };
    refused(&["broker"], "choose one with --target-port")?;
    refused(&["broker", "--target-port", "80", "--port", "0"], "--insecure-tcp")?;
    refused(&["dash", "--target-port", "80"], "leave --target-port out")?;
    refused(&["nobody"], "tap app ls shows what you may open")?;
    // A port that the resource does not list leads nowhere.
    let proxy = scene.proxy("broker", &["--target-port", "1"])?;
    let mut said = String::new();
    proxy.connect()?.read_to_string(&mut said)?;
    assert_eq!(said, "");
    proxy.process.wait_for_error("it has no such port")?;
    Ok(())
}

#[test]
fn a_lock_cuts_what_is_open() -> Result<()> {
    let scene = scene()?;
    let proxy = scene.proxy("broker", &["--target-port", &scene.app.tcp[0].to_string()])?;
    let mut stream = proxy.connect()?;
    let mut first = [0; 5];
    stream.read_exact(&mut first)?;
    let mark = scene.world.mark();
    scene.world.olga.tapctl(["lock", "--user=jerry"])?.success()?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map(drop).unwrap_or_default();
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "broker")?;
    assert!(text(&end, "reason").starts_with("cut: access is locked"), "{end}");
    Ok(())
}
