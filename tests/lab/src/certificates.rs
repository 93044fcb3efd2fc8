//! TLS certificates for servers, made by the real openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{Lab, Process, limits, program};

/// A certificate authority on disk.
#[derive(Debug, Clone)]
pub struct CertAuthority {
    folder: PathBuf,
}

/// A key and its certificate on disk, in PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The private key's file.
    pub key: PathBuf,
    /// The certificate's file.
    pub certificate: PathBuf,
}

impl CertAuthority {
    /// Makes an authority in the lab; `name` is its folder.
    pub fn make(lab: &Lab, name: &str) -> Result<Self> {
        let folder = lab.dir(name)?;
        let words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab", "-keyout"];
        openssl(&words, &folder, &["ca.key", "-out", "ca.pem"])?;
        Ok(Self { folder })
    }

    /// Its certificate, in PEM.
    pub fn pem(&self) -> Result<String> {
        std::fs::read_to_string(self.folder.join("ca.pem")).context("the authority has no certificate")
    }

    /// The file of its certificate.
    pub fn path(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A client's certificate for this subject, such as `/O=system:masters/CN=admin`.
    pub fn client(&self, file: &str, subject: &str) -> Result<Certificate> {
        let words = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout"];
        self.signed(&words, file, "extendedKeyUsage=clientAuth")
    }

    /// A server's certificate for these names, such as `DNS:localhost,IP:127.0.0.1`.
    pub fn server(&self, file: &str, names: &str) -> Result<Certificate> {
        let words = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout"];
        self.signed(&words, file, &format!("subjectAltName={names}"))
    }

    /// A certificate with one extension; without any it would be of version 1, which rustls refuses.
    fn signed(&self, request_words: &[&str], file: &str, extension: &str) -> Result<Certificate> {
        let [key, request, signed, extensions] = ["key", "csr", "pem", "ext"].map(|end| format!("{file}.{end}"));
        openssl(request_words, &self.folder, &[&key, "-out", &request])?;
        std::fs::write(self.folder.join(&extensions), format!("{extension}\n"))?;
        let words = ["x509", "-req", "-days", "1", "-sha256", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(&words, &self.folder, &["-in", &request, "-extfile", &extensions, "-out", &signed])?;
        Ok(Certificate { key: self.folder.join(key), certificate: self.folder.join(signed) })
    }
}

fn openssl(words: &[&str], folder: &Path, files: &[&str]) -> Result<()> {
    let mut command = Command::new(program("openssl", "openssl")?);
    command.current_dir(folder).args(words).args(files);
    Process::start("openssl", &mut command)?.finish(limits::COMMAND)?.success().map(drop)
}
