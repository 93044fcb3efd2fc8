//! SSH keys and certificates made by the real ssh-keygen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{Lab, Process, limits, program};

/// A key pair on disk, Ed25519 where nothing else is said; also a certificate authority when it signs others.
#[derive(Debug, Clone)]
pub struct KeyPair {
    path: PathBuf,
    public: String,
}

impl KeyPair {
    /// Makes a key in the lab; `name` is its file.
    pub fn make(lab: &Lab, name: &str) -> Result<Self> {
        Self::make_as(lab, name, &["-t", "ed25519"])
    }

    /// Makes an RSA key, as old servers have them.
    pub fn make_rsa(lab: &Lab, name: &str) -> Result<Self> {
        Self::make_as(lab, name, &["-t", "rsa", "-b", "2048", "-m", "PEM"])
    }

    fn make_as(lab: &Lab, name: &str, kind: &[&str]) -> Result<Self> {
        let path = lab.dir("keys")?.join(name);
        let options = [&["-q", "-N", "", "-C", name][..], kind, &["-f"]].concat();
        let made = keygen(&options, &[&path]);
        made.with_context(|| format!("cannot make the key {name}"))?;
        Ok(Self { public: read_line(&beside(&path, ".pub"))?, path })
    }

    /// The private key's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The public key as one line: `ssh-ed25519 AAAA… name`.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Signs `subject` as a user with these principals, good for five minutes; answers the certificate's file,
    /// which lies where ssh looks for it: beside the private key.
    pub fn sign_user(&self, subject: &Self, principals: &str) -> Result<PathBuf> {
        self.sign(subject, principals, &[])
    }

    /// Signs `subject` as a host with these names.
    pub fn sign_host(&self, subject: &Self, names: &str) -> Result<PathBuf> {
        self.sign(subject, names, &["-h"])
    }

    fn sign(&self, subject: &Self, principals: &str, extra: &[&str]) -> Result<PathBuf> {
        let public = beside(&subject.path, ".pub");
        let options = ["-q", "-I", principals, "-n", principals, "-V", "-1m:+5m"];
        let options: Vec<&str> = options.iter().chain(extra).copied().chain(["-s"]).collect();
        keygen(&options, &[&self.path, &public]).with_context(|| format!("cannot sign for {principals}"))?;
        Ok(beside(&subject.path, "-cert.pub"))
    }
}

/// The file whose name goes on so, as OpenSSH names them: a dot in the key's own name ends nothing.
fn beside(path: &Path, end: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}{end}"))
}

fn keygen(options: &[&str], files: &[&Path]) -> Result<()> {
    let mut command = Command::new(program("ssh-keygen", "openssh-client")?);
    command.args(options).args(files);
    Process::start("ssh-keygen", &mut command)?.finish(limits::COMMAND)?.success().map(drop)
}

fn read_line(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim_end().to_owned())
}
