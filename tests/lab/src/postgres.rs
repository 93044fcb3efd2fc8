//! A real PostgreSQL server on loopback, with TLS, as an ordinary user of the system.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::unistd::{Gid, Uid, User, chown, geteuid};

use crate::{CertAuthority, Lab, Process, Ran, limits, newer_postgres, program};

/// Where Debian puts the server's own programs, the newest version first.
const FOLDER: &str = "/usr/lib/postgresql";

/// How a server differs from the plainest one.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// The authority whose client certificates it takes, in PEM.
    pub client_ca: String,
    /// Lines of `pg_hba.conf`, before the last one, which takes nobody.
    pub hba: Vec<String>,
    /// Further lines of `postgresql.conf`.
    pub config: Vec<String>,
    /// SQL that the superuser runs before anybody comes.
    pub setup: String,
    /// Whether it is to be newer than the system's.
    pub newer: bool,
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    name: String,
    port: u16,
    folder: PathBuf,
    ca: String,
    programs: PathBuf,
    owner: Option<User>,
    process: Option<Process>,
}

impl Postgres {
    /// Starts the server `name`; back when it takes connections.
    pub fn start(lab: &Lab, name: &str, options: &PostgresOptions) -> Result<Self> {
        let programs = if options.newer { newer_postgres::copy_into(lab, name)? } else { programs()? };
        let authority = CertAuthority::make(lab, &format!("ca-{name}"))?;
        let folder = lab.dir(&format!("pg-{name}"))?;
        let owner = owner()?;
        let mut server = Self {
            name: name.to_owned(),
            port: lab.port()?,
            ca: authority.pem()?,
            folder,
            programs,
            owner,
            process: None,
        };
        server.give(lab.path(), &server.folder, 0o711)?;
        let data = server.folder.join("data");
        let words = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"];
        server.own("initdb", &words, &["-D", &data.display().to_string()])?.success()?;
        let certificate = authority.server("server", "DNS:localhost,IP:127.0.0.1")?;
        for (from, to) in [(&certificate.key, "server.key"), (&certificate.certificate, "server.crt")] {
            std::fs::copy(from, data.join(to))?;
        }
        std::fs::write(data.join("client-ca.crt"), &options.client_ca)?;
        let hba = options.hba.join("\n");
        std::fs::write(data.join("pg_hba.conf"), format!("local all postgres trust\n{hba}\n"))?;
        let config = std::fs::read_to_string(data.join("postgresql.conf"))?;
        std::fs::write(data.join("postgresql.conf"), config + &server.config(options))?;
        for file in ["server.key", "server.crt", "client-ca.crt", "pg_hba.conf", "postgresql.conf"] {
            server.give(lab.path(), &data.join(file), 0o600)?;
        }
        server.run()?;
        if !options.setup.is_empty() {
            server.sql(&options.setup)?;
        }
        Ok(server)
    }

    fn config(&self, options: &PostgresOptions) -> String {
        let further = options.config.join("\n");
        format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nssl = on\n\
             ssl_ca_file = 'client-ca.crt'\nfsync = off\nmax_connections = 300\nshared_buffers = 32MB\n{further}\n",
            self.port,
            self.folder.display()
        )
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
    fn command(&self, program_name: &str) -> Result<Command> {
        let path = self.programs.join(program_name);
        let Some(User { uid, gid, .. }) = &self.owner else { return Ok(Command::new(path)) };
        let mut command = Command::new(program("setpriv", "util-linux")?);
        let ids = [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()];
        command.args(ids).arg(path).current_dir(&self.folder);
        Ok(command)
    }

    fn own(&self, program_name: &str, words: &[&str], more: &[&str]) -> Result<Ran> {
        let mut command = self.command(program_name)?;
        Process::start(program_name, command.args(words).args(more))?.finish(limits::COMMAND)
    }

    fn run(&mut self) -> Result<()> {
        let mut command = self.command("postgres")?;
        command.arg("-D").arg(self.folder.join("data"));
        let process = Process::start(&format!("postgres {}", self.name), &mut command)?;
        process.wait_for_error("database system is ready to accept connections")?;
        self.process = Some(process);
        Ok(())
    }

    /// Runs SQL as the superuser, past the gate.
    pub fn sql(&self, text: &str) -> Result<String> {
        let mut command = Command::new(program("psql", "postgresql-client")?);
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]);
        command.arg("-h").arg(&self.folder).arg("-p").arg(self.port.to_string()).args(["-f", "-"]);
        let mut process = Process::start("psql", &mut command)?;
        process.write(text.as_bytes())?;
        Ok(process.finish(limits::COMMAND)?.success()?.stdout.trim().to_owned())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port of its TCP listener on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that its certificate comes from, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// What it has said so far: its log.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::stderr).unwrap_or_default()
    }

    /// Ends it at once, with all its connections.
    pub fn stop(&mut self) -> Result<()> {
        let process = self.process.take().context("it is down already")?;
        process.signal(nix::sys::signal::Signal::SIGQUIT);
        process.finish(limits::COMMAND).map(drop)
    }

    /// Starts it again on its data.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "it runs");
        self.run()
    }

    /// Stops its processes as a machine that hangs would, or lets them go on.
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
            "kind: db\nversion: v3\nmetadata:\n  name: {}\n  labels: {{ env: {env} }}\nspec:\n  protocol: postgres\n  \
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
    let user = User::from_name("postgres").context("cannot look up the user postgres")?;
    let user =
        user.context("there is no user postgres (install the package postgresql, or run `cargo xtask setup`)")?;
    ensure!(user.uid != Uid::from_raw(0) && user.gid != Gid::from_raw(0), "the user postgres is root");
    Ok(Some(user))
}

fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir(FOLDER).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin"))))
        .filter(|(_, path)| path.join("postgres").is_file())
        .collect();
    found.sort();
    let (_, newest) = found
        .pop()
        .context("no PostgreSQL server was found (install the package postgresql, or run `cargo xtask setup`)")?;
    Ok(newest)
}
