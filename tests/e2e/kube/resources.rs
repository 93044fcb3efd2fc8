//! What roles allow inside a cluster: single requests, lists, watches, ways in, and taps for single verbs.

use std::time::{Duration, Instant};

use tapgate_lab::Ran;

use super::scene::Scene;

const WEB: &str = "kind: pods, api_group: '', namespace: dev, name: 'web-*', verbs: [get, list, watch, create]";

/// A scene in which the gate alone says no.
fn scene(allow: &[&str], deny: &[&str]) -> Scene {
    let scene = Scene::new("").unwrap();
    scene.open_the_cluster().unwrap();
    scene.put_resources("", allow, deny).unwrap();
    scene
}

fn refused(ran: &Ran, words: &str) {
    assert!(!ran.status.success() && ran.stderr.contains("Forbidden") && ran.stderr.contains(words), "{ran}");
}

#[test]
fn one_object_at_a_time() {
    let scene = scene(&[WEB], &[]);
    let run = |words: &[&str]| scene.kubectl(words).unwrap();
    run(&["get", "pod", "web-0", "-n", "dev"]).success().unwrap();
    let mark = scene.world.mark();
    refused(
        &run(&["get", "pod", "db-0", "-n", "dev"]),
        "pods \"db-0\" in the namespace \"dev\" of the cluster \"prod\" is forbidden: your roles do not let you get it",
    );
    scene
        .world
        .await_record(mark, "kube.request", |record| record["status"] == 403 && record["name"] == "db-0")
        .unwrap();
    refused(&run(&["get", "secrets", "-n", "dev"]), "do not let you list it");
    refused(&run(&["get", "--raw", "/api/v1/namespaces/dev/pods/%64b-0"]), "do not let you get it");
    refused(&run(&["delete", "pod", "web-0", "-n", "dev", "--wait=false"]), "do not let you delete it");
    refused(&run(&["delete", "pods", "--all", "-n", "dev", "--wait=false"]), "forbidden");
    refused(&run(&["get", "--raw", "/metrics"]), "do not let you read it");
    run(&["auth", "whoami"]).success().unwrap();
    run(&["api-resources"]).success().unwrap();
    run(&["run", "web-7", "--image=none", "-n", "dev"]).success().unwrap();
    refused(&run(&["run", "db-7", "--image=none", "-n", "dev"]), "do not let you create \"db-7\"");
}

#[test]
fn lists_show_what_the_role_may_see() {
    let scene = scene(&[WEB], &[]);
    let names = |words: &[&str]| {
        let ran = scene.kubectl(words).unwrap().success().unwrap();
        let mut names: Vec<String> = ran.stdout.split_whitespace().map(str::to_owned).collect();
        names.retain(|word| word.contains("web-") || word.contains("db-") || word.contains("namespace/"));
        names
    };
    assert_eq!(names(&["get", "pods", "-n", "dev"]), ["web-0"], "a table");
    assert_eq!(names(&["get", "pods", "-n", "dev", "-o", "name"]), ["pod/web-0"], "a list");
    assert_eq!(names(&["get", "pods", "-A", "-o", "name"]), ["pod/web-0"], "the one in prod has the same name");
    assert_eq!(names(&["get", "pods", "-A", "--chunk-size=1", "-o", "name"]), ["pod/web-0"], "page by page");
    assert_eq!(names(&["get", "namespaces", "-o", "name"]), ["namespace/dev"]);
    refused(&scene.kubectl(&["get", "pods", "-n", "prod"]).unwrap(), "do not let you list it");
    scene
        .put_resources(
            "",
            &["kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']"],
            &["kind: pods, api_group: '*', namespace: dev, name: 'db-*', verbs: ['*']"],
        )
        .unwrap();
    assert_eq!(names(&["get", "pods", "-A", "-o", "name"]), ["pod/web-0", "pod/web-0"]);
    let all = scene.kubectl(&["delete", "--raw", "/api/v1/namespaces/dev/pods"]).unwrap();
    refused(&all, "do not let you delete all of it");
}

#[test]
fn streams_end_when_the_role_changes() {
    let scene = scene(&[WEB], &[]);
    let mut logs = scene.start(&["logs", "-f", "-n", "dev", "web-0"]).unwrap();
    logs.wait_for_line("a line", |line| (line == "line 1").then_some(())).unwrap();
    let db = "kind: pods, api_group: '', namespace: dev, name: 'db-*', verbs: [get]";
    scene.put_resources("", &[WEB, db], &[]).unwrap();
    logs.wait(Duration::from_secs(30)).unwrap();
    scene.kubectl(&["get", "pod", "db-0", "-n", "dev"]).unwrap().success().unwrap();
}

