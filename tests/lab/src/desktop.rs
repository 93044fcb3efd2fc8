//! Real desktops: a VNC server with a terminal on it, xrdp before one, and a server of FreeRDP that demands NLA. And
//! one that goes odd ways.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{CertAuthority, Certificate, Lab, Process, Screen, limits, program};

const ODD: &str = include_str!("odd_desktop.py");

/// The password of every desktop of the lab; VNC counts eight letters.
const PASSWORD: &str = "vncpass1";

/// A VNC desktop with a terminal that fills it.
#[derive(Debug)]
pub struct VncDesktop {
    /// What is on it.
    pub screen: Screen,
    port: u16,
    password_file: PathBuf,
    _terminal: Process,
}

/// xrdp before a VNC desktop: its users' passwords are that one's.
#[derive(Debug)]
pub struct Xrdp {
    /// Its certificate's fingerprint.
    pub fingerprint: String,
    port: u16,
    log: PathBuf,
    _process: Process,
}

/// FreeRDP's server, which demands Network Level Authentication of `alice`.
#[derive(Debug)]
pub struct NlaDesktop {
    /// What is on it.
    pub screen: Screen,
    port: u16,
    password_file: PathBuf,
    _terminal: Process,
    _process: Process,
}

/// A file with this password, which its owner alone can read.
fn password_file(lab: &Lab, name: &str, password: &str) -> Result<PathBuf> {
    let path = lab.write(name, &format!("{password}\n"))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(path)
}

/// A terminal that fills a display, with a shell in the lab's folder; back when it is drawn.
fn terminal(screen: &Screen) -> Result<Process> {
    let words = ["-geometry", "200x80+0+0", "-fa", "Monospace", "-fs", "10", "-e", "/bin/sh"];
    let process = screen.start_program("xterm", "xterm", &words)?;
    screen.wait("a terminal", || Ok((screen.picture("root")?.brightness() > 80).then_some(())))?;
    Ok(process)
}

