//! Recordings of what is run in pods: over both transports, with and without a terminal, and what can't be recorded.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tapgate_lab::kube_program;

use super::direct::Direct;
use super::scene::Scene;
use crate::world::{text, until};

const SOON: Duration = Duration::from_secs(30);

/// kubectl speaks WebSocket unless this says that it shall not.
const SPDY: &str = "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false";

/// Two mebibytes.
const LONG: u64 = 2 << 20;

/// What a recording holds of one channel: all that was put out, all errors, and everything else.
#[derive(Debug, Default, PartialEq)]
struct Channel {
    output: String,
    errors: String,
    rest: Vec<(String, String)>,
}

impl Channel {
    fn holds(&self, kind: &str, text: &str) -> bool {
        self.rest.iter().any(|(k, t)| k == kind && t == text)
    }
}

/// The only session's number.
fn session(scene: &Scene) -> Result<String> {
    let listed = scene.world.olga.tapctl(["sessions", "ls", "--format", "json"])?.success()?.json()?;
    let all = listed["recordings"].as_array().context("no list")?;
    assert_eq!(all.len(), 1, "{listed}");
    assert_eq!((text(&all[0], "target"), text(&all[0], "login")), ("prod", "jerry[developers]"), "{listed}");
    Ok(text(&all[0], "session").to_owned())
}

/// What is recorded in a channel by now.
fn channel(scene: &Scene, session: &str, number: u64) -> Result<Channel> {
    let played = scene.world.olga.tap(["play", session, "--as", "json"])?.success()?.stdout;
    let mut channel = Channel::default();
    for line in played.lines() {
        let frame: Value = serde_json::from_str(line)?;
        let (kind, text) = (frame[2].as_str().unwrap_or_default(), frame[3].as_str().unwrap_or_default());
        match kind {
            _ if frame[1] != number => {}
            "output" => channel.output += text,
            "errors" => channel.errors += text,
            _ => channel.rest.push((kind.to_owned(), text.to_owned())),
        }
    }
    Ok(channel)
}

/// The same once this ends it.
fn ended(scene: &Scene, session: &str, number: u64, exit: &str) -> Result<Channel> {
    let mut found = Channel::default();
    until("the end of a command in the recording", SOON, || {
        found = channel(scene, session, number)?;
        Ok(found.holds("exit", exit))
    })?;
    Ok(found)
}

#[test]
fn commands_are_recorded_over_websocket_and_spdy() -> Result<()> {
    let scene = Scene::new("record_session: strict")?;
    let command = ["exec", "-n", "dev", "web-0", "--", "sh", "-c", "printf '\\033[31mred'; echo oops >&2; exit 7"];
    scene.kubectl(&command)?.failure(7)?;
    scene.kubectl_with(SPDY, &command)?.failure(7)?;
    let session = session(&scene)?;
    let line = "exec -n dev web-0 -c main -- sh -c 'printf '\\''\\033[31mred'\\''; echo oops >&2; exit 7'";
    for number in [1, 2] {
        let found = ended(&scene, &session, number, "7")?;
        assert_eq!((found.output.as_str(), found.errors.as_str()), ("\u{1b}[31mred", "oops\n"), "{found:?}");
        assert!(found.holds("runs", line), "{found:?}");
    }
    scene.world.await_record(0, "session.command", |record| text(record, "command") == line)?;
    let safe = scene.world.olga.tap(["play", &session, "--safe"])?.success()?.stdout;
    assert!(safe.contains("\\u{1b}[31mred") && safe.contains("$ exec -n dev web-0"), "{safe}");
    let cast = scene.world.olga.tap(["play", &session, "--as", "asciicast", "--channel", "2"])?.success()?.stdout;
    assert!(cast.starts_with('{') && cast.contains("\"x\",\"7\""), "{cast}");
    Ok(())
}

#[test]
fn terminals_are_recorded_whole_and_what_is_typed_is_not() -> Result<()> {
    let scene = Scene::new("record_session: strict")?;
    let kubectl = kube_program("kubectl")?.display().to_string();
    let config = scene.kubeconfig.display().to_string();
    let long = format!("stty -echo; echo ready; read line; head -c {LONG} /dev/zero | tr '\\0' x; echo; echo done");
    for (number, set) in [(1, "true"), (2, "export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false")] {
        let shell = format!("stty cols 91 rows 33; {set}; exec \"$@\"");
        let words = ["-c", &shell, "sh", &kubectl, "--kubeconfig", &config];
        let exec = ["exec", "-it", "-n", "dev", "web-0", "--", "sh", "-c", &long];
        let mut run = scene.world.jerry.start_on_terminal(Path::new("/bin/sh"), words.iter().chain(&exec))?;
        run.wait_for("ready")?;
        run.write(b"hush\n")?;
        run.wait_for("done")?;
        run.finish(SOON)?.success()?;
        let found = ended(&scene, &session(&scene)?, number, "0")?;
        assert!(found.holds("terminal", "91x33 xterm"), "{:?}", found.rest);
        assert!(found.output.matches('x').count() >= usize::try_from(LONG)?, "{}", found.output.len());
    }
    // Without a terminal nothing shows what goes in, and of long output the beginning is enough.
    let command = format!("read line; head -c {LONG} /dev/zero");
    for (number, set) in [(3, "A=b"), (4, SPDY)] {
        let exec = ["exec", "-i", "-n", "dev", "web-0", "--", "sh", "-c", &command];
        let mut run = scene.start_with(set, &exec)?;
        run.write(b"hush\n")?;
        assert_eq!(run.finish(SOON)?.success()?.stdout.len(), usize::try_from(LONG)?);
        let found = ended(&scene, &session(&scene)?, number, "0")?;
        assert_eq!(u64::try_from(found.output.len())?, LONG / 2);
        assert!(found.holds("skipped", &(LONG / 2).to_string()), "{:?}", found.rest);
    }
    let all = scene.world.olga.tap(["play", &session(&scene)?, "--as", "json"])?.success()?.stdout;
    assert!(!all.contains("hush"));
    Ok(())
}

