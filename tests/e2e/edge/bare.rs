//! A gate with nobody in it, and the plainest clients: a socket, curl, openssl.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use tapgate_api::path;
use tapgate_client::gate_addr::{CaPin, GateAddr};
use tapgate_client::tls::{Alpn, Tls, install_provider};
use tapgate_lab::{Gate, Lab, Process, Ran, program};

/// How long a client's command may take.
const COMMAND: Duration = Duration::from_mins(1);

/// What the gate gives a client for its handshake, and what a loaded machine may add.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
pub(super) const SLACK: Duration = Duration::from_secs(5);

/// How many handshakes the gate allows one address at once.
pub(super) const HANDSHAKES_MAX: usize = 64;

/// A gate without users.
pub(super) struct Bare {
    pub(super) gate: Gate,
    pub(super) config: PathBuf,
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) lab: Lab,
}

/// The configuration of such a gate.
pub(super) fn config(lab: &Lab, name: &str, port: u16, admin_port: u16, data: &str) -> Result<PathBuf> {
    let text = format!(
        "cluster_name: localhost\nlisten: \"127.0.0.1:{port}\"\npublic_addr: localhost:{port}\n\
         admin_listen: \"127.0.0.1:{admin_port}\"\ndata_dir: {}\n",
        lab.path().join(data).display()
    );
    lab.write(name, &text)
}

impl Bare {
    pub(super) fn new() -> Result<Self> {
        let lab = Lab::new()?;
        let (port, admin_port) = (lab.port()?, lab.port()?);
        let config = config(&lab, "tapgate.yaml", port, admin_port, "data")?;
        let gate = Gate::start_again(&config)?;
        Ok(Self { gate, config, port, admin_port, lab })
    }

    /// The gate's address in a URL.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// A connection that has said nothing yet.
    pub(super) fn dial(&self) -> Result<TcpStream> {
        dial(self.gate.address())
    }

    /// What curl makes of a path of the gate.
    pub(super) fn curl(&self, path: &str, options: &[&str]) -> Result<Answer> {
        curl(&self.url(path), options)
    }

    /// Proves that the gate serves others: asks it who it is, and in time.
    pub(super) fn is_well(&self) -> Result<()> {
        let start = Instant::now();
        let answer = self.curl(path::FIND, &[])?;
        anyhow::ensure!(answer.status == 200 && start.elapsed() < SLACK, "after {:?}: {answer:?}", start.elapsed());
        Ok(())
    }

    /// What clients know it by, from the line in which it says that it is open.
    pub(super) fn pin(&self) -> Result<String> {
        let log = self.gate.process().stderr();
        let open = log.lines().find(|line| line.contains("The gate is open")).context("the gate is not open")?;
        let line: serde_json::Value = serde_json::from_str(open)?;
        let pin = line["fields"]["ca_pin"].as_str().context("the line names no pin")?;
        Ok(format!("sha256:{pin}"))
    }

    /// The key exchange that the project's own client ends up with.
    pub(super) fn key_exchange(&self, alpn: Alpn) -> Result<String> {
        install_provider();
        let gate: GateAddr = format!("localhost:{}", self.port).parse().map_err(|e| anyhow!("{e}"))?;
        let pin: CaPin = self.pin()?.parse().map_err(|e| anyhow!("{e}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stream = runtime.block_on(Tls::anonymous(gate, &pin).connect(alpn)).map_err(|e| anyhow!("{e}"))?;
        let group = stream.get_ref().1.negotiated_key_exchange_group().context("the handshake is not over")?;
        Ok(format!("{:?}", group.name()))
    }
}

/// Connects to the gate as any client would.
#[expect(clippy::disallowed_methods, reason = "the tests are the gate's clients")]
pub(super) fn dial(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).context("the gate does not accept")?;
    stream.set_read_timeout(Some(HANDSHAKE * 3))?;
    stream.set_write_timeout(Some(HANDSHAKE * 3))?;
    Ok(stream)
}

/// Everything until the gate closes. A reset is an end, too; a read that times out is an error.
pub(super) fn rest(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => Ok(all),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(all),
        Err(error) => Err(error).context("the gate did not close the connection"),
    }
}

/// Says something and reads until the gate closes.
pub(super) fn say(stream: &mut TcpStream, words: &[u8]) -> Result<String> {
    stream.write_all(words)?;
    Ok(String::from_utf8_lossy(&rest(stream)?).into_owned())
}

/// An HTTP answer as curl reports it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The head, its field names in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }
}

/// Asks with curl, which does not look at the gate's certificate here; fails when there is no answer.
pub(super) fn curl(url: &str, options: &[&str]) -> Result<Answer> {
    let ran = start_curl(url, options)?.success()?;
    let (head, body) = ran.stdout.split_once("\r\n\r\n").with_context(|| format!("no answer: {ran}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// The same, whatever comes of it.
pub(super) fn start_curl(url: &str, options: &[&str]) -> Result<Ran> {
    let fixed = ["-sSki", "--noproxy", "*", "--max-time", "40", "-H", "Expect:"];
    run("curl", "curl", fixed.iter().copied().chain(options.iter().copied()).chain([url]))
}

/// `openssl s_client` to the end of its handshake and of a request that it makes.
pub(super) fn s_client(port: u16, options: &[&str], request: &str) -> Result<Ran> {
    let mut client = start_s_client(port, options)?;
    client.write(request.as_bytes())?;
    client.finish(COMMAND)
}

/// The same, left running.
pub(super) fn start_s_client(port: u16, options: &[&str]) -> Result<Process> {
    let connect = format!("127.0.0.1:{port}");
    let fixed = ["s_client", "-connect", &connect, "-servername", "localhost", "-ign_eof"];
    let mut command = Command::new(program("openssl", "openssl")?);
    Process::start("openssl s_client", command.args(fixed).args(options))
}

/// A request that ends its connection, for `s_client`.
pub(super) fn request(path: &str, port: u16) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n")
}

/// Runs a program of the system to its end.
pub(super) fn run<A: AsRef<OsStr>>(name: &str, package: &str, arguments: impl IntoIterator<Item = A>) -> Result<Ran> {
    let mut command = Command::new(program(name, package)?);
    Process::start(name, command.args(arguments))?.finish(COMMAND)
}
