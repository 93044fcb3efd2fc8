//! One tap, then the window; and what ends a session.

use super::scene::Scene;

#[test]
fn one_tap_and_then_the_window() {
    let scene = Scene::new("require_session_mfa: true").unwrap();
    let first = scene.kubectl(&["get", "pods", "-n", "dev", "-o", "name"]).unwrap().success().unwrap();
    assert!(first.stdout.contains("pod/web-0"), "{first}");
    assert!(first.stderr.contains("MFA is required to access Kubernetes cluster \"prod\""), "{first}");
    let second = scene.kubectl(&["get", "pods", "-n", "dev"]).unwrap().success().unwrap();
    assert!(!second.stderr.contains("MFA is required"), "{second}");
    assert_eq!(scene.taps().unwrap(), 1);
}

#[test]
fn the_cluster_sees_the_login_and_not_the_gate() {
    let scene = Scene::new("").unwrap();
    let who = scene.kubectl(&["auth", "whoami", "-o", "json"]).unwrap().success().unwrap().json().unwrap();
    assert_eq!(who["status"]["userInfo"]["username"], "jerry");
    assert_eq!(who["status"]["userInfo"]["groups"][0], "developers");
    let refused = scene.kubectl(&["get", "pods", "-n", "prod"]).unwrap();
    assert!(refused.stderr.contains("User \"jerry\" cannot list resource \"pods\""), "{refused}");
    let other = scene.kubectl(&["get", "pods", "-n", "dev", "--as", "root", "--as-group", "system:masters"]).unwrap();
    assert!(!other.status.success() && other.stderr.contains("access to \"prod\" denied"), "{other}");
    let uid = scene.kubectl(&["get", "pods", "-n", "dev", "--as", "jerry", "--as-uid", "0"]).unwrap();
    assert!(uid.stderr.contains("the header impersonate-uid is not allowed here"), "{uid}");
    let same = scene.kubectl(&["get", "pods", "-n", "dev", "--as", "jerry", "--as-group", "developers"]).unwrap();
    same.success().unwrap();
    let stranger =
        scene.kubectl(&["get", "pods", "-n", "dev", "--as", "jerry", "--as-group", "system:masters"]).unwrap();
    assert!(stranger.stderr.contains("you may not be \"system:masters\" here"), "{stranger}");
}
