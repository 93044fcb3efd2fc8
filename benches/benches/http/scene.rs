//! An application behind the gate and behind nginx, and one who asks it either way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tapgate_benches::process::nanos;
use tapgate_benches::world::{Pass, World};
use tapgate_lab::{Lab, Nginx, Process, app_identity, own_binary, program};

use crate::{bare, hop};

/// How long one run may take.
const RUN_MAX: Duration = Duration::from_mins(3);

const ROLE: &str = "kind: role\nversion: v7\nmetadata: { name: bench }\nspec:\n  allow:\n    app_labels: { env: bench \
                    }\n";

/// The proxy before the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The gate, through the tunnels of `tap proxy app`, whose own CPU time does not count.
    Gate,
    /// nginx with TLS.
    Nginx,
    /// Pingora with TLS, and nothing else.
    Bare,
}

/// Everything.
pub(crate) struct Scene {
    _tap: Process,
    socket: PathBuf,
    nginx: Process,
    nginx_port: u16,
    nginx_hop: PathBuf,
    bare: Process,
    bare_port: u16,
    bare_hop: PathBuf,
    pass: Pass,
    _application: Nginx,
    world: World,
}

impl Scene {
    /// Sets everything up.
    pub(crate) fn new() -> Result<Self> {
        let world = World::new("bench", ROLE)?;
        let application = Nginx::start(&world.lab)?;
        let address = format!("http://127.0.0.1:{}", application.port);
        world.put(&format!(
            "kind: app\nversion: v3\nmetadata:\n  name: page\n  labels: {{ env: bench }}\nspec:\n  uri: {address}\n"
        ))?;
        let socket = world.lab.path().join("page.sock");
        let path = socket.display().to_string();
        let tap = world.jerry.start(&own_binary("tap")?, ["proxy", "app", "page", "--socket", &path])?;
        tap.wait_for("Proxying to")?;
        let pass = world.pass()?;
        let (certificate, key) = app_identity(&world.lab)?;
        let (nginx, nginx_port) = proxy(&world.lab, application.port, (&certificate, &key))?;
        let (bare, bare_port) = bare::start(&world.lab, application.port, (&certificate, &key))?;
        let nginx_hop = hop::start(&world.lab.path().join("nginx.sock"), nginx_port, &certificate)?;
        let bare_hop = hop::start(&world.lab.path().join("bare.sock"), bare_port, &certificate)?;
        let scene = Self {
            _tap: tap,
            socket,
            nginx,
            nginx_port,
            nginx_hop,
            bare,
            bare_port,
            bare_hop,
            pass,
            _application: application,
            world,
        };
        scene.requests(Way::Nginx, 100)?;
        Ok(scene)
    }

    /// The gate's process.
    pub(crate) fn gate(&self) -> u32 {
        self.world.gate()
    }

    fn proxy(&self, way: Way) -> u32 {
        match way {
            Way::Gate => self.gate(),
            Way::Nginx => self.nginx.id(),
            Way::Bare => self.bare.id(),
        }
    }

    /// So many requests over sixteen connections, each with its hop; the proxy's CPU nanoseconds for one.
    pub(crate) fn requests(&self, way: Way, requests: u32) -> Result<f64> {
        let before = nanos(&[self.proxy(way)])?;
        let mut command = Command::new(program("h2load", "nghttp2-client")?);
        command.args(["--h1", "-c", "16", "-n", &requests.to_string()]);
        let socket = match way {
            Way::Gate => &self.socket,
            Way::Nginx => &self.nginx_hop,
            Way::Bare => &self.bare_hop,
        };
        command.arg(format!("--base-uri=unix:{}", socket.display())).arg("http://page/");
        let ran = Process::start("h2load", &mut command)?.finish(RUN_MAX)?.success()?;
        ensure!(ran.stdout.contains(&format!("status codes: {requests} 2xx")), "not all was answered: {ran}");
        Ok((nanos(&[self.proxy(way)])? - before) / f64::from(requests))
    }

    /// So many connections one after the other, with a request each; the proxy's CPU nanoseconds for one.
    pub(crate) fn connections(&self, way: Way, connections: u32) -> Result<f64> {
        let before = nanos(&[self.proxy(way)])?;
        self.python(way, connections, "    one(connect())\n")?.finish(RUN_MAX)?.success()?;
        Ok((nanos(&[self.proxy(way)])? - before) / f64::from(connections))
    }

    /// Connections through the gate that have asked once, and stay until this is dropped.
    pub(crate) fn hold(&self, connections: u32) -> Result<Process> {
        let process = self.python(Way::Gate, connections, "    s = connect(); one(s); held.append(s)\n")?;
        process.wait_for("up")?;
        Ok(process)
    }

    /// Python that does this once for each connection, says so, and stays until its input ends.
    fn python(&self, way: Way, connections: u32, body: &str) -> Result<Process> {
        let connect = match way {
            Way::Gate => format!(
                "def connect():\n    s = socket.socket(socket.AF_UNIX); s.connect('{}'); return s\n",
                self.socket.display()
            ),
            Way::Nginx | Way::Bare => format!(
                "c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n\
                 c.load_cert_chain('{}', '{}')\ndef connect():\n    return \
                 c.wrap_socket(socket.create_connection(('127.0.0.1', {})))\n",
                self.pass.certificate.display(),
                self.pass.key.display(),
                if way == Way::Bare { self.bare_port } else { self.nginx_port }
            ),
        };
        let text = format!(
            "import socket, ssl, sys\n{connect}def one(s):\n    s.sendall(b'GET / HTTP/1.1\\r\\nHost: page\\r\\n\\r\\n')\n    \
             answer = b''\n    while b'nginx for' not in answer:\n        more = s.recv(65536)\n        assert more, \
             answer\n        answer += more\n    assert b' 200 ' in answer, answer\nheld = []\nfor _ in \
             range({connections}):\n{body}print('up', flush=True)\n{}",
            if body.contains("held") { "sys.stdin.read()\n" } else { "" }
        );
        let script = self.world.lab.write("ask.py", &text)?;
        let mut command = Command::new(program("/usr/bin/python3", "python3")?);
        Process::start("python3", command.arg(script))
    }
}

/// nginx as a proxy with TLS, connections to the application that stay, and a client certificate that is looked at.
fn proxy(lab: &Lab, application: u16, (certificate, key): (&Path, &Path)) -> Result<(Process, u16)> {
    let (port, folder) = (lab.port()?, lab.dir("nginx-proxy")?);
    let path = folder.display();
    let text = format!(
        "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\nevents {{ worker_connections 512; \
         }}\nhttp {{ access_log off; client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path \
         {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;\nkeepalive_requests 1000000;\nupstream app {{ \
         server 127.0.0.1:{application}; keepalive 64; }}\nserver {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3; \
         ssl_session_cache off; ssl_session_tickets off; ssl_verify_client optional_no_ca;\nssl_certificate {}; \
         ssl_certificate_key {};\nlocation / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header \
         Connection \"\"; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n",
        certificate.display(),
        key.display()
    );
    let config = lab.write("nginx-proxy.conf", &text)?;
    let mut command = Command::new(program("nginx", "nginx-light")?);
    let mut process = Process::start("nginx", command.arg("-p").arg(&folder).arg("-c").arg(&config))?;
    while !folder.join("pid").exists() {
        ensure!(process.is_running(), "nginx ended: {}", process.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((process, port))
}
