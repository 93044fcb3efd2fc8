//! What the tests of applications share: the servers behind the gate, proxies to them, and ann's browser.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tapgate_lab::{AppTls, Browser, Client, Process, PythonApp, Ran, own_binary, program};
use tapgate_model::Digest;

use crate::world::World;

/// How long one exchange with an application may take.
pub(super) const EXCHANGE: Duration = Duration::from_secs(40);

/// A gate with applications behind it: `dash` wants a tap, `open` does not.
pub(super) struct Scene {
    pub(super) app: PythonApp,
    pub(super) world: World,
}

/// A running `tap proxy app`.
pub(super) struct Proxy {
    pub(super) socket: PathBuf,
    pub(super) process: Process,
}

/// What an HTTP server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        values.next().unwrap_or_default()
    }

    pub(super) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
        let world = World::new()?;
        let app = PythonApp::start(&world.lab, &AppTls::default())?;
        let scene = Self { app, world };
        scene.roles("require_session_mfa: true")?;
        scene.put_app("dash", "prod", &format!("http://127.0.0.1:{}", scene.app.http), "")?;
        scene.put_app("open", "dev", &format!("http://127.0.0.1:{}", scene.app.http), "")?;
        Ok(scene)
    }

    /// Gives jerry's roles applications too, the one of production under these options.
    pub(super) fn roles(&self, options: &str) -> Result<()> {
        let role = |name: &str, env: &str, options: &str| {
            let text = self.world.role(name, env, options);
            text.replace("  allow:\n", &format!("  allow:\n    app_labels:\n      env: {env}\n"))
        };
        let both = [role("access-dev", "dev", ""), role("access-prod", "prod", options)];
        self.world.put(&both.join("---\n")).map(drop)
    }

    /// Writes an application; `more` is further lines of its `spec`.
    pub(super) fn put_app(&self, name: &str, env: &str, uri: &str, more: &str) -> Result<()> {
        let yaml = format!(
            "kind: app\nversion: v3\nmetadata:\n  name: {name}\n  labels: {{ env: {env} }}\nspec:\n  uri: {uri}\n{more}"
        );
        self.world.put(&yaml).map(drop)
    }

    /// jerry's proxy to an application, at a socket.
    pub(super) fn proxy(&self, name: &str, more: &[&str]) -> Result<Proxy> {
        let socket = self.world.lab.path().join(format!("{name}-{}.sock", self.world.mark()));
        let path = socket.display().to_string();
        let words = ["proxy", "app", name, "--socket", &path].into_iter().chain(more.iter().copied());
        let process = self.world.jerry.start(&own_binary("tap")?, words)?;
        process.wait_for("Proxying to")?;
        Ok(Proxy { socket, process })
    }

    /// curl's answer to a request through jerry's proxy.
    pub(super) fn through(&self, proxy: &Proxy, words: &[&str]) -> Result<Answer> {
        proxy.curl(&self.world.jerry, words)
    }

    /// An application's host name.
    pub(super) fn host(&self, name: &str) -> Result<String> {
        let (_, port) = self.world.address.rsplit_once(':').context("an address has a port")?;
        Ok(format!("{name}.apps.localhost:{port}"))
    }

    /// An address at an application's host.
    pub(super) fn url(&self, name: &str, path: &str) -> Result<String> {
        Ok(format!("https://{}{path}", self.host(name)?))
    }

    /// curl at the gate, as anybody may use it; its answer with head and body.
    pub(super) fn curl(&self, words: &[&str]) -> Result<Answer> {
        let fixed = ["-sk", "-i", "--max-time", "30"];
        let ran = self.world.jerry.start(&program("curl", "curl")?, fixed.into_iter().chain(words.iter().copied()))?;
        answer(&ran.finish(EXCHANGE)?.success()?.stdout)
    }

    /// ann's browser, with ann enrolled in it and nobody signed in.
    pub(super) fn browser(&self) -> Result<Browser> {
        // The gate's own authority is in every chain that it shows, and its pin is this very hash.
        let pin: Digest = self.world.pin.trim_start_matches("sha256:").parse().map_err(anyhow::Error::msg)?;
        let browser = Browser::start(&self.world.lab, &STANDARD.encode(pin.as_bytes()))?;
        let token = self.world.invite("ann", "access-dev,access-prod")?;
        browser.go(&format!("https://{}/web/enrol#{token}", self.world.address))?;
        browser.wait_for("Welcome, ann")?;
        for (field, text) in
            [("#password", "correct horse battery"), ("#again", "correct horse battery"), ("#device", "laptop")]
        {
            browser.fill(field, text)?;
        }
        browser.click("#submit")?;
        browser.wait_for("You are enrolled")?;
        Ok(browser)
    }
}

/// Signs ann in where the browser was led to, and taps.
pub(super) fn sign_in_and_tap(browser: &Browser) -> Result<()> {
    browser.wait_for_element("#passkey")?;
    browser.click("#passkey")?;
    browser.wait_for_element("#tap")?;
    browser.click("#tap")
}

/// The value of the browser's cookie for an application's session; the browser is at the application.
pub(super) fn cookie(browser: &Browser) -> Result<Value> {
    let cookies = browser.cookies()?;
    cookies.into_iter().find(|cookie| cookie["name"] == "__Host-tapgate-app").context("no session's cookie")
}

impl Proxy {
    /// curl through the socket.
    pub(super) fn curl(&self, client: &Client, words: &[&str]) -> Result<Answer> {
        let socket = self.socket.display().to_string();
        let fixed = ["-s", "-i", "--max-time", "30", "--unix-socket", &socket];
        let ran = client.start(&program("curl", "curl")?, fixed.into_iter().chain(words.iter().copied()))?;
        answer(&ran.finish(EXCHANGE)?.success()?.stdout)
    }

    /// A connection through the socket.
    pub(super) fn connect(&self) -> Result<UnixStream> {
        connect(&self.socket)
    }

    /// Sends these bytes and reads until the gate has ended the connection.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<String> {
        let mut stream = self.connect()?;
        stream.write_all(bytes)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut said = Vec::new();
        // A connection that is cut has said all that it will.
        stream.read_to_end(&mut said).map(drop).unwrap_or_default();
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Ends it in peace.
    pub(super) fn stop(self) -> Result<Ran> {
        let Self { process, socket } = self;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(process.id())?), nix::sys::signal::SIGTERM)?;
        let ran = process.finish(EXCHANGE)?.success()?;
        ensure!(!socket.exists(), "the socket was left behind");
        Ok(ran)
    }
}

pub(super) fn connect(socket: &Path) -> Result<UnixStream> {
    let stream = UnixStream::connect(socket).with_context(|| format!("{} is not served", socket.display()))?;
    stream.set_read_timeout(Some(EXCHANGE))?;
    Ok(stream)
}

/// The last head that curl saw, and the body.
pub(super) fn answer(text: &str) -> Result<Answer> {
    let mut rest = text;
    loop {
        let (head, body) = rest.split_once("\r\n\r\n").with_context(|| format!("no answer: {text}"))?;
        let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        if status == 100 || (status == 200 && body.starts_with("HTTP/")) {
            rest = body;
            continue;
        }
        return Ok(Answer { status, head: head.to_owned(), body: body.to_owned() });
    }
}