#[test]
fn attach_and_copies_are_recorded() -> Result<()> {
    let scene = Scene::new("record_session: strict")?;
    for (number, set) in [(1, "A=b"), (2, SPDY)] {
        let mut attach = scene.start_with(set, &["attach", "-i", "-n", "dev", "web-0"])?;
        attach.write(b"said back\n")?;
        attach.wait_for("said back")?;
        attach.finish(SOON)?.success()?;
        let found = ended(&scene, &session(&scene)?, number, "0")?;
        assert_eq!(found.output, "said back\n");
        assert!(found.holds("runs", "attach -n dev web-0 -c main"), "{found:?}");
    }
    let folder = scene.world.lab.dir("copied")?;
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(path("a"), "content")?;
    scene.kubectl(&["cp", &path("a"), &format!("dev/web-0:{}", path("b"))])?.success()?;
    assert_eq!(std::fs::read_to_string(path("b"))?, "content");
    // What kubectl asks before is a command of its own, in some versions.
    let session = session(&scene)?;
    until("the copy in the recording", SOON, || {
        let all = scene.world.olga.tap(["play", &session, "--as", "json"])?.success()?.stdout;
        Ok(all.contains("-- tar -xmf -"))
    })
}

#[test]
fn forwarded_ports_are_told_by_where_to_and_how_much() -> Result<()> {
    let scene = Scene::new("record_session: strict")?;
    let pod = TcpListener::bind("127.0.0.1:0")?;
    let to = format!(":{}", pod.local_addr()?.port());
    let forward = scene.start(&["port-forward", "-n", "dev", "web-0", &to])?;
    let from = |line: &str| line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next().map(str::to_owned);
    let port = forward.wait_for_line("the local port", from)?;
    #[expect(clippy::disallowed_methods, reason = "the test reaches kubectl's own listener")]
    let mut near = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    let (mut far, _) = pod.accept()?;
    far.write_all(&[b'x'; 10_000])?;
    near.read_exact(&mut [0; 10_000])?;
    forward.stop()?;
    let told = scene.world.await_record(0, "session.forward", |_| true)?;
    assert_eq!(text(&told, "destination"), "dev/web-0");
    assert!(told["bytes_down"].as_u64().unwrap_or_default() >= 10_000, "{told}");
    Ok(())
}

#[test]
fn what_cannot_be_read_is_refused_or_told() -> Result<()> {
    let scene = Scene::new("record_session: strict")?;
    let direct = Direct::new(&scene)?;
    let exec = "/prod/api/v1/namespaces/dev/pods/web-0/exec?command=echo&command=in&stdout=true";
    let upgrade = |protocol: &str| {
        let protocol = format!("Sec-WebSocket-Protocol: {protocol}");
        let key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
        let headers = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key, &protocol];
        let words = headers.into_iter().flat_map(|header| ["-H", header]).chain(["-N"]);
        direct.curl(exec, &words.collect::<Vec<_>>())
    };
    for unreadable in ["base64.channel.k8s.io", "v4.base64.channel.k8s.io", "v9.channel.k8s.io"] {
        let refused = upgrade(unreadable)?;
        assert!(
            refused.starts_with("HTTP/1.1 403") && refused.contains("wants all of this session recorded"),
            "{refused}"
        );
    }
    let narrowed = upgrade("base64.channel.k8s.io, v4.channel.k8s.io")?;
    assert!(narrowed.starts_with("HTTP/1.1 101") && narrowed.contains("v4.channel.k8s.io"), "{narrowed}");
    for way in ["nodes/node-1/proxy/run/dev/web-0/main?cmd=id", "proxy/nodes/node-1/run/dev/web-0/main?cmd=id"] {
        let refused = direct.curl(&format!("/prod/api/v1/{way}"), &["-X", "POST"])?;
        assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("wants all of this session"), "{refused}");
    }
    // Where it need not be, it goes on, and the log says that it is not.
    let all = "kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']";
    let more = "kind: pods, api_group: '', namespace: other, name: x, verbs: [get]";
    scene.put_resources("record_session: best_effort", &[all, more], &[])?;
    let mark = scene.world.mark();
    let opened = upgrade("base64.channel.k8s.io")?;
    assert!(opened.starts_with("HTTP/1.1 101"), "{opened}");
    scene
        .world
        .await_record(mark, "security.warning", |record| text(record, "what").contains("is not recorded whole"))?;
    Ok(())
}
