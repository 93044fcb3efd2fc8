//! A cluster behind the gate and behind a bare proxy, and those who ask it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_benches::process::nanos;
use tapgate_benches::world::World;
use tapgate_lab::{CertAuthority, Kube, Process, kube_program, program};

/// How long one run may take.
const RUN_MAX: Duration = Duration::from_mins(5);

/// How many watches one connection of HTTP/2 carries: below what the gate allows.
const SHARE: u32 = 500;

/// How many connections make the objects of a long list.
const WRITERS: u32 = 16;

/// What jerry may do: everything in one cluster, and to see every other object of the other.
const ROLES: &str = "kind: role\nversion: v8\nmetadata: { name: bench }\nspec:\n  allow:\n    kubernetes_labels: { env: bench \
                     }\n    kubernetes_users: [jerry]\n    kubernetes_groups: ['system:masters']\n    \
                     kubernetes_resources:\n    - { kind: '*', api_group: '*', namespace: '*', name: '*', verbs: ['*'] \
                     }\n---\nkind: role\nversion: v8\nmetadata: { name: part }\nspec:\n  allow:\n    kubernetes_labels: { \
                     env: part }\n    kubernetes_users: [jerry]\n    kubernetes_groups: ['system:masters']\n    \
                     kubernetes_resources:\n    - { kind: configmaps, api_group: '', namespace: '*', name: 'even-*', \
                     verbs: [list] }\n";

/// How the cluster is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the gate, with jerry's login certificate.
    Gate,
    /// Through the gate, with `tap` as kubectl's plugin.
    Plugin,
    /// Through the bare proxy.
    Bare,
    /// With nothing between.
    Direct,
}

/// How the programs of Python prove who they are at a port.
struct Entrance {
    port: u16,
    certificate: PathBuf,
    key: PathBuf,
}

/// Everything.
pub(crate) struct Scene {
    gate: Entrance,
    bare: Entrance,
    proxy: Process,
    kubeconfigs: [PathBuf; 3],
    cluster: Kube,
    world: World,
}

