//! The way straight to a target, to compare with: its address, and what to log in with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::{Certificate, PrivateKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::Options;
use super::options::Protocol;
use super::route::{Passport, Route, Stream};
use super::ssh::Known;
use super::tally::{Fault, Kind};
use crate::error::{Act as _, Failure, Result};
use crate::limits::{CONNECT_WAIT, PASSWORD_BYTES_MAX};

/// One target.
pub(super) struct Direct {
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
    pub(super) login: String,
    pub(super) database: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
    ssh: Option<Passport>,
}

/// The ways to all targets; everything that can be wrong with them but their servers is found here.
pub(super) fn routes(options: &Options) -> Result<Vec<Route>> {
    let tls = options.ca.as_deref().map(|ca| tls(ca, options)).transpose()?.map(Arc::new);
    let password = options.password_file.as_deref().map(password).transpose()?;
    let needs_login = matches!(options.protocol, Protocol::Ssh | Protocol::Postgres | Protocol::Mysql);
    let login = match &options.login {
        Some(login) => login.clone(),
        None if needs_login => return Err(Failure::new("nobody is named to log in").advise("pass --login NAME")),
        None => String::new(),
    };
    let one = |text: &String| -> Result<Route> {
        let (host, port) = address(text)?;
        let ssh = if options.protocol == Protocol::Ssh {
            Some(passport(options, &login, (host.as_str(), port))?)
        } else {
            None
        };
        let (tls, password) = (tls.clone(), password.clone());
        let (login, database) = (login.clone(), options.db_name.clone());
        Ok(Route::Direct(Box::new(Direct { host, port, tls, login, database, password, ssh })))
    };
    options.targets.iter().map(one).collect()
}

/// `HOST:PORT`, an IPv6 address in brackets.
fn address(text: &str) -> Result<(String, u16)> {
    let wrong = || Failure::new(format!("{text:?} is not HOST:PORT")).advise("with --direct, targets are addresses");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if host.is_empty() || port == 0 || ServerName::try_from(host).is_err() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

fn tls(ca: &Path, options: &Options) -> Result<ClientConfig> {
    let read = |file: &Path| {
        CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
            .act(|| format!("{} cannot be read", file.display()))
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(read(ca)?);
    if added == 0 {
        return Err(Failure::new(format!("{} holds no certificate", ca.display())));
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    match (&options.certificate, &options.key) {
        (Some(certificate), Some(key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key).act(|| format!("{} cannot be read", key.display()))?;
            let act = || "the client certificate cannot be used".to_owned();
            config.with_client_auth_cert(read(certificate)?, key_der).act(act)
        }
        _ => Ok(config.with_no_client_auth()),
    }
}

fn password(file: &Path) -> Result<Zeroizing<String>> {
    let act = || format!("{} cannot be read", file.display());
    if std::fs::metadata(file).act(act)?.len() > PASSWORD_BYTES_MAX {
        return Err(Failure::new(format!("{} is too long for a password", file.display())));
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).act(act)?);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// What to log in with over SSH, and the host keys by which this server is known.
fn passport(options: &Options, login: &str, (host, port): (&str, u16)) -> Result<Passport> {
    let identity = options.identity.as_ref();
    let identity = identity.ok_or_else(|| Failure::new("no key is named").advise("pass --identity FILE"))?;
    let key = PrivateKey::read_openssh_file(identity).act(|| format!("{} cannot be read", identity.display()))?;
    if key.is_encrypted() {
        return Err(Failure::new(format!("{} is encrypted", identity.display()))
            .advise("make a key without a passphrase for the load alone"));
    }
    let mut beside = identity.clone().into_os_string();
    beside.push("-cert.pub");
    let certificate = match std::fs::read_to_string(&beside) {
        Ok(text) => {
            let act = || format!("{} cannot be read", Path::new(&beside).display());
            Some(Certificate::from_openssh(text.trim()).act(act)?)
        }
        Err(_) => None,
    };
    let usual = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/known_hosts"));
    let file = options.known_hosts.clone().or_else(usual);
    let file = file.ok_or_else(|| Failure::new("no file of host keys is named").advise("pass --known-hosts FILE"))?;
    let found = russh::keys::known_hosts::known_host_keys_path(host, port, &file)
        .act(|| format!("{} cannot be read", file.display()))?;
    let keys: Vec<_> = found.into_iter().map(|(_, key)| key).collect();
    if keys.is_empty() {
        return Err(Failure::new(format!("no host key of {host}:{port} is known in {}", file.display()))
            .advise("ssh-keyscan prints it; compare it before you trust it"));
    }
    let known = Arc::new(Known::pinned(keys));
    Ok(Passport { user: login.to_owned(), key: Arc::new(key), certificate, known })
}

impl Direct {
    /// Whether the bytes go in TLS.
    pub(super) const fn wants_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// A connection, without TLS.
    pub(super) async fn stream(&self) -> Result<Stream, Fault> {
        let unreachable = |why: &dyn std::fmt::Display| {
            Fault::new(Kind::Unreachable, format!("{} cannot be reached: {why}", self.authority()))
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a comparison goes past the gate, with what its user can do anyway"
        )]
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(CONNECT_WAIT, connecting).await.map_err(|_| unreachable(&"no answer in time"))?;
        let stream = stream.map_err(|error| unreachable(&error))?;
        stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
        Ok(Box::new(stream))
    }

    /// The same, in TLS from the first byte where it is wanted.
    pub(super) async fn stream_in_tls(&self) -> Result<Stream, Fault> {
        let stream = self.stream().await?;
        if self.wants_tls() { self.in_tls(stream).await } else { Ok(stream) }
    }

    /// TLS over a connection on which something was said already.
    pub(super) async fn in_tls(&self, stream: Stream) -> Result<Stream, Fault> {
        let unproven = |why: &dyn std::fmt::Display| {
            Fault::new(Kind::Unreachable, format!("{} did not prove itself: {why}", self.authority()))
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| unproven(&error))?;
        let config = self.tls.clone().ok_or_else(|| unproven(&"no authority is named"))?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| unproven(&error))?;
        Ok(Box::new(stream))
    }

    /// What to log in with over SSH.
    pub(super) fn passport(&self) -> Result<Passport, Fault> {
        self.ssh.clone().ok_or_else(|| Fault::new(Kind::Refused, "there is no key"))
    }

    /// `HOST:PORT`.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::tests::options;
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address("db1:5432"), Ok(("db1".to_owned(), 5432)));
        assert_eq!(address("[::1]:22"), Ok(("::1".to_owned(), 22)));
        for bad in ["prod3", "db1:", "db1:0", ":22", "a b:1", "db1:99999"] {
            assert!(address(bad).unwrap_err().to_string().contains("targets are addresses"), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let refused = |words: &[&str]| {
            let words = [&["--direct", "--targets", "127.0.0.1:1", "--protocol"], words].concat();
            routes(&options(&words).unwrap()).err().map(|failure| failure.to_string()).unwrap_or_default()
        };
        assert!(refused(&["postgres"]).contains("pass --login"));
        assert!(refused(&["ssh", "--login", "x"]).contains("pass --identity"));
        assert!(refused(&["ssh", "--login", "x", "--identity", "/nowhere"]).contains("/nowhere cannot be read"));
        assert!(refused(&["postgres", "--login", "x", "--ca", "/nowhere"]).contains("/nowhere cannot be read"));
        assert!(refused(&["mysql", "--login", "x", "--password-file", "/nowhere"]).contains("/nowhere cannot be read"));
        assert_eq!(refused(&["http"]), "");
    }
}