impl VncDesktop {
    /// Starts one; with a certificate it speaks TLS.
    pub fn start(lab: &Lab, name: &str, certificate: Option<&Certificate>) -> Result<Self> {
        let port = lab.port()?;
        let plain = password_file(lab, &format!("{name}.password"), PASSWORD)?;
        let packed = lab.path().join(format!("{name}.vnc"));
        // What it prints is no text, so that a shell must write it down.
        let line = format!("printf {PASSWORD} | \"$0\" -f > \"$1\"");
        let mut shell = Command::new(program("sh", "dash")?);
        shell.args(["-c", &line]).arg(program("tigervncpasswd", "tigervnc-tools")?).arg(&packed);
        Process::start("tigervncpasswd", &mut shell)?.finish(limits::COMMAND)?.success()?;
        let mut command = Command::new(program("Xtigervnc", "tigervnc-standalone-server")?);
        command.args(["-displayfd", "1", "-geometry", "800x600", "-depth", "24", "-localhost", "-nolisten", "tcp"]);
        command.args(["-rfbport", &port.to_string(), "-PasswordFile"]).arg(&packed);
        match certificate {
            None => drop(command.args(["-SecurityTypes", "VncAuth"])),
            Some(certificate) => {
                command.args(["-SecurityTypes", "X509Vnc", "-X509Cert"]).arg(&certificate.certificate);
                command.arg("-X509Key").arg(&certificate.key);
            }
        }
        let screen = Screen::of(lab, "Xtigervnc", &mut command)?;
        let terminal = terminal(&screen)?;
        Ok(Self { screen, port, password_file: plain, _terminal: terminal })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file that its password is in.
    pub fn password_file(&self) -> &Path {
        &self.password_file
    }
}

impl Xrdp {
    /// Starts one before this desktop. Users say the desktop's password to it, which it shows there.
    pub fn start(lab: &Lab, name: &str, desktop: &VncDesktop) -> Result<Self> {
        let folder = lab.dir(name)?;
        let at = |file: &str| folder.join(file).display().to_string();
        let words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=xrdp"];
        let mut openssl = Command::new(program("openssl", "openssl")?);
        openssl.args(words).args(["-keyout", &at("key.pem"), "-out", &at("cert.pem")]);
        Process::start("openssl", &mut openssl)?.finish(limits::COMMAND)?.success()?;
        let mut openssl = Command::new(program("openssl", "openssl")?);
        openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in", &at("cert.pem")]);
        let told = Process::start("openssl", &mut openssl)?.finish(limits::COMMAND)?.success()?.stdout;
        let fingerprint = told.trim().rsplit('=').next().context("openssl prints no fingerprint")?.to_owned();
        let port = lab.port()?;
        let globals = format!(
            "[Globals]\nini_version=1\nfork=true\nport=tcp://127.0.0.1:{port}\nsecurity_layer=negotiate\n\
             crypt_level=high\ncertificate={}\nkey_file={}\nssl_protocols=TLSv1.2, TLSv1.3\nautorun=desk\n\
             allow_channels=true\nmax_bpp=32\nuse_fastpath=both\n",
            at("cert.pem"),
            at("key.pem")
        );
        let rest = format!(
            "[Logging]\nLogFile={}\nLogLevel=INFO\nEnableSyslog=false\nEnableConsole=true\nConsoleLevel=INFO\n\
             [Channels]\nrdpdr=true\nrdpsnd=true\ndrdynvc=true\ncliprdr=true\n\
             [desk]\nname=desk\nlib=libvnc.so\nip=127.0.0.1\nport={}\nusername=ask\npassword=ask\n",
            at("xrdp.log"),
            desktop.port
        );
        let ini = lab.write(&format!("{name}/xrdp.ini"), &format!("{globals}{rest}"))?;
        let mut command = Command::new(program("xrdp", "xrdp")?);
        command.args(["--nodaemon", "--config"]).arg(ini);
        let xrdp =
            Self { fingerprint, port, log: folder.join("xrdp.log"), _process: Process::start("xrdp", &mut command)? };
        // It keeps what it says on standard output to itself for a while; its log has it at once.
        desktop.screen.wait("xrdp", || Ok(xrdp.said().contains("listening to port").then_some(())))?;
        Ok(xrdp)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has said until now.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl NlaDesktop {
    /// Starts one.
    pub fn start(lab: &Lab, name: &str) -> Result<Self> {
        let port = lab.port()?;
        let mut hash = Command::new(program("winpr-hash", "winpr-utils")?);
        hash.args(["-u", "alice", "-p", "shadowpw", "-f", "sam"]);
        let line = Process::start("winpr-hash", &mut hash)?.finish(limits::COMMAND)?.success()?.stdout;
        let sam = lab.write(&format!("{name}.sam"), &line)?;
        let screen = Screen::start(lab, 800, 600)?;
        let terminal = terminal(&screen)?;
        let words = [
            format!("/port:{port}"),
            "/bind-address:127.0.0.1".to_owned(),
            "/sec:nla".to_owned(),
            "+auth".to_owned(),
            format!("/sam-file:{}", sam.display()),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let process = screen.start_program("freerdp-shadow-cli", "freerdp2-shadow-x11", &words)?;
        let listens = || Ok(std::net::TcpListener::bind(("127.0.0.1", port)).is_err().then_some(()));
        screen.wait("FreeRDP's server", listens)?;
        let password_file = password_file(lab, &format!("{name}.password"), "shadowpw")?;
        Ok(Self { screen, port, password_file, _terminal: terminal, _process: process })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file that alice's password is in.
    pub fn password_file(&self) -> &Path {
        &self.password_file
    }
}

/// A desktop of RDP that keeps to the protocol up to where its client has said who it is, and then goes an odd way.
#[derive(Debug)]
pub struct OddDesktop {
    port: u16,
    password_file: PathBuf,
    _process: Process,
}

impl OddDesktop {
    /// Starts one that goes this way, such as `redirect`.
    pub fn start(lab: &Lab, way: &str) -> Result<Self> {
        let certificate = CertAuthority::make(lab, &format!("ca-{way}"))?.server(way, "DNS:localhost")?;
        let mut command = Command::new(program("/usr/bin/python3", "python3")?);
        command.arg(lab.write("odd_desktop.py", ODD)?).arg(way).arg(&certificate.certificate).arg(&certificate.key);
        let process = Process::start("the odd desktop", &mut command)?;
        let port = process.wait_for_line("the port", |line| line.strip_prefix("port ")?.trim().parse().ok())?;
        Ok(Self { port, password_file: password_file(lab, &format!("{way}.password"), PASSWORD)?, _process: process })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file that its password is in.
    pub fn password_file(&self) -> &Path {
        &self.password_file
    }
}
