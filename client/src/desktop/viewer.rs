//! The viewers of this machine: finding `xfreerdp` and TigerVNC's viewer, and starting them at a place of ours.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tapgate_model::{DesktopProtocol, LoginName};
use tokio::process::Command;

use crate::error::{Failure, Result};

/// Where a viewer is to go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim<'a> {
    /// To a socket that its user alone can open, so that it needs no password.
    Socket(&'a Path),
    /// To a port, with the password that is given to its standard input: a command line can be read by everybody.
    Port(SocketAddr),
}

/// A viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Viewer {
    path: PathBuf,
    protocol: DesktopProtocol,
}

impl Viewer {
    /// The viewer for this protocol that `PATH` leads to.
    pub(super) fn find(protocol: DesktopProtocol) -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::within(protocol, &path)
    }

    fn within(protocol: DesktopProtocol, path: &OsStr) -> Result<Self> {
        let find =
            |name: &&str| std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file());
        let (names, missing): (&[&str], _) = match protocol {
            DesktopProtocol::Rdp => (&["xfreerdp", "xfreerdp3"], "xfreerdp was not found on this machine"),
            DesktopProtocol::Vnc => {
                (&["xtigervncviewer", "vncviewer"], "TigerVNC's viewer was not found on this machine")
            }
        };
        let path = names.iter().find_map(find).ok_or_else(|| {
            let package = match protocol {
                DesktopProtocol::Rdp => "freerdp2-x11",
                DesktopProtocol::Vnc => "tigervnc-viewer",
            };
            Failure::new(missing).advise(format!("install it, such as the package {package}; or use tap proxy desktop"))
        })?;
        Ok(Self { path, protocol })
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A command that goes there. `xfreerdp` takes a socket's path for the name that the gate's certificate must have,
    /// which no TLS of ours takes for one; so it goes to a port, but where TLS is the desktop's own.
    pub(super) fn command(&self, aim: Aim<'_>, login: &LoginName, further: &[String]) -> Command {
        let mut command = Command::new(&self.path);
        match (self.protocol, aim) {
            (DesktopProtocol::Vnc, Aim::Socket(path)) => {
                command.args(further).arg(path);
            }
            (DesktopProtocol::Vnc, Aim::Port(at)) => {
                command.args(further).arg(format!("{}::{}", at.ip(), at.port()));
            }
            (DesktopProtocol::Rdp, Aim::Socket(path)) => {
                command.arg(format!("/v:{}", path.display())).arg(format!("/u:{login}")).args(further);
            }
            (DesktopProtocol::Rdp, Aim::Port(at)) => {
                // The tunnel has proven the gate; a certificate within it proves nothing more.
                command.arg(format!("/v:{at}")).arg(format!("/u:{login}"));
                command.args(["/from-stdin:force", "/cert:ignore", "/sec:tls"]).args(further);
                // It asks on standard output, where nobody is to answer.
                command.stdin(Stdio::piped()).stdout(Stdio::null());
            }
        }
        command.kill_on_drop(true);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let words = |protocol, aim| {
            let viewer = Viewer { path: "/bin/v".into(), protocol };
            let command = viewer.command(aim, &"ann".parse().unwrap(), &["-x".to_owned()]);
            let words = command.as_std().get_args().map(|word| word.to_string_lossy().into_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        let (socket, port) = (Aim::Socket(Path::new("/s")), Aim::Port("127.0.0.1:9".parse().unwrap()));
        assert_eq!(words(DesktopProtocol::Vnc, socket), "-x /s");
        assert_eq!(words(DesktopProtocol::Vnc, port), "-x 127.0.0.1::9");
        let rdp = "/v:127.0.0.1:9 /u:ann /from-stdin:force /cert:ignore /sec:tls -x";
        assert_eq!(words(DesktopProtocol::Rdp, port), rdp);
        assert_eq!(words(DesktopProtocol::Rdp, socket), "/v:/s /u:ann -x");
    }

    #[test]
    fn a_viewer_that_is_missing_says_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        for (protocol, package) in [(DesktopProtocol::Rdp, "freerdp2-x11"), (DesktopProtocol::Vnc, "tigervnc-viewer")] {
            let error = Viewer::within(protocol, folder.path().as_os_str()).unwrap_err().to_string();
            assert!(error.contains(package) && error.contains("tap proxy desktop"), "{error}");
        }
    }
}
