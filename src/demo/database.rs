//! The demo's database: a PostgreSQL server in its own folder, where this machine has the programs for one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Where Debian puts the server's programs, a folder for each version.
const FOLDER: &str = "/usr/lib/postgresql";

/// How long the server may take until it answers, and until it has ended.
const READY_MAX: Duration = Duration::from_mins(1);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// What the superuser makes before anybody comes.
const SETUP: &str = "create role app login; create database app owner app;";

/// A running server. Dropping it kills it.
pub(super) struct Database {
    child: Child,
    port: u16,
    authority: String,
}

/// The programs of PostgreSQL.
struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    psql: PathBuf,
}

impl Programs {
    /// Those of this machine, or why the demo has no database.
    fn find() -> Result<Self, &'static str> {
        if geteuid().is_root() {
            return Err("PostgreSQL refuses to run as root (run the demo as an ordinary user)");
        }
        let missing = "PostgreSQL is not on this machine (install the packages postgresql and postgresql-client)";
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(FOLDER)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort();
        folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
        let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
        // The two of one version, whichever the path would lead to.
        let initdb = find("initdb").ok_or(missing)?;
        let postgres = initdb.with_file_name("postgres");
        let psql = find("psql").filter(|_| postgres.is_file()).ok_or(missing)?;
        Ok(Self { initdb, postgres, psql })
    }
}

/// Starts the server in this folder; the text is why there is none.
pub(super) async fn start(folder: &Path, port: u16, client_ca: &str) -> Result<Result<Database, &'static str>> {
    let programs = match Programs::find() {
        Ok(programs) => programs,
        Err(why) => return Ok(Err(why)),
    };
    let home = folder.join("postgres");
    let data = home.join("data");
    std::fs::create_dir(&home).context("can't make the database's folder")?;
    let words = ["-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions", "-D"];
    let made = Command::new(&programs.initdb).args(words).arg(&data).stdin(Stdio::null()).output().await;
    let made = made.context("can't start initdb")?;
    ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    let authority = certificates(&data)?;
    std::fs::write(data.join("client-ca.crt"), client_ca)?;
    // Nobody comes in but the gate, by a certificate of its authority; the superuser by the socket in this folder.
    std::fs::write(data.join("pg_hba.conf"), "local all postgres trust\nhostssl all app all cert\n")?;
    let own = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nssl = on\n\
         ssl_ca_file = 'client-ca.crt'\nfsync = off\nshared_buffers = 16MB\n",
        home.display()
    );
    let file = data.join("postgresql.conf");
    std::fs::write(&file, std::fs::read_to_string(&file)? + &own)?;
    let log = std::fs::File::create(home.join("log")).context("can't make the database's log")?;
    let child = Command::new(&programs.postgres)
        .arg("-D")
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("can't start postgres")?;
    let mut database = Database { child, port, authority };
    database.set_up(&programs.psql, &home).await?;
    Ok(Ok(database))
}

impl Database {
    /// Its `db` document.
    pub(super) fn yaml(&self) -> String {
        let authority = self.authority.trim().replace('\n', "\n      ");
        format!(
            "kind: db\nversion: v3\nmetadata:\n  name: orders\n  description: The shop's orders\n  labels:\n    \
             env: prod\nspec:\n  protocol: postgres\n  uri: localhost:{}\n  tls:\n    ca_cert: |\n      {authority}\n",
            self.port
        )
    }

    /// Waits until it answers, and makes what the demo needs.
    async fn set_up(&mut self, psql: &Path, home: &Path) -> Result<()> {
        let until = Instant::now() + READY_MAX;
        loop {
            let mut command = Command::new(psql);
            command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres", "-f", "-", "-h"]);
            command.arg(home).arg("-p").arg(self.port.to_string());
            let ran = feed(&mut command, SETUP).await?;
            if ran.status.success() {
                return Ok(());
            }
            let ended = self.child.try_wait()?.is_some();
            if ended || Instant::now() > until {
                let log = std::fs::read_to_string(home.join("log")).unwrap_or_default();
                bail!("the demo's database does not answer: {}{log}", String::from_utf8_lossy(&ran.stderr));
            }
            sleep(LOOK).await;
        }
    }

    /// Ends it in peace.
    pub(super) async fn stop(mut self) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // A fast shutdown; one that has ended already needs none.
            kill(Pid::from_raw(id), Signal::SIGINT).ok();
        }
        timeout(READY_MAX, self.child.wait()).await.map(drop).unwrap_or_default();
    }
}

async fn feed(command: &mut Command, text: &str) -> Result<std::process::Output> {
    use tokio::io::AsyncWriteExt as _;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A client that could not connect has closed it, and says why on its own.
        input.write_all(text.as_bytes()).await.ok();
    }
    Ok(child.wait_with_output().await?)
}

/// Makes the server's key and certificate; answers the authority's.
fn certificates(data: &Path) -> Result<String> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "the demo's database");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    std::fs::write(data.join("server.crt"), certificate.pem())?;
    super::tools::write_private(&data.join("server.key"), &key.serialize_pem())?;
    Ok(authority.pem())
}
