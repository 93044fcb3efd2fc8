//! `windows_desktop`: where a desktop is, how the gate knows it again, and what it logs in there with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tapgate_model::{DesktopProtocol, Digest, Kind, Labels, LoginName, TargetName, TargetUid};

use crate::address;
use crate::at::At;
use crate::metadata::Metadata;
use crate::section::Section;
use crate::target::certificate;

/// What the gate does with a desktop's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DesktopMode {
    /// It speaks the protocol on both sides, and logs in with a password of its own.
    Terminate,
    /// It reads the first two messages and passes TLS between client and desktop as it is.
    Passthrough,
}

/// Which security of RDP the desktop is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DesktopSecurity {
    /// Whichever of the two it likes better.
    Auto,
    /// Network Level Authentication alone.
    Nla,
    /// TLS alone.
    Tls,
}

/// How a desktop's certificate is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesktopTrust {
    /// It is this very one, by the SHA-256 of its bytes.
    Pin(Digest),
    /// It comes from this authority, in PEM, and has the desktop's name.
    Ca(String),
    /// It comes from an authority that the system knows, and has the desktop's name.
    System,
    /// It is not looked at: whoever stands between gate and desktop can be either.
    Insecure,
}

/// TLS with a desktop, where its resource says something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopTls {
    /// How the certificate is known.
    pub trust: DesktopTrust,
    /// The name in it, where that differs from the address.
    pub server_name: Option<String>,
}

/// A desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesktopResource {
    /// Its name, as people type it.
    pub name: TargetName,
    /// Its own number.
    pub uid: TargetUid,
    /// Its labels.
    pub labels: Labels,
    /// What people read of it in lists.
    pub description: Option<String>,
    /// What it speaks.
    pub protocol: DesktopProtocol,
    /// Where it is, as `host:port`.
    pub addr: String,
    /// Its Active Directory domain, where it is in one.
    pub domain: Option<String>,
    /// What the gate does with its sessions.
    pub mode: DesktopMode,
    /// Which security of RDP it is asked for.
    pub security: DesktopSecurity,
    /// TLS with it; for VNC none means that its bytes are not encrypted.
    pub tls: Option<DesktopTls>,
    password_files: BTreeMap<LoginName, PathBuf>,
}

impl DesktopResource {
    /// The file that this login's password is in.
    pub fn password_file(&self, login: &LoginName) -> Option<&Path> {
        self.password_files.get(login).map(PathBuf::as_path)
    }

    /// The name that its certificate must have.
    pub fn certificate_name(&self) -> &str {
        let host = self.addr.rsplit_once(':').map_or(self.addr.as_str(), |(host, _)| host);
        let named = self.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        named.unwrap_or_else(|| host.trim_matches(['[', ']']))
    }

    /// Reads a desktop's `spec`.
    pub(crate) fn read(metadata: &Metadata<'_>, spec: Section<'_>) -> Option<Self> {
        const UNSUPPORTED: &[(&str, &str)] = &[
            ("host_id", "remove it"),
            ("non_ad", "leave `domain` out instead"),
            ("screen_size", "remove it"),
            ("password", "write it into a file and name that in `auth.password_files`"),
            ("credentials", "name a file for each login in `auth.password_files`"),
        ];
        let spec = spec.without(UNSUPPORTED);
        let protocols = [("rdp", DesktopProtocol::Rdp), ("vnc", DesktopProtocol::Vnc)];
        let protocol = spec.take("protocol").map_or(Some(DesktopProtocol::Rdp), |at| at.choice(&protocols));
        let addr = spec.need("addr", "\"host:3389\"").and_then(|at| address::read(&at));
        let domain = spec.take("domain").and_then(|at| address::host(&at));
        let password_files = spec.section("auth", "auth").map_or_else(BTreeMap::new, auth);
        let tls = spec.section("tls", "tls").and_then(tls);
        let (mode, security) = (mode(&spec, protocol, !password_files.is_empty()), security(&spec, protocol));
        spec.finish();
        let name: TargetName = metadata.name()?;
        let uid = metadata.uid(Kind::WindowsDesktop, &name);
        let (labels, description) = (metadata.labels(), metadata.description());
        let (protocol, addr) = (protocol?, addr?);
        Some(Self { name, uid, labels, description, protocol, addr, domain, mode, security, tls, password_files })
    }
}