impl Scene {
    /// Sets everything up.
    pub(crate) fn new() -> Result<Self> {
        let world = World::new("bench,part", ROLES)?;
        let cluster = Kube::start(&world.lab, "bench")?;
        let kubeconfig = cluster.kubeconfig("gate", "/O=system:masters/CN=gate")?;
        let packed = STANDARD.encode(std::fs::read(&kubeconfig)?);
        for name in ["bench", "part"] {
            world.put(&format!(
                "kind: kube_cluster\nversion: v3\nmetadata: {{ name: {name}, labels: {{ env: {name} }} }}\nspec: {{ \
                 kubeconfig: {packed} }}\n"
            ))?;
        }
        let pass = world.pass()?;
        let by_certificate = world.lab.write(
            "gate.kubeconfig",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: bench\ncontexts:\n- name: bench\n  context: {{ cluster: \
                 bench, user: jerry }}\nclusters:\n- name: bench\n  cluster: {{ server: \"https://127.0.0.1:{}/bench\", \
                 tls-server-name: k8s.localhost, certificate-authority: \"{}\" }}\nusers:\n- name: jerry\n  user: {{ \
                 client-certificate: \"{}\", client-key: \"{}\" }}\n",
                world.port(),
                pass.gate_ca.display(),
                pass.certificate.display(),
                pass.key.display()
            ),
        )?;
        let by_plugin = world.lab.path().join("plugin.kubeconfig");
        world.jerry.tap(["kube", "login", "bench", "--kubeconfig", &by_plugin.display().to_string()])?.success()?;
        let direct = cluster.kubeconfig("direct", "/O=system:masters/CN=jerry")?;
        let gate = Entrance { port: world.port(), certificate: pass.certificate, key: pass.key };
        let (proxy, bare) = bare_proxy(&world, &kubeconfig)?;
        cluster.apply("apiVersion: v1\nkind: Namespace\nmetadata: { name: idle }\n")?;
        let kubeconfigs = [by_certificate, by_plugin, direct];
        Ok(Self { gate, bare, proxy, kubeconfigs, cluster, world })
    }

    /// The gate's process.
    pub(crate) fn gate(&self) -> u32 {
        self.world.gate()
    }

    /// The API server's process.
    pub(crate) fn api_server(&self) -> u32 {
        let [api, ..] = self.cluster.processes();
        api.id()
    }

    /// The process of whatever is between.
    pub(crate) fn proxy(&self, way: Way) -> u32 {
        if way == Way::Gate { self.gate() } else { self.proxy.id() }
    }

    /// So many runs of `kubectl get`; the nanoseconds of one.
    pub(crate) fn kubectl(&self, way: Way, times: u32) -> Result<f64> {
        let [by_certificate, by_plugin, direct] = &self.kubeconfigs;
        let config = match way {
            Way::Gate => by_certificate,
            Way::Plugin => by_plugin,
            Way::Direct | Way::Bare => direct,
        };
        let (program, config) = (kube_program("kubectl")?, config.display().to_string());
        let start = Instant::now();
        for _ in 0..times {
            let words = ["--kubeconfig", &config, "get", "pods", "-n", "dev"];
            let ran = self.world.jerry.start(&program, words)?.finish(RUN_MAX)?.success()?;
            ensure!(ran.stdout.contains("web-0"), "no pod: {ran}");
        }
        Ok(start.elapsed().as_secs_f64() * 1e9 / f64::from(times))
    }

    /// So many requests over one connection; the proxy's CPU nanoseconds for one.
    pub(crate) fn requests(&self, way: Way, times: u32) -> Result<f64> {
        let id = self.proxy(way);
        let before = nanos(&[id])?;
        let body = format!(
            "c = connect()\nfor _ in range({times}):\n    answer = ask(c, '/bench/api/v1/namespaces/idle')\n    assert \
             b'\"idle\"' in answer, answer\n"
        );
        self.python(way, &body)?.finish(RUN_MAX)?.success()?;
        Ok((nanos(&[id])? - before) / f64::from(times))
    }

    /// Makes so many objects, half of them even.
    pub(crate) fn fill(&self, objects: u32) -> Result<()> {
        // Many at once: etcd makes each safe on the disk.
        let body = format!(
            "from concurrent.futures import ThreadPoolExecutor\ndef some(first):\n    c = connect()\n    for n in \
             range(first, {objects}, {WRITERS}):\n        name = ('even-' if n % 2 == 0 else 'odd-') + str(n)\n        \
             ask(c, '/bench/api/v1/namespaces/prod/configmaps', json.dumps({{'metadata': {{'name': name}}, 'data': \
             {{'text': 'x' * 200}}}}))\nwith ThreadPoolExecutor({WRITERS}) as pool: list(pool.map(some, \
             range({WRITERS})))\n"
        );
        self.python(Way::Bare, &body)?.finish(RUN_MAX)?.success().map(drop)
    }

    /// Asks for the list of them, as it is or packed, as client-go asks for it.
    pub(crate) fn list(&self, way: Way, cluster: &str, objects: u32, packed: bool) -> Result<()> {
        let shown = if cluster == "part" { objects / 2 } else { objects };
        let (asked, unpacked) =
            if packed { (", {'Accept-Encoding': 'gzip'}", "gzip.decompress(answer)") } else { ("", "answer") };
        let body = format!(
            "answer = ask(connect(), '/{cluster}/api/v1/namespaces/prod/configmaps', None{asked})\nanswer = \
             {unpacked}\nassert answer.count(b'\"uid\":') == {shown}, answer[:1000]\n"
        );
        self.python(way, &body)?.finish(RUN_MAX)?.success().map(drop)
    }

    /// Watches through the gate that see nothing, until these are dropped: each over a connection of its own, or all
    /// over few.
    pub(crate) fn watch(&self, watches: u32, shared: bool) -> Result<Vec<Process>> {
        let path = "/bench/api/v1/namespaces/idle/configmaps?watch=true&timeoutSeconds=3000&resourceVersion=0";
        if shared {
            let parts = (0..watches).step_by(usize::try_from(SHARE)?).map(|from| SHARE.min(watches - from));
            return parts.map(|part| self.multiplexed(path, part)).collect();
        }
        let body = format!(
            "held = []\nfor n in range({watches}):\n    c = connect()\n    c.request('GET', '{path}')\n    r = \
             c.getresponse()\n    assert r.status == 200, r.read()\n    held.append((c, r))\n    print('up', n, \
             flush=True)\nsys.stdin.read()\n"
        );
        let process = self.python(Way::Gate, &body)?;
        // One by one: all of them together may take longer than anything should be waited for.
        for number in 0..watches {
            process.wait_for(&format!("up {number}\n"))?;
        }
        Ok(vec![process])
    }

    /// So many of them over one connection of HTTP/2.
    fn multiplexed(&self, path: &str, watches: u32) -> Result<Process> {
        let Entrance { port, certificate, key } = &self.gate;
        let mut command = Command::new(program("nghttp", "nghttp2-client")?);
        command.args(["-v", "-n", "-m", &watches.to_string(), "-H", ":authority: k8s.localhost"]);
        command.arg("--cert").arg(certificate).arg("--key").arg(key);
        command.arg(format!("https://127.0.0.1:{port}{path}"));
        let process = Process::start("nghttp", &mut command)?;
        for _ in 0..watches {
            process.wait_for(":status: 200")?;
        }
        Ok(process)
    }

    /// Python that has a connection and ways to ask over it.
    fn python(&self, way: Way, body: &str) -> Result<Process> {
        let Entrance { port, certificate, key } = if way == Way::Bare { &self.bare } else { &self.gate };
        let text = format!(
            "import gzip, http.client, json, resource, socket, ssl, sys\nsoft, hard = \
             resource.getrlimit(resource.RLIMIT_NOFILE)\nresource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\ncontext \
             = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = \
             ssl.CERT_NONE\ncontext.load_cert_chain('{}', '{}')\ndef connect():\n    c = \
             http.client.HTTPConnection('k8s.localhost')\n    c.sock = \
             context.wrap_socket(socket.create_connection(('127.0.0.1', {port})), server_hostname='k8s.localhost')\n    \
             return c\ndef ask(c, path, body=None, \
             headers={{'Content-Type': 'application/json'}}):\n    c.request('GET' if body is None else 'POST', path, body=body, headers=headers)\n    \
             r = c.getresponse()\n    answer = r.read()\n    assert r.status in (200, 201), answer\n    return \
             answer\n{body}",
            certificate.display(),
            key.display(),
        );
        let script = self.world.lab.write("ask.py", &text)?;
        let mut command = Command::new(program("/usr/bin/python3", "python3")?);
        Process::start("python3", command.arg(script))
    }
}

/// The bare proxy, which is this program itself.
fn bare_proxy(world: &World, kubeconfig: &Path) -> Result<(Process, Entrance)> {
    let ca = CertAuthority::make(&world.lab, "bare")?;
    let server = ca.server("server", "DNS:k8s.localhost,IP:127.0.0.1")?;
    let client = ca.client("client", "/CN=jerry")?;
    let mut command = Command::new(std::env::current_exe().context("this program has no path")?);
    command.arg(crate::bare::WORD).arg(&server.certificate).arg(&server.key).arg(ca.path()).arg(kubeconfig);
    let process = Process::start("the bare proxy", &mut command)?;
    let port = process.wait_for_line("its port", |line| line.strip_prefix("listening on ")?.parse().ok())?;
    Ok((process, Entrance { port, certificate: client.certificate, key: client.key }))
}
