//! A gate with one cluster behind it, and jerry's kubectl, which asks `tap` for credentials.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::{Kube, Process, Ran, kube_program};

use crate::world::World;

/// The scene.
pub(crate) struct Scene {
    pub(crate) cluster: Kube,
    pub(crate) world: World,
    pub(crate) kubeconfig: PathBuf,
}

impl Scene {
    /// With jerry as the user `jerry` of the group `developers` in the cluster; `options` are his role's.
    pub(crate) fn new(options: &str) -> Result<Self> {
        let world = World::new()?;
        let cluster = Kube::start(&world.lab, "prod")?;
        cluster.apply(RBAC)?;
        let packed = STANDARD.encode(std::fs::read(cluster.kubeconfig("gate", "/CN=gate")?)?);
        world.put(&format!(
            "kind: kube_cluster\nversion: v3\nmetadata: {{name: prod, labels: {{env: prod}}}}\nspec: {{kubeconfig: {packed}}}\n"
        ))?;
        let kubeconfig = world.lab.path().join("jerry.kubeconfig");
        let scene = Self { cluster, world, kubeconfig };
        scene.put_options(options)?;
        let path = scene.kubeconfig.display().to_string();
        scene.world.jerry.tap(["kube", "login", "prod", "--kubeconfig", &path])?.success()?;
        Ok(scene)
    }

    /// Gives jerry's role these options.
    pub(crate) fn put_options(&self, options: &str) -> Result<Ran> {
        self.world.put(&format!(
            "kind: role\nversion: v7\nmetadata: {{name: access-prod}}\nspec:\n  options: {{{options}}}\n  allow:\n    \
             node_labels: {{env: prod}}\n    logins: [{}]\n    kubernetes_labels: {{env: prod}}\n    kubernetes_users: \
             [jerry]\n    kubernetes_groups: [developers]\n    kubernetes_resources:\n    - {{kind: '*', name: '*', \
             namespace: '*', verbs: ['*'], api_group: '*'}}\n",
            self.world.login
        ))
    }

    /// Gives jerry's role these entries of `kubernetes_resources` (v8), and these options.
    pub(crate) fn put_resources(&self, options: &str, allow: &[&str], deny: &[&str]) -> Result<Ran> {
        let list = |entries: &[&str]| entries.iter().map(|e| format!("    - {{{e}}}\n")).collect::<Vec<_>>().concat();
        let deny =
            if deny.is_empty() { String::new() } else { format!("  deny:\n    kubernetes_resources:\n{}", list(deny)) };
        self.world.put(&format!(
            "kind: role\nversion: v8\nmetadata: {{name: access-prod}}\nspec:\n  options: {{{options}}}\n  allow:\n    \
             kubernetes_labels: {{env: prod}}\n    kubernetes_users: [jerry]\n    kubernetes_groups: [developers]\n    \
             kubernetes_resources:\n{}{deny}",
            list(allow)
        ))
    }

    /// In the cluster itself, developers may do everything from now on: what is refused is the gate's doing.
    pub(crate) fn open_the_cluster(&self) -> Result<()> {
        self.cluster.apply(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: developers}\nroleRef: \
             {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: Group, name: \
             developers, apiGroup: rbac.authorization.k8s.io}]\n",
        )
    }

    /// jerry's kubectl to its end.
    pub(crate) fn kubectl(&self, words: &[&str]) -> Result<Ran> {
        self.start(words)?.finish(std::time::Duration::from_mins(1))
    }

    /// jerry's kubectl, left running.
    pub(crate) fn start(&self, words: &[&str]) -> Result<Process> {
        self.world.jerry.start(&kube_program("kubectl")?, self.words(words))
    }

    /// The same cluster under another name, by the gate's user there of this name.
    pub(crate) fn add_cluster(&self, name: &str, gate: &str) -> Result<Ran> {
        let packed = STANDARD.encode(std::fs::read(self.cluster.kubeconfig(gate, &format!("/CN={gate}"))?)?);
        self.world.put(&format!(
            "kind: kube_cluster\nversion: v3\nmetadata: {{name: {name}, labels: {{env: prod}}}}\nspec: {{kubeconfig: \
             {packed}}}\n"
        ))
    }

    /// jerry's kubectl with something in its environment, to its end.
    pub(crate) fn kubectl_with(&self, variable: &str, words: &[&str]) -> Result<Ran> {
        self.start_with(variable, words)?.finish(std::time::Duration::from_mins(1))
    }

    /// The same, left running.
    pub(crate) fn start_with(&self, variable: &str, words: &[&str]) -> Result<Process> {
        let mut all = vec![variable.to_owned(), kube_program("kubectl")?.display().to_string()];
        all.extend(self.words(words));
        self.world.jerry.start(std::path::Path::new("/usr/bin/env"), all)
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        let config = ["--kubeconfig".to_owned(), self.kubeconfig.display().to_string()];
        config.into_iter().chain(words.iter().map(|word| (*word).to_owned())).collect()
    }

    /// How many taps the gate has verified for sessions of the cluster.
    pub(crate) fn taps(&self) -> Result<usize> {
        let log = std::fs::read_to_string(self.world.lab.path().join("audit.jsonl")).context("no audit log")?;
        Ok(log.lines().filter(|line| line.contains("mfa.succeeded") && line.contains("kube_cluster")).count())
    }
}

/// The gate's own user may be others, and nothing else; developers may see and use pods in `dev` alone.
const RBAC: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: gate}
rules:
- {apiGroups: [''], resources: [users, groups], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: gate}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: gate}
subjects: [{kind: User, name: gate, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: developer, namespace: dev}
rules:
- {apiGroups: [''], resources: ['*'], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: developers, namespace: dev}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: developer}
subjects: [{kind: Group, name: developers, apiGroup: rbac.authorization.k8s.io}]
";