/// Without a password the gate can't log in, so that clients of RDP do it themselves.
fn mode(spec: &Section<'_>, protocol: Option<DesktopProtocol>, has_passwords: bool) -> DesktopMode {
    let usual = match protocol {
        Some(DesktopProtocol::Rdp) if !has_passwords => DesktopMode::Passthrough,
        _ => DesktopMode::Terminate,
    };
    let Some(at) = spec.take("mode") else { return usual };
    let chosen = at.choice(&[("terminate", DesktopMode::Terminate), ("passthrough", DesktopMode::Passthrough)]);
    if chosen == Some(DesktopMode::Passthrough) && protocol == Some(DesktopProtocol::Vnc) {
        at.problem("VNC has no `mode: passthrough` (remove it: the gate answers the desktop's password itself)");
    }
    if chosen == Some(DesktopMode::Passthrough) && has_passwords {
        at.problem("`mode: passthrough` has no use for `auth` (remove one of the two)");
    }
    if chosen == Some(DesktopMode::Terminate) && protocol == Some(DesktopProtocol::Rdp) && !has_passwords {
        at.problem("`mode: terminate` needs a password to log in with (add `auth.password_files`)");
    }
    chosen.unwrap_or(usual)
}

fn security(spec: &Section<'_>, protocol: Option<DesktopProtocol>) -> DesktopSecurity {
    let Some(at) = spec.take("server_security") else { return DesktopSecurity::Auto };
    if protocol == Some(DesktopProtocol::Vnc) {
        at.problem("`server_security` is RDP's (remove it; `tls` asks a VNC desktop for TLS)");
    }
    let choices = [("auto", DesktopSecurity::Auto), ("nla", DesktopSecurity::Nla), ("tls", DesktopSecurity::Tls)];
    at.choice(&choices).unwrap_or(DesktopSecurity::Auto)
}

fn auth(section: Section<'_>) -> BTreeMap<LoginName, PathBuf> {
    const UNSUPPORTED: &[(&str, &str)] =
        &[("password", "write the password into a file and name that in `password_files`")];
    let section = section.without(UNSUPPORTED);
    let files = section.take("password_files").and_then(|at| at.entries()).unwrap_or_default();
    let files = files.into_iter().filter_map(|(login, at)| file_of(login, &at)).collect();
    section.finish();
    files
}

fn file_of(login: &str, at: &At<'_>) -> Option<(LoginName, PathBuf)> {
    let path = PathBuf::from(at.text()?);
    let name = login.parse();
    if let Err(error) = &name {
        at.problem(format!("`{login}` is no desktop's login: {error}"));
    }
    if !path.is_absolute() {
        at.problem(format!("the password file of `{login}` must be a whole path (begin it with /)"));
        return None;
    }
    Some((name.ok()?, path))
}

/// One of `sha256`, `ca_cert` and `insecure`, or none of them for the system's authorities.
fn tls(section: Section<'_>) -> Option<DesktopTls> {
    let pin = section.take("sha256");
    let ca = section.take("ca_cert");
    let insecure = section.flag("insecure", false);
    let server_name = section.take("server_name").and_then(|at| address::host(&at));
    if usize::from(pin.is_some()) + usize::from(ca.is_some()) + usize::from(insecure) > 1 {
        section.problem("a desktop's certificate is known in one way (keep one of `sha256`, `ca_cert`, `insecure`)");
    }
    let trust = match (pin, ca) {
        (Some(at), _) => fingerprint(&at).map(DesktopTrust::Pin),
        (None, Some(at)) => certificate(&at).map(DesktopTrust::Ca),
        (None, None) if insecure => Some(DesktopTrust::Insecure),
        (None, None) => Some(DesktopTrust::System),
    };
    section.finish();
    Some(DesktopTls { trust: trust?, server_name })
}

/// A fingerprint as openssl, browsers and Windows write it.
fn fingerprint(at: &At<'_>) -> Option<Digest> {
    let text = at.text()?;
    let digits: String = text.trim_start_matches("sha256:").chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let digest = digits.to_ascii_lowercase().parse().ok();
    if digest.is_none() {
        at.problem("`sha256` is no fingerprint (use `openssl x509 -noout -fingerprint -sha256`: 64 hex digits)");
    }
    digest
}
