//! What `tap config ssh` prints: lines by which stock OpenSSH, and what runs it, reaches this gate.

use std::path::Path;

use tapgate_api::{Targets, path};
use tapgate_model::{Kind, TargetName, UserName};

use crate::cli::Context;
use crate::error::{Act as _, Failure, Result};
use crate::gate_addr::GateAddr;
use crate::keys::LoginFiles;
use crate::ssh::options::{CIPHERS, quoted, shell_quoted, utf8};

/// The lines for `~/.ssh/config`, or the gate's line for a `known_hosts` file.
pub async fn text(context: &Context, known_hosts: bool) -> Result<String> {
    let (files, gate) = (context.login_files(), &context.profile.gate);
    if known_hosts {
        let known = crate::files::read_optional(&files.known_hosts)?;
        let known = known.and_then(|known| known_host(gate, &known));
        return known.ok_or_else(|| Failure::new("the gate's SSH host authority is not known").advise("run tap login"));
    }
    let program = std::env::current_exe().act(|| "the path of tap cannot be told".to_owned())?;
    let Targets { targets } = context.with_login()?.get(path::TARGETS, &[]).await?;
    let node = Kind::Node.to_string();
    let names: Vec<TargetName> =
        targets.iter().filter(|target| target.kind == node).filter_map(|target| target.name.parse().ok()).collect();
    let parts = Parts { program: &program, gate, user: context.user()?, files: &files, run: context.home.run()? };
    parts.lines(&names)
}

/// What the lines are made of.
struct Parts<'a> {
    program: &'a Path,
    gate: &'a GateAddr,
    user: &'a UserName,
    files: &'a LoginFiles,
    /// The folder for sockets.
    run: &'a Path,
}

/// The client's own file stands for one gate and trusts its authority for any name. In a file that
/// other hosts share the authority must count for the gate alone.
fn known_host(gate: &GateAddr, own: &str) -> Option<String> {
    let authority = own.lines().find_map(|line| line.strip_prefix("@cert-authority * "))?;
    let (host, port) = (gate.host(), gate.port());
    Some(format!("@cert-authority {host},[{host}]:{port} {authority}\n"))
}

impl Parts<'_> {
    /// Plain `ssh LOGIN@TARGET` and `ssh LOGIN@TARGET.GATE` by `tap proxy ssh --window`, which taps where that is due;
    /// `ssh LOGIN@TARGET@GATE` and `ssh -J GATE` with the login certificate, which never does.
    ///
    /// A shell reads the proxy command, and names may come from strangers, as in the address of a git submodule: in
    /// single quotes only a single quote could break out, and a name that holds one matches nothing here.
    fn lines(&self, names: &[TargetName]) -> Result<String> {
        let Self { gate, user, .. } = self;
        let program = shell_quoted(utf8(self.program)?).replace('%', "%%");
        let (host, port) = (gate.host(), gate.port());
        let all: Vec<String> =
            std::iter::once(format!("*.{host}")).chain(names.iter().map(ToString::to_string)).collect();
        let run = quoted(self.run)?;
        Ok(format!(
            "# Tapgate at {gate}: ssh LOGIN@TARGET, and LOGIN@TARGET.{host} for a target that is not listed here.\n\
             Host {host}\n  \
               User {user}\n  \
               Port {port}\n  \
               ProxyCommand {program} proxy ssh --gate {gate}\n  \
               HostKeyAlias {host}\n  \
               IdentityFile {key}\n  \
               CertificateFile {certificate}\n  \
               IdentitiesOnly yes\n  \
               IdentityAgent none\n\
             Host {spaced}\n  \
               IdentityFile none\n  \
               IdentitiesOnly no\n  \
               IdentityAgent {run}/%r@%h\"\n\
             Match originalhost \"!*'*,{commas}\" user \"!*'*,*\"\n  \
               ProxyCommand {program} proxy ssh --gate {gate} --window '%r@%h'\n\
             Host {host} {spaced}\n  \
               UserKnownHostsFile {known_hosts}\n  \
               StrictHostKeyChecking yes\n  \
               {ciphers}\n  \
               ForwardAgent no\n",
            ciphers = CIPHERS.replace('=', " "),
            run = run.trim_end_matches('"'),
            spaced = all.join(" "),
            commas = all.join(","),
            known_hosts = quoted(&self.files.known_hosts)?,
            key = quoted(&self.files.ssh_key)?,
            certificate = quoted(&self.files.ssh_certificate)?,
        ))
    }
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
        let gate = "gate.example:3080".parse().unwrap();
        let (program, run) = (Path::new("/opt/100%/tap"), Path::new("/run/j d"));
        let parts = Parts { program, gate: &gate, user: &user, files: &files, run };
        let text = parts.lines(&["prod3".parse().unwrap(), "dev1".parse().unwrap()]).unwrap();
        for line in [
            "Host gate.example",
            "  User jerry",
            "Host *.gate.example prod3 dev1",
            "  IdentityAgent \"/run/j d/%r@%h\"",
            "Match originalhost \"!*'*,*.gate.example,prod3,dev1\" user \"!*'*,*\"",
            "  ProxyCommand '/opt/100%%/tap' proxy ssh --gate gate.example:3080 --window '%r@%h'",
            "  Port 3080",
            "  ProxyCommand '/opt/100%%/tap' proxy ssh --gate gate.example:3080",
            "  IdentitiesOnly yes",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(text.contains("  UserKnownHostsFile \"/home/j d/.tap/keys/"), "{text}");
    }
}
