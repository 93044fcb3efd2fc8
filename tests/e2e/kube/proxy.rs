//! `tap proxy kube`: for clients that can't run a credential plugin.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tapgate_lab::{Process, Ran, kube_program, own_binary, program, python_program};

use super::scene::Scene;

const WAIT: Duration = Duration::from_mins(1);

/// A running proxy, and the kubeconfig that it has written.
pub(super) struct Proxy {
    process: Process,
    pub(super) kubeconfig: PathBuf,
}

impl Proxy {
    pub(super) fn start(scene: &Scene, clusters: &[&str]) -> Self {
        let words = ["proxy", "kube"].iter().chain(clusters);
        let process = scene.world.jerry.start(&own_binary("tap").unwrap(), words).unwrap();
        let path = |line: &str| line.strip_prefix("export KUBECONFIG=").map(PathBuf::from);
        let kubeconfig = process.wait_for_line("the kubeconfig", path).unwrap();
        Self { process, kubeconfig }
    }

    fn kubectl(&self, scene: &Scene, words: &[&str]) -> Ran {
        let config = self.kubeconfig.display().to_string();
        let words = ["--kubeconfig", &config].into_iter().chain(words.iter().copied());
        scene.world.jerry.start(&kube_program("kubectl").unwrap(), words).unwrap().finish(WAIT).unwrap()
    }

    /// What the kubeconfig says, as JSON, which it is.
    fn config(&self) -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(&self.kubeconfig).unwrap()).unwrap()
    }
}

fn run(scene: &Scene, program: &Path, words: &[&str]) -> Ran {
    scene.world.jerry.start(program, words).unwrap().finish(WAIT).unwrap()
}

#[test]
fn one_tap_for_two_clusters_and_every_client() {
    let scene = Scene::new("require_session_mfa: true").unwrap();
    scene.add_cluster("staging", "gate").unwrap();
    let proxy = Proxy::start(&scene, &["prod", "staging"]);
    assert_eq!(std::fs::metadata(&proxy.kubeconfig).unwrap().permissions().mode() & 0o777, 0o600);
    let first = proxy.kubectl(&scene, &["get", "pods", "-n", "dev", "-o", "name"]).success().unwrap();
    assert!(first.stdout.contains("pod/web-0"), "{first}");
    proxy.kubectl(&scene, &["--context", "staging", "get", "pods", "-n", "dev"]).success().unwrap();
    let exec = proxy.kubectl(&scene, &["exec", "-n", "dev", "web-0", "--", "sh", "-c", "echo in; exit 5"]);
    assert_eq!((exec.stdout.as_str(), exec.status.code()), ("in\n", Some(5)), "{exec}");

    let script = "
import sys
from kubernetes import client, config, stream, watch
config.load_kube_config(config_file=sys.argv[1], context=sys.argv[2])
core = client.CoreV1Api()
print(sorted(pod.metadata.name for pod in core.list_namespaced_pod('dev').items))
print(stream.stream(core.connect_get_namespaced_pod_exec, 'web-0', 'dev', command=['echo', 'inside'],
                    stdin=False, stdout=True, stderr=True, tty=False).strip())
print(next(iter(watch.Watch().stream(core.list_namespaced_pod, 'dev', resource_version='0', timeout_seconds=20)))['type'])
";
    let file = scene.world.lab.write("client.py", script).unwrap();
    let words = [file.display().to_string(), proxy.kubeconfig.display().to_string(), "staging".to_owned()];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = run(&scene, &python_program("python").unwrap(), &words).success().unwrap();
    assert_eq!(ran.stdout, "['db-0', 'web-0']\ninside\nADDED\n", "{ran}");
    assert_eq!(scene.taps().unwrap(), 1, "one tap for both clusters");

    let other = proxy.kubectl(&scene, &["get", "--raw", "/../third/version"]);
    assert!(!other.status.success(), "{other}");
    let path = proxy.kubeconfig.clone();
    proxy.process.stop().unwrap();
    assert!(!path.exists(), "the kubeconfig goes with its proxy");
}

#[test]
fn the_secret_and_the_name_of_the_port_are_demanded() {
    let scene = Scene::new("").unwrap();
    let web = "kind: pods, api_group: '', namespace: dev, name: 'web-*', verbs: [get, list]";
    scene.open_the_cluster().unwrap();
    scene.put_resources("", &[web], &[]).unwrap();
    let proxy = Proxy::start(&scene, &["prod"]);
    let config = proxy.config();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap();
    let token = format!("Authorization: Bearer {}", config["users"][0]["user"]["token"].as_str().unwrap());
    let curl = |path: &str, headers: &[&str]| {
        let url = format!("{server}{path}");
        let headers = headers.iter().flat_map(|header| ["-H", header]);
        let words: Vec<&str> = ["-sk", "-i", "--path-as-is", &url].into_iter().chain(headers).collect();
        run(&scene, &program("curl", "curl").unwrap(), &words).success().unwrap().stdout
    };
    assert!(curl("/version", &[]).starts_with("HTTP/1.1 401"));
    assert!(curl("/version", &["Authorization: Bearer x"]).starts_with("HTTP/1.1 401"));
    assert!(curl("/version", &[&token, "Host: evil.example"]).starts_with("HTTP/1.1 421"));
    let other = server.replace("/prod", "/third");
    let other = run(&scene, &program("curl", "curl").unwrap(), &["-sk", "-i", "-H", &token, &other]).success().unwrap();
    assert!(other.stdout.starts_with("HTTP/1.1 404"), "{other}");
    assert!(curl("/version", &[&token]).contains("gitVersion"));
    let listed = curl("/api/v1/pods", &[&token, "Accept: application/vnd.kubernetes.protobuf"]);
    assert!(
        listed.contains("application/json") && listed.contains("\"web-0\"") && !listed.contains("db-0"),
        "{listed}"
    );
    let gzip = curl("/api/v1/pods", &[&token, "Accept-Encoding: gzip"]);
    assert!(gzip.contains("\"web-0\"") && !gzip.contains("db-0"), "{gzip}");
    let long = format!("X-Long: {}", "x".repeat(80 << 10));
    assert!(curl("/version", &[&token, &long]).starts_with("HTTP/1.1 431"));
    for path in ["//version", "/api/v1/../v1/pods", "/api/%2e%2e/version", "/api/v1%2fpods"] {
        let ambiguous = curl(path, &[&token]);
        assert!(ambiguous.starts_with("HTTP/1.1 400") && ambiguous.contains("read in two ways"), "{path}: {ambiguous}");
    }
    let forged = curl("/api/v1/namespaces/dev/pods", &[&token, "Impersonate-User: root"]);
    assert!(forged.starts_with("HTTP/1.1 403"), "{forged}");
}

#[test]
fn a_fresh_tap_is_asked_for_on_the_way() {
    let scene = Scene::new("").unwrap();
    let options = "require_session_mfa: true, kubernetes_fresh_tap: {verbs: [exec], within: 10s}";
    let everything = "kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']";
    scene.put_resources(options, &[everything], &[]).unwrap();
    let proxy = Proxy::start(&scene, &["prod"]);
    let until = Instant::now() + WAIT;
    while scene.taps().unwrap() < 2 {
        let exec = proxy.kubectl(&scene, &["exec", "-n", "dev", "web-0", "--", "echo", "in"]).success().unwrap();
        assert_eq!(exec.stdout, "in\n");
        assert!(Instant::now() < until, "no fresh tap was asked for");
    }
}
