//! How the gate itself proves at a cluster who it is: by a token in a file that is replaced, and by a plugin.

use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::scene::Scene;
use crate::world::until;

/// A service account that may be others, and a token of it.
fn token(scene: &Scene, name: &str) -> Result<String> {
    scene.cluster.apply(&format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: dev}}\n---\napiVersion: \
         rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\nroleRef: {{apiGroup: \
         rbac.authorization.k8s.io, kind: ClusterRole, name: gate}}\nsubjects: [{{kind: ServiceAccount, name: {name}, \
         namespace: dev}}]\n"
    ))?;
    Ok(scene.cluster.kubectl(&["create", "token", name, "-n", "dev"])?.success()?.stdout.trim().to_owned())
}

/// Writes the cluster with other credentials.
fn put(scene: &Scene, user: &str) -> Result<()> {
    let known = std::fs::read_to_string(scene.cluster.kubeconfig("gate", "/CN=gate")?)?;
    let before = known.split("users:").next().unwrap_or_default();
    let packed = STANDARD.encode(format!("{before}users:\n- name: gate\n  user: {{{user}}}\n"));
    scene.world.put(&format!(
        "kind: kube_cluster\nversion: v3\nmetadata: {{name: prod, labels: {{env: prod}}}}\nspec: {{kubeconfig: {packed}}}\n"
    ))?;
    Ok(())
}

/// Ends the session: its user may do another thing in the cluster from now on.
fn anew(scene: &Scene, other: &str) -> Result<()> {
    let all = "kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*']";
    let more = format!("kind: pods, api_group: '', namespace: {other}, name: x, verbs: [get]");
    scene.put_resources("", &[all, &more], &[]).map(drop)
}

#[test]
fn a_token_in_a_file_that_is_replaced() -> Result<()> {
    let scene = Scene::new("")?;
    let file = scene.world.lab.write("token", &token(&scene, "first")?)?;
    put(&scene, &format!("tokenFile: {}", file.display()))?;
    let who = || scene.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    assert_eq!(who()?.success()?.stdout, "jerry");
    // A session reads the file anew.
    std::fs::write(&file, "expired")?;
    anew(&scene, "first")?;
    let refused = who()?;
    assert!(!refused.status.success() && refused.stderr.contains("does not take the gate's credentials"), "{refused}");
    // So does the next one, as what this one has is refused.
    std::fs::write(&file, token(&scene, "second")?)?;
    until("the new token", Duration::from_secs(40), || Ok(who()?.stdout == "jerry"))
}

#[test]
fn a_plugin_that_brings_a_token() -> Result<()> {
    let scene = Scene::new("")?;
    let token = token(&scene, "plugged")?;
    let answer = "apiVersion: client.authentication.k8s.io/v1";
    let script = format!(
        "printf '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{{\"token\":\
         \"%s\"}}}}' {token}"
    );
    let file = scene.world.lab.write("plugin.sh", &script)?;
    put(&scene, &format!("exec: {{{answer}, interactiveMode: Never, command: sh, args: ['{}']}}", file.display()))?;
    let exec = scene.kubectl(&["exec", "-n", "dev", "web-0", "--", "echo", "in"])?.success()?;
    assert_eq!(exec.stdout, "in\n");
    // A plugin that fails is the operator's to mend, and not the user's to read.
    put(&scene, &format!("exec: {{{answer}, interactiveMode: Never, command: 'false'}}"))?;
    anew(&scene, "other")?;
    let refused = scene.kubectl(&["get", "pods", "-n", "dev"])?;
    assert!(!refused.status.success() && refused.stderr.contains("can't be used now"), "{refused}");
    assert!(scene.world.olga.tapctl(["status"])?.success()?.stdout.contains("prod: "));
    Ok(())
}
