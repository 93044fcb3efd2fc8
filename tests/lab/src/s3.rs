//! A store that speaks S3: moto's server, with everything in its memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{Lab, Process, limits, python_program};

/// A running store. Dropping it ends it, and all that is in it is gone.
#[derive(Debug)]
pub struct S3 {
    process: Process,
    port: u16,
}

impl S3 {
    /// Starts one on a port of the lab's choice, with this bucket.
    pub fn start(lab: &Lab, bucket: &str) -> Result<Self> {
        Self::start_at(lab.port()?, bucket)
    }

    /// The same on this port: a store that has been away.
    pub fn start_at(port: u16, bucket: &str) -> Result<Self> {
        let mut command = Command::new(python_program("moto_server")?);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env_remove("http_proxy").env_remove("https_proxy");
        let mut store = Self { process: Process::start("moto_server", &mut command)?, port };
        let until = Instant::now() + limits::READY;
        while store.ask("PUT", &format!("/{bucket}")).is_err() {
            if Instant::now() > until || !store.process.is_running() {
                bail!("the store does not answer:\n{}", store.process.stderr());
            }
            std::thread::sleep(limits::LOOK);
        }
        Ok(store)
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The names of what is in a bucket, with their sizes.
    pub fn objects(&self, bucket: &str) -> Result<Vec<(String, u64)>> {
        let listed = String::from_utf8(self.ask("GET", &format!("/{bucket}?list-type=2"))?)?;
        let within = |part: &str, tag: &str| {
            let (_, rest) = part.split_once(&format!("<{tag}>"))?;
            rest.split_once('<').map(|(text, _)| text.to_owned())
        };
        let object = |part: &str| -> Result<(String, u64)> {
            let (name, size) = (within(part, "Key").context("no key")?, within(part, "Size").context("no size")?);
            Ok((name, size.parse()?))
        };
        listed.split("<Contents>").skip(1).map(object).collect()
    }

    /// What one object holds.
    pub fn object(&self, bucket: &str, name: &str) -> Result<Vec<u8>> {
        self.ask("GET", &format!("/{bucket}/{name}"))
    }

    /// One request; answers the body of a success.
    #[expect(clippy::disallowed_methods, reason = "the lab talks to its own server; no gate is involved")]
    fn ask(&self, method: &str, path: &str) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(limits::COMMAND))?;
        // Who asks is anybody: moto wants a name, and looks at no signature.
        let signed =
            "AWS4-HMAC-SHA256 Credential=lab/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nAuthorization: {signed}\r\nContent-Length: 0\r\n\r\n",
            self.port
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no HTTP")?;
        let (head, body) = answer.split_at(end + 4);
        let head = String::from_utf8_lossy(head);
        ensure!(head.split(' ').nth(1) == Some("200"), "{method} {path}: {head}");
        Ok(body.to_vec())
    }
}
