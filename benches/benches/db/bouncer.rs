//! PgBouncer in session mode, with TLS on both sides: what a program between costs that does little else.

use std::process::Command;

use anyhow::Result;
use tapgate_lab::{CertAuthority, Lab, Process, program};

/// A running PgBouncer. Dropping it ends it.
pub(crate) struct Bouncer {
    pub(crate) port: u16,
    process: Process,
}

impl Bouncer {
    /// Starts it before the server at this port. `server_lifetime` is for how many seconds it keeps a connection to
    /// the server; one connection serves one client alone where it is zero.
    pub(crate) fn start(lab: &Lab, name: &str, server: u16, server_lifetime: u32) -> Result<Self> {
        let authority = CertAuthority::make(lab, name)?;
        let certificate = authority.server("server", "DNS:localhost,IP:127.0.0.1")?;
        let port = lab.port()?;
        let folder = lab.dir(name)?;
        // It takes no root: the server's user runs it, and must read its files, whose keys are worth nothing.
        open(&folder, 0o777)?;
        open(&certificate.key, 0o644)?;
        let text = format!(
            "[databases]\nshop = host=127.0.0.1 port={server} dbname=shop user=pool\n[pgbouncer]\nlisten_addr = \
             127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = session\nmax_client_conn \
             = 400\ndefault_pool_size = 200\nserver_lifetime = {server_lifetime}\nserver_tls_sslmode = \
             require\nclient_tls_sslmode = require\nclient_tls_key_file = {}\nclient_tls_cert_file = \
             {}\nlog_connections = 0\nlog_disconnections = 0\n",
            certificate.key.display(),
            certificate.certificate.display()
        );
        let config = lab.write(&format!("{name}/pgbouncer.ini"), &text)?;
        let mut command = Command::new(program("setpriv", "util-linux")?);
        if nix::unistd::geteuid().is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        let process = Process::start(name, command.arg(program("pgbouncer", "pgbouncer")?).arg(config))?;
        process.wait_for_error("process up")?;
        Ok(Self { port, process })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

fn open(path: &std::path::Path, mode: u32) -> Result<()> {
    Ok(std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?)
}
