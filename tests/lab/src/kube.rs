//! A real Kubernetes API server with its etcd, one node whose kubelet runs commands here, and one pod on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::missing::{cached, variable};
use crate::{CertAuthority, Certificate, Lab, Process, Ran, limits, program};

/// The folder below the cache, with the number of its recipe; the same stands in xtask.
const FOLDER: &str = "tapgate/kube-1";

/// The same for helm.
const HELM_FOLDER: &str = "tapgate/helm-1";

/// A running cluster. Dropping it ends it.
#[derive(Debug)]
pub struct Kube {
    // In the order in which they end.
    kubelet: Process,
    api: Process,
    etcd: Process,
    ca: CertAuthority,
    folder: PathBuf,
    /// The administrator's kubeconfig.
    admin: PathBuf,
    port: u16,
}

/// A program that `cargo xtask setup` has built, or that `KUBEBUILDER_ASSETS` brings.
pub fn kube_program(name: &str) -> Result<PathBuf> {
    let folders = [variable("KUBEBUILDER_ASSETS"), cached("TAPGATE_KUBE", FOLDER)];
    let found = folders.into_iter().flatten().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not there for the tests (run `cargo xtask setup`)"))
}

/// helm, which `cargo xtask setup` has built.
pub fn helm_program() -> Result<PathBuf> {
    let found = cached("TAPGATE_HELM", HELM_FOLDER).map(|folder| folder.join("helm")).filter(|path| path.is_file());
    found.context("helm is not there for the tests (run `cargo xtask setup`)")
}

impl Kube {
    /// Starts a cluster in the lab; back when it is ready, with the pod `web-0` in the namespace `dev`.
    pub fn start(lab: &Lab, name: &str) -> Result<Self> {
        let folder = lab.dir(name)?;
        let ca = CertAuthority::make(lab, &format!("{name}/ca"))?;
        let server = ca.server("server", "DNS:localhost,IP:127.0.0.1")?;
        let node = ca.server("node", "DNS:node-1,IP:127.0.0.1")?;
        let client = ca.client("apiserver", "/O=system:masters/CN=kube-apiserver")?;
        let etcd_ports = (lab.port()?, lab.port()?);
        let etcd = etcd(&folder, etcd_ports)?;
        let kubelet_port = lab.port()?;
        let kubelet = kubelet(kubelet_port, &node, &ca)?;
        let port = lab.port()?;
        let api = api_server(&folder, port, etcd_ports.0, &ca, &server, &client)?;
        let admin = kubeconfig(&folder, &ca, port, "admin", "/O=system:masters/CN=admin")?;
        let kube = Self { kubelet, api, etcd, ca, folder, admin, port };
        kube.ready()?;
        kube.furnish(kubelet_port)?;
        Ok(kube)
    }

    /// The processes themselves: the API server's, etcd's and the kubelet's.
    pub const fn processes(&self) -> [&Process; 3] {
        [&self.api, &self.etcd, &self.kubelet]
    }

    /// A kubeconfig with a client certificate of this subject, such as `/CN=gate`; its path.
    pub fn kubeconfig(&self, name: &str, subject: &str) -> Result<PathBuf> {
        kubeconfig(&self.folder, &self.ca, self.port, name, subject)
    }

    /// kubectl as the cluster's administrator, past the gate.
    pub fn kubectl(&self, words: &[&str]) -> Result<Ran> {
        let mut command = Command::new(kube_program("kubectl")?);
        command.env("HOME", &self.folder).arg("--kubeconfig").arg(&self.admin).args(words);
        Process::start("kubectl", &mut command)?.finish(limits::COMMAND)
    }

