//! A stock kubectl with the login certificate: one page for a command's many requests, where a role has opted in.

use anyhow::Result;
use tapgate_lab::kube_program;

use super::approver::{Approver, Asked, REST};
use crate::kube::scene::Scene;
use crate::world::tapgate;

#[test]
fn a_command_fans_out_and_asks_once_and_runs_after_the_tap() -> Result<()> {
    let scene = Scene::new("require_session_mfa: true")?;
    let approver = Approver::new(&scene.world, "access-prod")?;
    let (files, port) = (approver.files(&scene.world), scene.world.gate().address().port());
    let ca = tapgate(&["ca", "--config", &scene.world.config.display().to_string(), "--browsers"])?.success()?;
    let gate_ca = scene.world.lab.write("gate-ca.pem", &ca.stdout)?;
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: prod\ncontexts:\n- name: prod\n  context: {{cluster: prod, user: \
         ann}}\nclusters:\n- name: prod\n  cluster: {{server: \"https://127.0.0.1:{port}/prod\", tls-server-name: \
         k8s.localhost, certificate-authority: \"{}\"}}\nusers:\n- name: ann\n  user: {{client-certificate: \"{}\", \
         client-key: \"{}\"}}\n",
        gate_ca.display(),
        files.tls_certificate.display(),
        files.tls_key.display()
    );
    let config = scene.world.lab.write("ann.kubeconfig", &config)?.display().to_string();
    let kubectl = || -> Result<_> {
        let words = ["--kubeconfig", &config, "get", "pods", "-n", "dev", "-o", "name"];
        approver.ann.start(&kube_program("kubectl")?, words)?.finish(REST)
    };
    let refused = kubectl()?.failure(1)?;
    // As ever, so that a credential plugin taps; kubectl by itself shows no more of it.
    assert!(refused.stderr.contains("You must be logged in") && !refused.stderr.contains("/web/ask/"), "{refused}");
    scene.put_options("require_session_mfa: true, session_mfa_reuse: login_key")?;
    let refused = kubectl()?.failure(1)?;
    let pages: std::collections::HashSet<_> =
        refused.stderr.split_whitespace().filter(|word| word.contains("/web/ask/")).collect();
    assert_eq!(pages.len(), 1, "one page for all of a command's requests: {refused}");
    let asked = Asked::read(&refused.stderr).unwrap();
    approver.open(&asked)?;
    for shown in ["Kubernetes cluster", "prod", "kubectl", "ANY connection with your login key from 127.0.0.1"] {
        approver.browser.wait_for(shown)?;
    }
    approver.approve_return(&asked)?;
    assert!(kubectl()?.success()?.stdout.contains("pod/web-0"));
    assert!(kubectl()?.success()?.stdout.contains("pod/web-0"));
    Ok(())
}
