//! A real MySQL server on loopback, with TLS, from the packages that `cargo xtask setup` has unpacked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use nix::unistd::geteuid;

use crate::missing::cached;
use crate::{CertAuthority, Lab, Process, limits};

/// The folder below the cache, with the number of its recipe; the same stands in xtask.
const FOLDER: &str = "tapgate/mysql-1";

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct MySql {
    name: String,
    port: u16,
    ca: String,
    _process: Process,
}

/// One of MySQL's programs, such as `bin/mysql`, with its own libraries.
pub fn mysql_program(path: &str) -> Result<Command> {
    let root = root()?;
    let libraries = std::fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let libraries = libraries.filter(|folder| folder.to_string_lossy().ends_with("-linux-gnu")).collect::<Vec<_>>();
    let loaders = libraries.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut loaders = loaders.filter(|entry| entry.file_name().to_string_lossy().starts_with("ld-linux-"));
    let (Some(folder), Some(loader)) = (libraries.first(), loaders.next()) else {
        anyhow::bail!("the MySQL in {} has no libraries (run `cargo xtask setup`)", root.display())
    };
    let mut command = Command::new(loader.path());
    command.arg("--library-path").arg(folder).arg(root.join("usr").join(path));
    Ok(command)
}

fn root() -> Result<PathBuf> {
    let root = cached("TAPGATE_MYSQL", FOLDER).map(|folder| folder.join("root")).unwrap_or_default();
    ensure!(root.join("usr/sbin/mysqld").is_file(), "there is no MySQL for the tests (run `cargo xtask setup`)");
    Ok(root)
}

impl MySql {
    /// Starts the server `name`, which takes this authority's client certificates, and runs this SQL at its start;
    /// back when it takes connections.
    pub fn start(lab: &Lab, name: &str, client_ca: &str, setup: &str) -> Result<Self> {
        let authority = CertAuthority::make(lab, &format!("ca-{name}"))?;
        let certificate = authority.server("server", "DNS:localhost,IP:127.0.0.1")?;
        let (folder, port) = (lab.dir(&format!("mysql-{name}"))?, lab.port()?);
        let at = |file: &str| folder.join(file).display().to_string();
        std::fs::write(at("client-ca.crt"), client_ca)?;
        // One statement a line, as the server reads it.
        let lines: Vec<String> =
            setup.split(';').map(|one| one.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        std::fs::write(at("setup.sql"), lines.join(";\n") + ";\n")?;
        Process::start("mysqld", server(&folder)?.arg("--initialize-insecure"))?.finish(limits::COMMAND)?.success()?;
        let mut command = server(&folder)?;
        command.args([
            "--bind-address=127.0.0.1",
            "--mysqlx=OFF",
            "--innodb-buffer-pool-size=32M",
            "--performance-schema=OFF",
        ]);
        command.args(["--secure-file-priv=NULL", "--local-infile=ON", "--skip-log-bin", "--max-allowed-packet=64M"]);
        command
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", at("s")))
            .arg(format!("--pid-file={}", at("pid")));
        command.arg(format!("--ssl-cert={}", certificate.certificate.display()));
        command.arg(format!("--ssl-key={}", certificate.key.display()));
        command.arg(format!("--ssl-ca={}", at("client-ca.crt"))).arg(format!("--init-file={}", at("setup.sql")));
        let process = Process::start(&format!("mysqld {name}"), &mut command)?;
        process.wait_for_error("ready for connections")?;
        Ok(Self { name: name.to_owned(), port, ca: authority.pem()?, _process: process })
    }

    /// Its `db` document, with these labels and further lines of `spec`.
    pub fn db_yaml(&self, env: &str, spec: &str) -> String {
        let ca = self.ca.trim().replace('\n', "\n      ");
        format!(
            "kind: db\nversion: v3\nmetadata:\n  name: {}\n  labels: {{ env: {env} }}\nspec:\n  protocol: mysql\n  \
             uri: localhost:{}\n  tls:\n    ca_cert: |\n      {ca}\n{spec}",
            self.name, self.port
        )
    }
}

/// The server's program with what it is always told.
fn server(folder: &Path) -> Result<Command> {
    let usr = root()?.join("usr");
    let mut command = mysql_program("sbin/mysqld")?;
    command.arg("--no-defaults").arg(format!("--basedir={}", usr.display()));
    command.arg(format!("--datadir={}", folder.join("data").display()));
    command.arg(format!("--lc-messages-dir={}", usr.join("share/mysql").display()));
    command.arg(format!("--plugin-dir={}", usr.join("lib/mysql/plugin").display()));
    if geteuid().is_root() {
        command.arg("--user=root");
    }
    Ok(command)
}
