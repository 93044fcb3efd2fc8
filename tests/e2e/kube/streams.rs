//! exec, logs, port-forward and watches: upgraded and endless streams.

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
