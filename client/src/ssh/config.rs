//! What `tap config ssh` prints: lines by which stock OpenSSH reaches this gate with the login certificate.

use std::path::Path;

use tapgate_model::UserName;

use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};
use crate::gate_addr::GateAddr;
use crate::keys::LoginFiles;
use crate::ssh::options::{quoted, shell_quoted, utf8};

/// The lines for `~/.ssh/config`, or the gate's line for a `known_hosts` file.
pub fn text(context: &Context, known_hosts: bool) -> Result<String> {
    let (files, gate) = (context.login_files(), &context.profile.gate);
    if known_hosts {
        let known = crate::files::read_optional(&files.known_hosts)?;
        let known = known.and_then(|known| known_host(gate, &known));
        return known.ok_or_else(|| Failure::new("the gate's SSH host authority is not known").advise("run tap login"));
    }
    let program = std::env::current_exe().act(|| "the path of tap cannot be told".to_owned())?;
    lines(&program, gate, context.user()?, &files)
}

/// The client's own file stands for one gate and trusts its authority for any name. In a file that
/// other hosts share the authority must count for the gate alone.
fn known_host(gate: &GateAddr, own: &str) -> Option<String> {
    let authority = own.lines().find_map(|line| line.strip_prefix("@cert-authority * "))?;
    let (host, port) = (gate.host(), gate.port());
    Some(format!("@cert-authority {host},[{host}]:{port} {authority}\n"))
}

/// Plain `ssh LOGIN@TARGET@GATE`, and `ssh LOGIN@TARGET.GATE` by a jump over the gate. What needs a tap is not opened by it: that is `tap ssh`.
///
/// The proxy command holds no word of the user name: a shell reads it, and user names may come from strangers,
/// as in the address of a git submodule.
fn lines(program: &Path, gate: &GateAddr, user: &UserName, files: &LoginFiles) -> Result<String> {
    let program = shell_quoted(utf8(program)?).replace('%', "%%");
    let host = gate.host();
    Ok(format!(
        "# Tapgate at {gate}: ssh LOGIN@TARGET.{host}, with the login of `tap login`.\n\
         # What asks for a tap is opened with: tap ssh LOGIN@TARGET\n\
         Host {host}\n  \
           User {user}\n  \
           Port {port}\n  \
           ProxyCommand {program} proxy ssh --gate {gate}\n  \
           HostKeyAlias {host}\n\
         Host *.{host}\n  \
           ProxyJump {host}\n\
         Host {host} *.{host}\n  \
           UserKnownHostsFile {known_hosts}\n  \
           IdentityFile {key}\n  \
           CertificateFile {certificate}\n  \
           IdentitiesOnly yes\n  \
           IdentityAgent none\n  \
           ForwardAgent no\n",
        port = gate.port(),
        known_hosts = quoted(&files.known_hosts)?,
        key = quoted(&files.ssh_key)?,
        certificate = quoted(&files.ssh_certificate)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_counts_for_the_gate_alone() {
        let gate = "gate.example:3080".parse().unwrap();
        let line = known_host(&gate, "@cert-authority * ssh-ed25519 AAAA\n");
        assert_eq!(line.as_deref(), Some("@cert-authority gate.example,[gate.example]:3080 ssh-ed25519 AAAA\n"));
        assert_eq!(known_host(&gate, ""), None);
    }

    #[test]
    fn the_lines_name_the_gate_the_key_and_the_tunnel() {
        let user = "jerry".parse().unwrap();
        let files = LoginFiles::within(Path::new("/home/j d/.tap/keys/gate.example:3080"));
        let text = lines(Path::new("/opt/100%/tap"), &"gate.example:3080".parse().unwrap(), &user, &files).unwrap();
        for line in [
            "Host gate.example",
            "  User jerry",
            "Host *.gate.example",
            "  ProxyJump gate.example",
            "  Port 3080",
            "  ProxyCommand '/opt/100%%/tap' proxy ssh --gate gate.example:3080",
            "  IdentitiesOnly yes",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(text.contains("  UserKnownHostsFile \"/home/j d/.tap/keys/"), "{text}");
    }
}
