//! A real MariaDB server on loopback, with TLS, as an ordinary user of the system.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::unistd::{User, chown, geteuid};

use crate::{CertAuthority, Lab, Process, limits, program};

/// How a server differs from the plainest one.
#[derive(Debug, Clone, Default)]
pub struct MariaDbOptions {
    /// The authority whose client certificates it takes, in PEM.
    pub client_ca: String,
    /// Further options of the command line.
    pub options: Vec<String>,
    /// SQL that the superuser runs before anybody comes.
    pub setup: String,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct MariaDb {
    name: String,
    port: u16,
    folder: PathBuf,
    ca: String,
    owner: Option<User>,
    further: Vec<String>,
    process: Option<Process>,
}

impl MariaDb {
    /// Starts the server `name`; back when it takes connections.
    pub fn start(lab: &Lab, name: &str, options: &MariaDbOptions) -> Result<Self> {
        let authority = CertAuthority::make(lab, &format!("ca-{name}"))?;
        let folder = lab.dir(&format!("my-{name}"))?;
        let (port, ca, owner) = (lab.port()?, authority.pem()?, owner()?);
        let name = name.to_owned();
        let mut server = Self { name, port, folder, ca, owner, further: options.options.clone(), process: None };
        server.give(lab.path(), &server.folder, 0o711)?;
        let certificate = authority.server("server", "DNS:localhost,IP:127.0.0.1")?;
        for (from, to) in [(&certificate.key, "server.key"), (&certificate.certificate, "server.crt")] {
            std::fs::copy(from, server.folder.join(to))?;
        }
        // A server without an authority would ask no client for a certificate.
        let client_ca = if options.client_ca.is_empty() { &server.ca } else { &options.client_ca };
        std::fs::write(server.folder.join("client-ca.crt"), client_ca)?;
        for file in ["server.key", "server.crt", "client-ca.crt"] {
            server.give(lab.path(), &server.folder.join(file), 0o600)?;
        }
        let mut install = server.command("mariadb-install-db", "mariadb-server")?;
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.arg(format!("--datadir={}", server.folder.join("data").display()));
        // A server that starts clears its folder for temporary files: one each, or they clear each other's.
        install.arg(format!("--tmpdir={}", server.folder.display()));
        Process::start("mariadb-install-db", &mut install)?.finish(limits::COMMAND)?.success()?;
        server.run()?;
        if !options.setup.is_empty() {
            server.sql(&options.setup)?;
        }
        Ok(server)
    }

    /// Gives a file to whoever runs the server.
    fn give(&self, lab: &Path, file: &Path, mode: u32) -> Result<()> {
        std::fs::set_permissions(file, Permissions::from_mode(mode))?;
        if let Some(owner) = &self.owner {
            // The way there must be open to that user.
            std::fs::set_permissions(lab, Permissions::from_mode(0o711))?;
            chown(file, Some(owner.uid), Some(owner.gid)).context("cannot give a file to the server's user")?;
        }
        Ok(())
    }

    /// A command of the server's own, as its user.
    fn command(&self, name: &str, package: &str) -> Result<Command> {
        let path = program(name, package)?;
        let Some(User { uid, gid, .. }) = &self.owner else { return Ok(Command::new(path)) };
        let mut command = Command::new(program("setpriv", "util-linux")?);
        let ids = [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()];
        command.args(ids).arg(path).current_dir(&self.folder);
        Ok(command)
    }

    fn run(&mut self) -> Result<()> {
        let mut command = self.command("mariadbd", "mariadb-server")?;
        let at = |file: &str| self.folder.join(file).display().to_string();
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M"]);
        command.args(["--skip-name-resolve", "--max-connections=400", "--innodb-flush-log-at-trx-commit=0"]);
        command.args(["--loose-innodb-use-native-aio=0", "--max-allowed-packet=64M", "--innodb-log-file-size=96M"]);
        command.arg(format!("--tmpdir={}", self.folder.display()));
        command.arg(format!("--datadir={}", at("data"))).arg(format!("--port={}", self.port));
        command.arg(format!("--socket={}", self.socket())).arg(format!("--pid-file={}", at("pid")));
        command.arg(format!("--ssl-cert={}", at("server.crt"))).arg(format!("--ssl-key={}", at("server.key")));
        command.arg(format!("--ssl-ca={}", at("client-ca.crt"))).args(&self.further);
        let process = Process::start(&format!("mariadbd {}", self.name), &mut command)?;
        process.wait_for_error("ready for connections")?;
        self.process = Some(process);
        Ok(())
    }

    fn socket(&self) -> String {
        self.folder.join("s").display().to_string()
    }

    /// Runs SQL as the superuser, past the gate; answers what it says, without the names of columns.
    pub fn sql(&self, text: &str) -> Result<String> {
        let mut command = Command::new(program("mariadb", "mariadb-client")?);
        command.args(["--no-defaults", "-u", "root", "-N", "-B", "-S", &self.socket()]);
        let mut process = Process::start("mariadb", &mut command)?;
        process.write(text.as_bytes())?;
        Ok(process.finish(limits::COMMAND)?.success()?.stdout.trim().to_owned())
    }

    /// The authority that its certificate comes from, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The port of its TCP listener on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it, with all its connections.
    pub fn stop(&mut self) -> Result<()> {
        self.process.take().context("it is down already")?.stop().map(drop)
    }

    /// Starts it again on its data.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "it runs");
        self.run()
    }

    /// Stops its process as a machine that hangs would, or lets it go on.
    pub fn hang(&self, hang: bool) {
        use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
        if let Some(process) = &self.process {
            process.signal(if hang { SIGSTOP } else { SIGCONT });
        }
    }

    /// Its `db` document, as an administrator would write it, with these labels and further lines of `spec`.
    pub fn db_yaml(&self, env: &str, spec: &str) -> String {
        let ca = self.ca.trim().replace('\n', "\n      ");
        format!(
            "kind: db\nversion: v3\nmetadata:\n  name: {}\n  labels: {{ env: {env} }}\nspec:\n  protocol: mysql\n  \
             uri: localhost:{}\n  tls:\n    ca_cert: |\n      {ca}\n{spec}",
            self.name, self.port
        )
    }
}

/// The server refuses to run as root: then the system's own user for it runs it.
fn owner() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("mysql").context("cannot look up the user mysql")?;
    let user =
        user.context("there is no user mysql (install the package mariadb-server, or run `cargo xtask setup`)")?;
    ensure!(!user.uid.is_root(), "the user mysql is root");
    Ok(Some(user))
}