#[test]
fn everything_denied_and_a_cluster_that_is_gone() {
    let scene = Scene::new("").unwrap();
    scene.put_resources("", &[WEB], &["kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']"]).unwrap();
    refused(&scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap(), "do not let you list it");
    scene.world.olga.tapctl(["rm", "kube_cluster/prod"]).unwrap().success().unwrap();
    let gone = scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap();
    assert!(!gone.status.success() && gone.stderr.contains("access to \"prod\" denied"), "{gone}");
}

#[test]
fn watches_tell_what_the_role_may_see() {
    let scene = scene(&[WEB], &[]);
    for form in ["name", "wide"] {
        let watch = scene.start(&["get", "pods", "-A", "--watch", "-o", form]).unwrap();
        watch.wait_for_line("a pod that is there", |line| line.contains("web-0").then_some(())).unwrap();
        scene.cluster.pod("dev", &format!("late-{form}")).unwrap();
        scene.cluster.pod("dev", &format!("web-{form}")).unwrap();
        let new = format!("web-{form}");
        watch.wait_for_line("the new pod", |line| line.contains(&new).then_some(())).unwrap();
        let seen = watch.stdout();
        assert!(!seen.contains("late-") && !seen.contains("db-0"), "{seen}");
    }
}

#[test]
fn ways_in_are_verbs_of_their_own() {
    let read = "kind: pods, api_group: '', namespace: '*', name: '*', verbs: [get, list, create, update, patch]";
    let scene = scene(&[read], &[]);
    let exec = ["exec", "-n", "dev", "web-0", "--", "echo", "in"];
    let refused = scene.kubectl(&exec).unwrap();
    assert!(!refused.status.success() && refused.stderr.contains("do not let you exec it"), "{refused}");
    let proxy = ["get", "--raw", "/api/v1/namespaces/dev/pods/web-0:80/proxy/"];
    let refused = scene.kubectl(&proxy).unwrap();
    assert!(refused.stderr.contains("do not let you proxy it"), "{refused}");
    let debug = scene.kubectl(&["port-forward", "-n", "dev", "web-0", "1:1"]).unwrap();
    assert!(debug.stderr.contains("do not let you portforward it"), "{debug}");
    scene
        .put_resources("", &[read, "kind: pods, api_group: '', namespace: dev, name: '*', verbs: [exec]"], &[])
        .unwrap();
    let ran = scene.kubectl(&exec).unwrap().success().unwrap();
    assert_eq!(ran.stdout, "in\n");
    let all = "kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']";
    let but = "kind: pods, api_group: '', namespace: dev, name: web-0, verbs: [proxy]";
    scene.put_resources("", &[all], &[but]).unwrap();
    let refused = scene.kubectl(&proxy).unwrap();
    assert!(refused.stderr.contains("do not let you proxy it"), "{refused}");
}

#[test]
fn a_fresh_tap_for_single_verbs() {
    let options = "require_session_mfa: true, kubernetes_fresh_tap: {verbs: [delete, exec], within: 5s}";
    let scene = Scene::new("").unwrap();
    let everything = "kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']";
    scene.put_resources(options, &[everything], &[]).unwrap();
    let exec = ["exec", "-n", "dev", "web-0", "--", "echo", "in"];
    scene.kubectl(&exec).unwrap().success().unwrap();
    assert_eq!(scene.taps().unwrap(), 1, "the first tap is fresh");
    let until = Instant::now() + Duration::from_secs(30);
    let late = loop {
        let ran = scene.kubectl(&exec).unwrap();
        if !ran.status.success() || Instant::now() > until {
            break ran;
        }
    };
    assert!(late.stderr.contains("MFA is required to exec pods/exec in Kubernetes cluster \"prod\""), "{late}");
    assert!(late.stderr.contains("tap kube tap prod"), "{late}");
    scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap().success().unwrap();
    assert_eq!(scene.taps().unwrap(), 1, "the window is still open for the rest");
    scene.world.jerry.tap(["kube", "tap", "prod"]).unwrap().success().unwrap();
    scene.kubectl(&exec).unwrap().success().unwrap();
    assert_eq!(scene.taps().unwrap(), 2);
}
