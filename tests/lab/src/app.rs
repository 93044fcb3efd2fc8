//! Applications: one in Python with everything that a request may meet, one that speaks gRPC, and nginx.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{Lab, Process, Ran, limits, program};

const SOURCE: &str = include_str!("app.py");

/// Debian's Python, for which its packages are.
const PYTHON: &str = "/usr/bin/python3";

/// How the application in Python proves itself.
#[derive(Debug, Clone, Default)]
pub struct AppTls {
    /// Its certificate and its key, PEM files; none for plain HTTP.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authority of the clients that it lets in, a PEM file; none for anybody.
    pub clients: Option<PathBuf>,
}

/// The application in Python, with two TCP services beside it.
#[derive(Debug)]
pub struct PythonApp {
    process: Process,
    /// Where it speaks HTTP.
    pub http: u16,
    /// Where its TCP services are.
    pub tcp: [u16; 2],
}

impl PythonApp {
    /// Starts it.
    pub fn start(lab: &Lab, tls: &AppTls) -> Result<Self> {
        let mut command = python(lab)?;
        if let Some((certificate, key)) = &tls.identity {
            command.arg(certificate).arg(key).args(&tls.clients);
        }
        let process = Process::start("the application", &mut command)?;
        let ports = process.wait_for_line("the ports", |line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["http", http, "tcp", one, "tcp", two] => {
                    Some((http.parse().ok()?, [one.parse().ok()?, two.parse().ok()?]))
                }
                _ => None,
            }
        })?;
        Ok(Self { process, http: ports.0, tcp: ports.1 })
    }

    /// The process: what it was asked stands in its output.
    pub const fn process(&self) -> &Process {
        &self.process
    }
}

/// The application that speaks gRPC.
#[derive(Debug)]
pub struct GrpcApp {
    _process: Process,
    /// Where it listens.
    pub port: u16,
}

impl GrpcApp {
    /// Starts it.
    pub fn start(lab: &Lab) -> Result<Self> {
        let process = Process::start("the gRPC application", grpc(lab)?.arg("grpc"))?;
        let port = process.wait_for_line("the port", |line| line.strip_prefix("grpc ")?.trim().parse().ok())?;
        Ok(Self { _process: process, port })
    }

    /// Calls it through this target, such as `unix:/run/a.sock`.
    pub fn call(lab: &Lab, target: &str) -> Result<Ran> {
        Process::start("the gRPC client", grpc(lab)?.args(["grpc-client", target]))?.finish(limits::COMMAND)
    }
}

fn grpc(lab: &Lab) -> Result<Command> {
    program("/usr/lib/python3/dist-packages/grpc/__init__.py", "python3-grpcio")?;
    let mut command = python(lab)?;
    // What the environment says of proxies is not for this machine's own sockets.
    command.env_remove("http_proxy").env_remove("https_proxy").env("GRPC_ENABLE_FORK_SUPPORT", "0");
    Ok(command)
}

fn python(lab: &Lab) -> Result<Command> {
    let python = program(PYTHON, "python3")?;
    let mut command = Command::new(python);
    command.arg(lab.write("app.py", SOURCE)?);
    Ok(command)
}

/// nginx as an application: a page, and the name that it was asked under.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Nginx {
    /// Starts it in the foreground, with everything of its own in the lab.
    pub fn start(lab: &Lab) -> Result<Self> {
        let (port, folder) = (lab.port()?, lab.dir("nginx")?);
        let path = folder.display();
        let text = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; client_body_temp_path {path}/a; proxy_temp_path {path}/b; \
             fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"nginx for $http_host as $http_tapgate_user\\n\"; }} }} }}\n"
        );
        let config = lab.write("nginx.conf", &text)?;
        let mut command = Command::new(program("nginx", "nginx-light")?);
        let mut process = Process::start("nginx", command.arg("-p").arg(&folder).arg("-c").arg(&config))?;
        wait_for_port(port, &mut process)?;
        Ok(Self { _process: process, port })
    }
}

#[expect(clippy::disallowed_methods, reason = "the lab looks whether its own server is there; no gate is involved")]
fn wait_for_port(port: u16, process: &mut Process) -> Result<()> {
    let until = std::time::Instant::now() + limits::READY;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if std::time::Instant::now() > until || !process.is_running() {
            bail!("nginx does not listen:\n{}", process.stderr());
        }
        std::thread::sleep(limits::LOOK);
    }
    Ok(())
}

/// A certificate for `localhost` from an authority of its own, and a client authority to write down; all in the lab.
pub fn app_identity(lab: &Lab) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (lab.path().join("app.crt"), lab.path().join("app.key"));
    let mut command = Command::new(program("openssl", "openssl")?);
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    Process::start("openssl", &mut command)?.finish(limits::COMMAND)?.success()?;
    certificate.is_file().then_some((certificate, key)).context("openssl wrote no certificate")
}
