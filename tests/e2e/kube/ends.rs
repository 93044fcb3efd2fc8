//! What goes wrong with a cluster, and what goes on although something ends.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;

use super::scene::Scene;

#[test]
fn a_watch_outlives_the_window_and_the_certificate() {
    let scene = Scene::new("require_session_mfa: true, session_mfa_window: 8s").unwrap();
    let watch = scene.start(&["get", "pods", "-n", "dev", "--watch", "-o", "name"]).unwrap();
    watch.wait_for_line("a pod that is there", |line| line.contains("web-0").then_some(())).unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    // Another tap is due once the first one's window is over.
    while scene.taps().unwrap() < 3 {
        scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap().success().unwrap();
        assert!(Instant::now() < until, "the window does not end");
    }
    scene.cluster.pod("dev", "late-0").unwrap();
    watch.wait_for_line("the new pod", |line| line.contains("late-0").then_some(())).unwrap();
}

#[test]
fn an_api_server_that_is_down() {
    let scene = Scene::new("").unwrap();
    scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap().success().unwrap();
    scene.add_cluster("late", "gate").unwrap();
    scene.cluster.processes()[0].signal(Signal::SIGKILL);
    let ran = scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap();
    assert!(!ran.status.success() && ran.stderr.contains("the cluster \"prod\" can't be reached now"), "{ran}");
    let path = scene.kubeconfig.display().to_string();
    scene.world.jerry.tap(["kube", "login", "late", "--kubeconfig", &path]).unwrap().success().unwrap();
    let ran = scene.kubectl(&["get", "--raw", "/version"]).unwrap();
    assert!(!ran.status.success() && ran.stderr.contains("\"late\" cannot be reached"), "{ran}");
    let status = scene.world.olga.tapctl(["status"]).unwrap().success().unwrap();
    assert!(status.stdout.contains("late: it can't be reached"), "{status}");
}

#[test]
fn a_cluster_that_does_not_know_the_gate() {
    let scene = Scene::new("").unwrap();
    let known = std::fs::read_to_string(scene.cluster.kubeconfig("gate", "/CN=gate").unwrap()).unwrap();
    let before = known.split("users:").next().unwrap();
    let unknown = format!("{before}users:\n- name: gate\n  user: {{token: nobody}}\n");
    let packed = STANDARD.encode(unknown);
    scene
        .world
        .put(&format!(
            "kind: kube_cluster\nversion: v3\nmetadata: {{name: prod, labels: {{env: prod}}}}\nspec: {{kubeconfig: \
             {packed}}}\n"
        ))
        .unwrap();
    let ran = scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap();
    assert!(!ran.status.success() && ran.stderr.contains("does not take the gate's credentials"), "{ran}");
}

#[test]
fn a_gate_that_may_not_impersonate_says_so() {
    let scene = Scene::new("").unwrap();
    scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap().success().unwrap();
    let status = || scene.world.olga.tapctl(["status"]).unwrap().success().unwrap().stdout;
    assert!(!status().contains("Kubernetes"), "{}", status());
    scene.add_cluster("weak", "nobody").unwrap();
    let path = scene.kubeconfig.display().to_string();
    scene.world.jerry.tap(["kube", "login", "weak", "--kubeconfig", &path]).unwrap().success().unwrap();
    let ran = scene.kubectl(&["get", "--raw", "/api/v1/namespaces/dev/pods"]).unwrap();
    assert!(ran.stderr.contains("cannot impersonate"), "{ran}");
    let until = Instant::now() + Duration::from_secs(20);
    while !status().contains("weak: the gate may not impersonate users there") {
        assert!(Instant::now() < until, "{}", status());
    }
}

#[test]
fn two_clusters_with_one_name_are_refused() {
    let scene = Scene::new("").unwrap();
    let one = "kind: kube_cluster\nversion: v3\nmetadata: {name: twice}\nspec: {kubeconfig: ";
    let packed = STANDARD.encode(std::fs::read(scene.cluster.kubeconfig("gate", "/CN=gate").unwrap()).unwrap());
    let both = format!("{one}{packed}}}\n---\n{one}{packed}}}\n");
    let file = scene.world.lab.write("twice.yaml", &both).unwrap();
    let ran = scene.world.olga.tapctl(["create", "-f", &file.display().to_string()]).unwrap();
    assert!(!ran.status.success() && ran.stderr.contains("kube_cluster \"twice\" is there already"), "{ran}");
}
