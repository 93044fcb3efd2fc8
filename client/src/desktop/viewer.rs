//! The viewers of this machine: finding `xfreerdp` and TigerVNC's viewer, and starting them at a socket of ours.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tapgate_model::{DesktopProtocol, LoginName};
use tokio::process::Command;

use super::Desktop;
use crate::error::{Failure, Result};

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
        let find = |name: &&str| std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file());
        let (names, missing): (&[&str], _) = match protocol {
            DesktopProtocol::Rdp => (&["xfreerdp", "xfreerdp3"], "xfreerdp was not found on this machine"),
            DesktopProtocol::Vnc => (&["xtigervncviewer", "vncviewer"], "TigerVNC's viewer was not found on this machine"),
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

    /// A command that goes to the socket, which its user alone can open, so that it needs no password.
    pub(super) fn command(&self, socket: &Path, desktop: &Desktop, login: &LoginName, further: &[String]) -> Command {
        let mut command = Command::new(&self.path);
        match self.protocol {
            DesktopProtocol::Vnc => drop(command.args(further).arg(socket)),
            DesktopProtocol::Rdp => {
                command.arg(format!("/v:{}", socket.display())).arg(format!("/u:{login}"));
                if !desktop.is_opaque() {
                    // The tunnel has proven the gate; within it, a certificate of the gate's proves nothing more, and
                    // the password is the gate's own affair. Without one xfreerdp would ask for it.
                    command.args(["/cert:ignore", "/p:tap", "/sec:tls"]);
                }
                command.args(further);
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
        let words = |protocol: &str| {
            let desktop = Desktop {
                name: "win1".parse().unwrap(),
                description: String::new(),
                protocol: protocol.to_owned(),
                labels: std::collections::BTreeMap::new(),
                logins: Vec::new(),
                mfa_required: true,
            };
            let viewer = Viewer { path: "/bin/v".into(), protocol: desktop.speaks().unwrap() };
            let command = viewer.command(Path::new("/s"), &desktop, &"ann".parse().unwrap(), &["-x".to_owned()]);
            let words = command.as_std().get_args().map(|word| word.to_string_lossy().into_owned());
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("vnc"), "-x /s");
        assert_eq!(words("rdp"), "/v:/s /u:ann /cert:ignore /p:tap /sec:tls -x");
        assert_eq!(words("rdp-passthrough"), "/v:/s /u:ann -x");
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
