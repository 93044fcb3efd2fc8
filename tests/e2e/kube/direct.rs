//! Requests as nobody's client makes them, straight to the gate's door with jerry's login certificate.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::{Process, program};

use super::scene::Scene;
use crate::world::login_files;

/// What stands before the 32 bytes of an Ed25519 seed in the first version of PKCS #8, which OpenSSL 3.0 reads.
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// curl with what it needs.
pub(crate) struct Direct<'a> {
    scene: &'a Scene,
    certificate: PathBuf,
    key: PathBuf,
}

impl<'a> Direct<'a> {
    pub(crate) fn new(scene: &'a Scene) -> Result<Self> {
        let files = login_files(&scene.world, &scene.world.jerry);
        let text = std::fs::read_to_string(files.tls_key)?;
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let whole = STANDARD.decode(body)?;
        let first = [&ED25519_PKCS8[..], whole.get(16..48).context("no Ed25519 key")?].concat();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(first));
        let key = scene.world.lab.write("direct.key", &pem)?;
        // curl takes a colon in a certificate's path for the beginning of a password.
        let certificate = scene.world.lab.write("direct.crt", &std::fs::read_to_string(files.tls_certificate)?)?;
        Ok(Self { scene, certificate, key })
    }

    /// What the gate answers to a request for this path, with its head.
    pub(crate) fn curl(&self, path: &str, more: &[&str]) -> Result<String> {
        let ran = self.start(path, more)?.finish(std::time::Duration::from_mins(1))?;
        Ok(ran.stdout + &ran.stderr)
    }

    /// A request that is left running.
    pub(crate) fn start(&self, path: &str, more: &[&str]) -> Result<Process> {
        let port = self.scene.world.gate().address().port();
        let (certificate, key) = (self.certificate.display().to_string(), self.key.display().to_string());
        let (url, resolve) = (format!("https://k8s.localhost:{port}{path}"), format!("k8s.localhost:{port}:127.0.0.1"));
        let own =
            ["-sSk", "-i", "--http1.1", "--path-as-is", "--max-time", "50", "--cert", &certificate, "--key", &key];
        let words = [&own[..], &["--resolve", &resolve], more, &[&url]].concat();
        self.scene.world.jerry.start(&program("curl", "curl")?, words)
    }

    /// The same, where the answer's body may be anything, without its head.
    pub(crate) fn bytes(&self, path: &str, more: &[&str]) -> Result<Vec<u8>> {
        let file = self.scene.world.lab.path().join("answer");
        let to = file.display().to_string();
        // The last of two that contradict each other counts.
        self.curl(path, &[more, &["--no-include", "-o", &to]].concat())?;
        Ok(std::fs::read(file)?)
    }
}
