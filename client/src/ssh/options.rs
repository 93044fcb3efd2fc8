//! The command lines of the system's `ssh` and `scp`, as a pure function of what is known.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Result};
use crate::gate_addr::GateAddr;
use crate::ssh::copy::Copy;
use crate::ssh::destination::{Destination, Tail};

/// Everything that one `ssh` needs to be told.
#[derive(Debug, Clone)]
pub struct Invocation<'a> {
    /// This program, for the proxy command.
    pub program: &'a Path,
    /// The gate.
    pub gate: &'a GateAddr,
    /// Where to.
    pub destination: &'a Destination,
    /// The gate's SSH host CA.
    pub known_hosts: &'a Path,
    /// What it authenticates with.
    pub identity: Identity<'a>,
    /// The user's own agent, where it is to be forwarded.
    pub forward: Option<PathBuf>,
    /// What is to be run.
    pub job: &'a Job,
}

/// What is to be run.
#[derive(Debug, Clone)]
pub enum Job {
    /// `ssh`, with a command and OpenSSH's own options.
    Ssh(Tail),
    /// `scp`.
    Scp(Copy),
}

impl Job {
    /// The program's name.
    pub const fn program(&self) -> &'static str {
        match self {
            Self::Ssh(_) => "ssh",
            Self::Scp(_) => "scp",
        }
    }
}

/// What `ssh` authenticates with.
#[derive(Debug, Clone)]
pub enum Identity<'a> {
    /// The login key and certificate on disk.
    Login {
        /// The key.
        key: &'a Path,
        /// The certificate.
        certificate: &'a Path,
    },
    /// A session certificate whose key only our socket can use.
    Session {
        /// The certificate.
        certificate: &'a Path,
        /// The socket.
        socket: &'a Path,
    },
}

impl Invocation<'_> {
    /// The arguments after the program. Ours come first: of two values for one option OpenSSH takes
    /// the first, so nothing in the user's configuration or after `--` can change them.
    pub fn arguments(&self) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = Vec::new();
        for option in self.options()? {
            arguments.extend(["-o".into(), option.into()]);
        }
        let (own, rest) = match self.job {
            Job::Ssh(tail) => {
                let host = self.gate.host().to_owned();
                (&tail.options, std::iter::once(host).chain(tail.command.iter().cloned()).collect())
            }
            Job::Scp(copy) => (&copy.options, copy.words(self.gate)),
        };
        arguments.extend(own.iter().map(OsString::from));
        arguments.push("--".into());
        arguments.extend(rest.into_iter().map(OsString::from));
        Ok(arguments)
    }

    fn options(&self) -> Result<Vec<String>> {
        let mut options = vec![
            format!("ProxyCommand={}", self.proxy_command()?),
            format!("HostKeyAlias={}", self.gate.host()),
            format!("UserKnownHostsFile={}", quoted(self.known_hosts)?),
        ];
        options.extend(FIXED.iter().map(|option| (*option).to_owned()));
        match &self.identity {
            Identity::Login { key, certificate } => {
                // ssh forwards no agent, even one that is named, while it may use none itself.
                let agent = self.forward.as_deref().map_or_else(|| Ok("none".to_owned()), quoted)?;
                options.push(format!("IdentityAgent={agent}"));
                options.push(format!("IdentityFile={}", quoted(key)?));
                options.push(format!("CertificateFile={}", quoted(certificate)?));
            }
            Identity::Session { certificate, socket } => {
                options.push(format!("IdentityAgent={}", quoted(socket)?));
                // As the identity itself: `CertificateFile` would look for a private key on disk.
                options.push(format!("IdentityFile={}", quoted(certificate)?));
            }
        }
        options.push(match &self.forward {
            // Named by its path: the plain word `yes` would mean the agent of `IdentityAgent`.
            Some(socket) => format!("ForwardAgent={}", quoted(socket)?),
            None => "ForwardAgent=no".to_owned(),
        });
        options.push(format!("Port={}", self.gate.port()));
        options.push(format!("User={}", self.destination.ssh_user()));
        Ok(options)
    }

    fn proxy_command(&self) -> Result<String> {
        let program = shell_quoted(utf8(self.program)?);
        let text = format!("{program} proxy ssh --gate {} {}", self.gate, self.destination.ssh_user());
        Ok(text.replace('%', "%%"))
    }
}