    /// What the API server itself answers its administrator, byte for byte.
    pub fn raw(&self, path: &str, accept: &str) -> Result<Vec<u8>> {
        let Certificate { key, certificate } = self.ca.client("reader", "/O=system:masters/CN=reader")?;
        let mut command = Command::new(program("curl", "curl")?);
        command.args(["-sSf", "--cacert"]).arg(self.ca.path()).arg("--cert").arg(certificate).arg("--key").arg(key);
        command.arg("-H").arg(format!("Accept: {accept}")).arg(format!("https://localhost:{}{path}", self.port));
        let output = command.output().context("cannot run curl")?;
        ensure!(output.status.success(), "curl failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// Creates what this manifest says.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        let path = self.folder.join("apply.yaml");
        std::fs::write(&path, manifest)?;
        self.kubectl(&["apply", "--validate=false", "-f", &path.display().to_string()])?.success().map(drop)
    }

    fn ready(&self) -> Result<()> {
        let until = Instant::now() + limits::READY;
        while Instant::now() < until {
            if self.kubectl(&["get", "--raw", "/readyz"]).is_ok_and(|ran| ran.stdout.trim() == "ok") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the API server is not ready in time:\n{}", self.api.stderr())
    }

    /// A node whose kubelet is ours, and a pod that runs on it as far as the API server knows.
    fn furnish(&self, kubelet_port: u16) -> Result<()> {
        self.apply(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: dev}\n---\napiVersion: v1\nkind: Namespace\nmetadata: \
             {name: prod}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n",
        )?;
        let status = format!(
            "{{\"status\":{{\"addresses\":[{{\"type\":\"InternalIP\",\"address\":\"127.0.0.1\"}}],\"daemonEndpoints\":\
             {{\"kubeletEndpoint\":{{\"Port\":{kubelet_port}}}}}}}}}"
        );
        self.patch("node", "node-1", None, &status)?;
        for (namespace, name) in [("dev", "web-0"), ("dev", "db-0"), ("prod", "web-0")] {
            self.pod(namespace, name)?;
        }
        Ok(())
    }

    /// A pod on the node, running as far as the API server knows.
    pub fn pod(&self, namespace: &str, name: &str) -> Result<()> {
        self.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  nodeName: node-1\n  \
             containers: [{{name: main, image: none}}]\n"
        ))?;
        let status = "{\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"main\",\"ready\":true,\
                      \"started\":true,\"restartCount\":0,\"image\":\"none\",\"imageID\":\"none\",\"state\":{\"running\":\
                      {\"startedAt\":\"2026-01-01T00:00:00Z\"}}}]}}";
        self.patch("pod", name, Some(namespace), status)
    }

    fn patch(&self, kind: &str, name: &str, namespace: Option<&str>, patch: &str) -> Result<()> {
        let mut words = vec!["patch", kind, name, "--subresource=status", "--type=merge", "-p", patch];
        words.extend(namespace.into_iter().flat_map(|namespace| ["--namespace", namespace]));
        self.kubectl(&words)?.success().map(drop)
    }
}

fn kubeconfig(folder: &Path, ca: &CertAuthority, port: u16, name: &str, subject: &str) -> Result<PathBuf> {
    let Certificate { key, certificate } = ca.client(name, subject)?;
    let read = |path: &Path| std::fs::read(path).map(|pem| STANDARD.encode(pem)).context("a certificate is not there");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\ncontexts:\n- name: lab\n  context: {{cluster: lab, user: \
         {name}}}\nclusters:\n- name: lab\n  cluster:\n    server: https://localhost:{port}\n    \
         certificate-authority-data: {}\nusers:\n- name: {name}\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: {}\n",
        STANDARD.encode(ca.pem()?),
        read(&certificate)?,
        read(&key)?
    );
    let path = folder.join(format!("{name}.kubeconfig"));
    std::fs::write(&path, text)?;
    Ok(path)
}

fn etcd(folder: &Path, (clients, peers): (u16, u16)) -> Result<Process> {
    let path = match kube_program("etcd") {
        Ok(path) => path,
        Err(_) => program("etcd", "etcd-server")?,
    };
    let (clients, peers) = (format!("http://127.0.0.1:{clients}"), format!("http://127.0.0.1:{peers}"));
    let mut command = Command::new(path);
    command.arg("--data-dir").arg(folder.join("etcd")).args(["--name", "lab", "--log-level", "error"]);
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("lab={peers}")]);
    // Nothing of the lab survives it, so nothing need be on the disk.
    command.arg("--unsafe-no-fsync");
    Process::start("etcd", &mut command)
}

fn kubelet(port: u16, node: &Certificate, ca: &CertAuthority) -> Result<Process> {
    let mut command = Command::new(kube_program("kubelet")?);
    command.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--client-ca").arg(ca.path());
    command.arg("--cert").arg(&node.certificate).arg("--key").arg(&node.key);
    let process = Process::start("kubelet", &mut command)?;
    process.wait_for_line("the kubelet's address", |line| line.starts_with("listening on").then_some(()))?;
    Ok(process)
}

fn api_server(
    folder: &Path,
    port: u16,
    etcd: u16,
    ca: &CertAuthority,
    server: &Certificate,
    client: &Certificate,
) -> Result<Process> {
    let mut command = Command::new(kube_program("kube-apiserver")?);
    let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        let mut word = std::ffi::OsString::from(format!("--{name}="));
        word.push(value.as_ref());
        command.arg(word);
    };
    set("etcd-servers", &format!("http://127.0.0.1:{etcd}"));
    set("bind-address", &"127.0.0.1");
    set("advertise-address", &"127.0.0.1");
    set("secure-port", &port.to_string());
    set("cert-dir", &folder.join("apiserver"));
    set("tls-cert-file", &server.certificate);
    set("tls-private-key-file", &server.key);
    set("client-ca-file", &ca.path());
    set("authorization-mode", &"RBAC");
    set("service-account-issuer", &"https://kubernetes.default.svc");
    set("service-account-signing-key-file", &server.key);
    set("service-account-key-file", &server.certificate);
    set("service-cluster-ip-range", &"10.96.0.0/24");
    set("disable-admission-plugins", &"ServiceAccount,TaintNodesByCondition");
    set("kubelet-certificate-authority", &ca.path());
    set("kubelet-client-certificate", &client.certificate);
    set("kubelet-client-key", &client.key);
    set("kubelet-preferred-address-types", &"InternalIP");
    set("endpoint-reconciler-type", &"none");
    Process::start("kube-apiserver", &mut command)
}
