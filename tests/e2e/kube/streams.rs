//! exec, logs, port-forward and watches: upgraded and endless streams.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::scene::Scene;

#[test]
fn commands_in_a_pod_with_their_exit_status() {
    let scene = Scene::new("require_session_mfa: true").unwrap();
    let ran =
        scene.kubectl(&["exec", "-n", "dev", "web-0", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]).unwrap();
    assert_eq!((ran.stdout.as_str(), ran.status.code()), ("out\n", Some(7)), "{ran}");
    assert!(ran.stderr.contains("err"), "{ran}");
    assert_eq!(scene.taps().unwrap(), 1);
}

#[test]
fn streams_over_spdy() {
    let scene = Scene::new("require_session_mfa: true").unwrap();
    let exec = ["exec", "-i", "-n", "dev", "web-0", "--", "sh", "-c", "echo out; exit 3"];
    let ran = scene.kubectl_with("KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", &exec).unwrap();
    assert_eq!((ran.stdout.as_str(), ran.status.code()), ("out\n", Some(3)), "{ran}");
    assert_eq!(scene.taps().unwrap(), 1);
}

#[test]
fn a_port_of_a_pod() {
    let scene = Scene::new("").unwrap();
    // The pod's ports are this machine's.
    let pod = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!(":{}", pod.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in pod.incoming() {
            let mut stream = stream.unwrap();
            let mut line = [0; 5];
            stream.read_exact(&mut line).unwrap();
            line.reverse();
            stream.write_all(&line).unwrap();
        }
    });
    let forward = scene.start(&["port-forward", "-n", "dev", "web-0", &to]).unwrap();
    let from = |line: &str| line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next().map(str::to_owned);
    let port = forward.wait_for_line("the local port", from).unwrap();
    for _ in 0..2 {
        #[expect(clippy::disallowed_methods, reason = "the test reaches kubectl's own listener")]
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        stream.write_all(b"abcde").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"edcba");
    }
}

#[test]
fn files_to_and_from_a_pod() {
    let scene = Scene::new("").unwrap();
    let folder = scene.world.lab.dir("copied").unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(path("a"), &content).unwrap();
    scene.kubectl(&["cp", &path("a"), &format!("dev/web-0:{}", path("b"))]).unwrap().success().unwrap();
    assert_eq!(std::fs::read(path("b")).unwrap(), content);
    scene.kubectl(&["cp", &format!("dev/web-0:{}", path("b")), &path("c")]).unwrap().success().unwrap();
    assert_eq!(std::fs::read(path("c")).unwrap(), content);
}

#[test]
fn logs_that_go_on() {
    let scene = Scene::new("").unwrap();
    let logs = scene.kubectl(&["logs", "-n", "dev", "web-0"]).unwrap().success().unwrap();
    assert!(logs.stdout.starts_with("line 0\nline 1\n"), "{logs}");
    let follow = scene.start(&["logs", "-f", "-n", "dev", "web-0"]).unwrap();
    follow.wait_for_line("the third line", |line| (line == "line 2").then_some(())).unwrap();
}

#[test]
fn a_watch_sees_what_comes() {
    let scene = Scene::new("").unwrap();
    let watch = scene.start(&["get", "pods", "-n", "dev", "--watch", "-o", "name"]).unwrap();
    watch.wait_for_line("a pod that is there", |line| line.contains("web-0").then_some(())).unwrap();
    scene.cluster.pod("dev", "late-0").unwrap();
    watch.wait_for_line("the new pod", |line| line.contains("late-0").then_some(())).unwrap();
}