/// What holds for every session. The gate's host key is known by its CA and by nothing else; the
/// connection is shared with no other, so that each session is asked for by itself.
pub(super) const FIXED: &[&str] = &[
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "CheckHostIP=no",
    "CanonicalizeHostname=no",
    "IdentitiesOnly=yes",
    "PreferredAuthentications=publickey",
    "PubkeyAuthentication=yes",
    "AddKeysToAgent=no",
    "ControlMaster=no",
    "ControlPath=none",
    CIPHERS,
];

/// With AES-GCM the gate spends about half of what AES-CTR and a MAC cost it; the rest stay on offer.
pub(super) const CIPHERS: &str = "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com";

pub(super) fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Failure::new(format!("{} is not UTF-8", path.display())))
}

/// A path as OpenSSH's configuration takes it: `%` doubled, in double quotes.
pub(super) fn quoted(path: &Path) -> Result<String> {
    let text = utf8(path)?;
    if text.contains(['"', '\\', '\n']) || text.contains("${") {
        return Err(Failure::new(format!("{text:?} cannot be given to ssh"))
            .advise("set TAP_HOME to a path without quotes, backslashes and ${"));
    }
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

/// A word as the shell of a proxy command takes it.
pub(super) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(identity: Identity<'_>, forward: Option<PathBuf>, tail: &Tail) -> Vec<String> {
        let gate = "localhost:3080".parse().unwrap();
        let destination = Destination::parse("jerry@prod3", &"jerry".parse().unwrap()).unwrap();
        let invocation = Invocation {
            program: Path::new("/opt/it's 100%/tap"),
            gate: &gate,
            destination: &destination,
            known_hosts: Path::new("/home/j d/.tap/known_hosts"),
            identity,
            forward,
            job: &Job::Ssh(tail.clone()),
        };
        invocation.arguments().unwrap().into_iter().map(|a| a.into_string().unwrap()).collect()
    }

    fn session() -> Identity<'static> {
        Identity::Session { certificate: Path::new("/r/c.pub"), socket: Path::new("/r/s") }
    }

    #[test]
    fn ours_come_first_and_the_command_last() {
        let tail = Tail { command: vec!["exit 7".into()], options: vec!["-v".into()] };
        let arguments = arguments(session(), None, &tail);
        assert_eq!(
            arguments[..2],
            ["-o", "ProxyCommand='/opt/it'\\''s 100%%/tap' proxy ssh --gate localhost:3080 jerry@prod3"]
        );
        let last = ["-o", "Port=3080", "-o", "User=jerry@prod3", "-v", "--", "localhost", "exit 7"];
        assert_eq!(arguments[arguments.len() - 8..], last);
    }

    #[test]
    fn a_session_uses_our_socket_and_never_forwards_it() {
        let text = arguments(session(), None, &Tail::default()).join(" ");
        for expect in [
            "IdentityAgent=\"/r/s\"",
            "IdentityFile=\"/r/c.pub\"",
            "ForwardAgent=no",
            "UserKnownHostsFile=\"/home/j d/.tap/known_hosts\"",
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "HostKeyAlias=localhost",
        ] {
            assert!(text.contains(expect), "{expect}");
        }
        let forwarded = arguments(session(), Some("/tmp/own".into()), &Tail::default()).join(" ");
        assert!(forwarded.contains("ForwardAgent=\"/tmp/own\""));
    }

    #[test]
    fn a_login_uses_no_agent_but_one_to_forward() {
        let login = Identity::Login { key: Path::new("/k"), certificate: Path::new("/c") };
        let text = arguments(login.clone(), None, &Tail::default()).join(" ");
        assert!(text.contains("IdentityAgent=none") && text.contains("IdentityFile=\"/k\""));
        let text = arguments(login, Some("/tmp/own".into()), &Tail::default()).join(" ");
        assert!(text.contains("IdentityAgent=\"/tmp/own\"") && text.contains("IdentitiesOnly=yes"));
        assert!(quoted(Path::new("/a\"b")).is_err());
    }
}
