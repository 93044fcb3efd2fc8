//! The system's own ssh, straight to the gate, with any key and certificate.

use std::path::Path;

use anyhow::Result;
use tapgate_lab::{KeyPair, Process, Ran, own_binary};

use super::World;
use super::tapper::login_files;

impl World {
    /// The options of ssh for a key that has its certificate beside it.
    pub(crate) fn options(&self, tunnel: bool, user: &str, key: &Path) -> Vec<String> {
        let files = login_files(self, &self.jerry);
        let name = key.file_name().unwrap_or_default().to_string_lossy();
        let certificate = key.with_file_name(format!("{name}-cert.pub"));
        let mut options = vec![
            "HostKeyAlias=localhost".to_owned(),
            format!("UserKnownHostsFile={}", files.known_hosts.display()),
            format!("IdentityFile={}", key.display()),
            format!("CertificateFile={}", certificate.display()),
            format!("User={user}"),
            format!("Port={}", self.port()),
        ];
        if tunnel {
            let tap = own_binary("tap").unwrap();
            options.push(format!("ProxyCommand='{}' proxy ssh '{user}'", tap.display()));
        }
        options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect()
    }

    /// The same with jerry's login certificate.
    pub(crate) fn login_options(&self, tunnel: bool, target: &str) -> Vec<String> {
        self.options(tunnel, &self.at(target), &login_files(self, &self.jerry).ssh_key)
    }

    /// A stock ssh with jerry's login certificate, to its end.
    pub(crate) fn stock(&self, tunnel: bool, target: &str, command: &str) -> Result<Ran> {
        let words = self.login_options(tunnel, target).into_iter().chain(["localhost".to_owned(), command.to_owned()]);
        self.jerry.ssh(words)
    }

    /// A stock ssh with this key, and what lies beside it, to its end.
    pub(crate) fn stock_with(&self, key: &KeyPair, user: &str, command: &str) -> Result<Ran> {
        let options = self.options(true, user, key.path());
        self.jerry.ssh(options.into_iter().chain(["localhost".to_owned(), command.to_owned()]))
    }

    /// A connection that further channels can share, through this socket.
    pub(crate) fn master(&self, key: &KeyPair, user: &str, socket: &Path) -> Result<Process> {
        let own = ["-M", "-S", &socket.display().to_string()].map(str::to_owned);
        let options = own.into_iter().chain(self.options(true, user, key.path()));
        let command = ["localhost", "echo up; exec cat"].map(str::to_owned);
        self.jerry.start_ssh(options.chain(command))
    }

    /// One more channel on that connection.
    pub(crate) fn channel(&self, socket: &Path, command: &str) -> Result<Process> {
        self.jerry.start_ssh(["-S", &socket.display().to_string(), "localhost", command])
    }

    fn port(&self) -> u16 {
        self.gate().address().port()
    }
}
