//! Database servers that do not keep to their protocol, in Python, with a certificate that is good.

use std::process::Command;

use anyhow::Result;

use crate::{CertAuthority, Lab, Process, program};

const SOURCE: &str = include_str!("hostile.py");

/// A server that misbehaves as it is told. Dropping it ends it.
#[derive(Debug)]
pub struct Hostile {
    process: Process,
    kind: &'static str,
    port: u16,
    ca: String,
}

impl Hostile {
    /// Starts one that speaks something like `postgres` or `mysql`.
    pub fn start(lab: &Lab, kind: &'static str) -> Result<Self> {
        let authority = CertAuthority::make(lab, &format!("ca-hostile-{kind}"))?;
        let certificate = authority.server("server", "DNS:localhost,IP:127.0.0.1")?;
        let mut command = Command::new(program("/usr/bin/python3", "python3")?);
        command.arg(lab.write(&format!("hostile-{kind}.py"), SOURCE)?).arg(kind);
        command.arg(&certificate.certificate).arg(&certificate.key);
        let process = Process::start("the hostile server", &mut command)?;
        let port = process.wait_for_line("the port", |line| line.strip_prefix("port ")?.trim().parse().ok())?;
        Ok(Self { process, kind, port, ca: authority.pem()? })
    }

    /// From here on it misbehaves in this way.
    pub fn be(&mut self, way: &str) -> Result<()> {
        self.process.write(format!("{way}\n").as_bytes())?;
        self.process.wait_for(&format!("now {way}\n"))
    }

    /// What it has heard that it should not have.
    pub fn heard(&self) -> Vec<String> {
        let lines = self.process.stdout();
        let beside = |line: &&str| !line.starts_with("port ") && !line.starts_with("now ");
        lines.lines().filter(beside).map(str::to_owned).collect()
    }

    /// Its `db` document under this name.
    pub fn db_yaml(&self, name: &str, env: &str, spec: &str) -> String {
        let ca = self.ca.trim().replace('\n', "\n      ");
        format!(
            "kind: db\nversion: v3\nmetadata:\n  name: {name}\n  labels: {{ env: {env} }}\nspec:\n  protocol: {}\n  \
             uri: localhost:{}\n  tls:\n    ca_cert: |\n      {ca}\n{spec}",
            self.kind, self.port
        )
    }
}
