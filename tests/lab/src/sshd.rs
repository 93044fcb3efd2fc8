//! A real OpenSSH server on loopback that trusts a certificate authority.
//!
//! The lab listens itself and starts one `sshd -i` for each connection: the port is never guessed, it accepts
//! from the first moment on, and a test can tell how many connections have reached the target at all.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{self, Signal};
use nix::unistd::{Pid, User, geteuid};

use crate::{KeyPair, Lab, Process, limits, program};

/// How a server differs from the plainest one.
#[derive(Debug, Clone, Default)]
pub struct SshdOptions {
    /// Public key lines of the authorities whose user certificates open it.
    pub user_cas: Vec<String>,
    /// Labels of the node, for its resource document.
    pub labels: Vec<(String, String)>,
    /// The authority that signs the host key; the certificate is for the server's name and `127.0.0.1`.
    pub host_ca: Option<KeyPair>,
    /// The host key, where it is not to be a new Ed25519 one.
    pub host_key: Option<KeyPair>,
    /// Further lines of `sshd_config`.
    pub config: Vec<String>,
}

/// A running server. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct Sshd {
    name: String,
    options: SshdOptions,
    address: SocketAddr,
    host_key: KeyPair,
    log: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    connections: AtomicUsize,
    closing: AtomicBool,
    children: Mutex<Vec<Child>>,
}

impl Sshd {
    /// Starts the server `name`.
    pub fn start(lab: &Lab, name: &str, options: SshdOptions) -> Result<Self> {
        let sshd = program("sshd", "openssh-server")?;
        let folder = lab.dir(&format!("sshd-{name}"))?;
        let host_key = match &options.host_key {
            Some(given) => given.clone(),
            None => KeyPair::make(lab, &format!("host-{name}"))?,
        };
        make_privilege_separation_folder()?;
        let config = folder.join("sshd_config");
        std::fs::write(folder.join("user_cas"), options.user_cas.join("\n") + "\n")?;
        std::fs::write(&config, config_text(name, &folder, &host_key, &options)?)?;
        let mut check = Command::new(&sshd);
        check.arg("-t").arg("-f").arg(&config);
        Process::start("sshd -t", &mut check)?.finish(limits::COMMAND)?.success()?;

        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let log = folder.join("log");
        let shared = Arc::new(Shared::default());
        let command = Arguments { sshd, config, log: log.clone() };
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &command, &shared)
        });
        Ok(Self { name: name.to_owned(), options, address, host_key, log, shared, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its host key's public line.
    pub fn host_key(&self) -> &str {
        self.host_key.public()
    }

    /// Who may log in: the user that the tests run as.
    pub fn login() -> Result<String> {
        let user = User::from_uid(geteuid()).context("cannot look up the current user")?;
        Ok(user.context("the current user has no name")?.name)
    }

    /// How many connections have reached it since its start.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its `node` document, as an administrator would write it; the host key is pinned, and the host's
    /// authority where it has one.
    pub fn node_yaml(&self) -> String {
        let labels = self.options.labels.iter().map(|(key, value)| format!("    {key}: \"{value}\"\n"));
        let labels: String = labels.collect();
        let labels = if labels.is_empty() { String::new() } else { format!("  labels:\n{labels}") };
        let host_ca = self.options.host_ca.iter().map(|ca| format!("  host_ca:\n    - {}\n", ca.public()));
        format!(
            "kind: node\nversion: v2\nmetadata:\n  name: {}\n{labels}spec:\n  addr: {}\n  host_keys:\n    - {}\n{}",
            self.name,
            self.address,
            self.host_key(),
            host_ca.collect::<String>(),
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // The acceptor sees the mark at its next connection, which is this one.
        #[expect(clippy::disallowed_methods, reason = "the lab reaches its own listener")]
        let woken = TcpStream::connect(self.address);
        if let (Ok(_), Some(acceptor)) = (woken, self.acceptor.take()) {
            acceptor.join().unwrap_or_default();
        }
        let mut children = self.shared.children.lock().unwrap_or_else(PoisonError::into_inner);
        for mut child in children.drain(..) {
            if let (Ok(None), Ok(id)) = (child.try_wait(), i32::try_from(child.id())) {
                signal::killpg(Pid::from_raw(id), Signal::SIGKILL).unwrap_or_default();
            }
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

/// What one connection's server is started with.
struct Arguments {
    sshd: PathBuf,
    config: PathBuf,
    log: PathBuf,
}

fn accept(listener: &TcpListener, arguments: &Arguments, shared: &Shared) {
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let started = stream.and_then(|stream| serve(stream, arguments));
        let mut children = shared.children.lock().unwrap_or_else(PoisonError::into_inner);
        shared.connections.fetch_add(1, Ordering::SeqCst);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        match started {
            Ok(child) => children.push(child),
            Err(error) => eprintln!("lab: sshd did not start for a connection: {error}"),
        }
    }
}

fn serve(stream: TcpStream, arguments: &Arguments) -> std::io::Result<Child> {
    let input = OwnedFd::from(stream.try_clone()?);
    Command::new(&arguments.sshd)
        .arg("-i")
        .arg("-f")
        .arg(&arguments.config)
        .arg("-E")
        .arg(&arguments.log)
        .process_group(0)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(OwnedFd::from(stream)))
        .stderr(Stdio::null())
        .spawn()
}

fn config_text(name: &str, folder: &Path, host_key: &KeyPair, options: &SshdOptions) -> Result<String> {
    let mut lines = vec![
        format!("HostKey {}", host_key.path().display()),
        format!("TrustedUserCAKeys {}", folder.join("user_cas").display()),
        "AuthorizedPrincipalsFile none".to_owned(),
        "AuthorizedKeysFile none".to_owned(),
        "PasswordAuthentication no".to_owned(),
        "KbdInteractiveAuthentication no".to_owned(),
        "PermitRootLogin prohibit-password".to_owned(),
        "UsePAM no".to_owned(),
        // The lab lies below a directory that everybody may write to.
        "StrictModes no".to_owned(),
        "PrintMotd no".to_owned(),
        "AcceptEnv LC_* TAPGATE_*".to_owned(),
        "Subsystem sftp internal-sftp".to_owned(),
        "PidFile none".to_owned(),
        "LogLevel VERBOSE".to_owned(),
    ];
    if let Some(ca) = &options.host_ca {
        let certificate = ca.sign_host(host_key, &format!("{name},127.0.0.1"))?;
        lines.push(format!("HostCertificate {}", certificate.display()));
    }
    // The first value of a keyword counts: a test's own lines go first.
    let all: Vec<String> = options.config.iter().cloned().chain(lines).collect();
    Ok(all.join("\n") + "\n")
}

/// As root sshd wants an empty directory that only root can write to; the system makes it at boot, a container
/// may not.
fn make_privilege_separation_folder() -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let folder = Path::new("/run/sshd");
    std::fs::create_dir_all(folder).context("cannot make /run/sshd")?;
    ensure!(folder.is_dir(), "/run/sshd is no directory");
    Ok(())
}
