//! A real browser, driven over `WebDriver`: Chromium with an authenticator of its own that taps at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{Lab, Process, limits, program};

/// A running Chromium with a profile of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    port: u16,
    session: String,
    authenticator: String,
    // Ended last: it takes the browser with it.
    _driver: Process,
}

/// The name under which `WebDriver` hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Starts one that trusts the certificate with this key (SHA-256 of its `SubjectPublicKeyInfo`, base64) and
    /// no other that the system does not.
    pub fn start(lab: &Lab, trusted_key: &str) -> Result<Self> {
        let port = lab.port()?;
        let mut command = Command::new(program("chromedriver", "chromium-driver")?);
        command.arg(format!("--port={port}")).env("HOME", lab.dir("browser-home")?);
        let driver = Process::start("chromedriver", &mut command)?;
        driver.wait_for("was started successfully")?;
        let profile = lab.dir("browser-profile")?;
        let begun = call(port, "POST", "/session", &capabilities(&profile, trusted_key)?)?;
        let session = text(&begun["sessionId"])?;
        let mut browser = Self { port, session, authenticator: String::new(), _driver: driver };
        browser.authenticator = browser.new_authenticator("internal")?;
        Ok(browser)
    }

    /// A further authenticator that taps at once, reached in this way (`internal`, `usb`, …); answers its handle.
    pub fn new_authenticator(&self, transport: &str) -> Result<String> {
        let authenticator = json!({
            "protocol": "ctap2", "transport": transport, "hasResidentKey": true,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true,
        });
        text(&self.post("/webauthn/authenticator", &authenticator)?)
    }

    /// The first authenticator's handle.
    pub fn authenticator(&self) -> &str {
        &self.authenticator
    }

    /// Whether an authenticator taps at once, or never.
    pub fn set_touching(&self, authenticator: &str, touching: bool) -> Result<()> {
        let parameters = json!({ "authenticatorId": authenticator, "enabled": touching });
        self.devtools("WebAuthn.setAutomaticPresenceSimulation", &parameters).map(drop)
    }

    /// Takes an authenticator away, with all its keys.
    pub fn remove_authenticator(&self, authenticator: &str) -> Result<()> {
        let path = format!("/session/{}/webauthn/authenticator/{authenticator}", self.session);
        call(self.port, "DELETE", &path, &Value::Null).map(drop)
    }

    /// This page's cookies, with their flags.
    pub fn cookies(&self) -> Result<Vec<Value>> {
        Ok(self.get("/cookie")?.as_array().cloned().unwrap_or_default())
    }

    /// Presses these keys one after the other, wherever the focus is; [`Self::TAB`] and [`Self::ENTER`] are two of them.
    pub fn press(&self, keys: &str) -> Result<()> {
        let both = |key: char| {
            let key = key.to_string();
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        };
        let actions: Vec<Value> = keys.chars().flat_map(both).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", &json!({ "actions": [keyboard] })).map(drop)
    }

    /// The tabulator key, as `WebDriver` writes it.
    pub const TAB: &str = "\u{e004}";
    /// The enter key.
    pub const ENTER: &str = "\u{e007}";

    /// Clicks at this place of the window, whatever is there.
    pub fn click_at(&self, x: u32, y: u32) -> Result<()> {
        let actions = json!([
            { "type": "pointerMove", "duration": 0, "x": x, "y": y },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": actions });
        self.post("/actions", &json!({ "actions": [mouse] })).map(drop)
    }

    /// Waits until there is an element for this CSS selector, as while a page is being made.
    pub fn wait_for_element(&self, selector: &str) -> Result<()> {
        let until = Instant::now() + limits::READY;
        while self.find(selector).is_err() {
            if Instant::now() > until {
                let seen = self.script("return document.body ? document.body.innerText : ''")?;
                bail!("the page {} never had `{selector}`, but\n{seen}", self.url().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Opens an address in this tab.
    pub fn go(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// The address that this tab is at.
    pub fn url(&self) -> Result<String> {
        text(&self.get("/url")?)
    }

    /// A further tab, which becomes this one; answers its handle.
    pub fn new_tab(&self) -> Result<String> {
        let handle = text(&self.post("/window/new", &json!({ "type": "tab" }))?["handle"])?;
        self.switch(&handle)?;
        Ok(handle)
    }

    /// This tab's handle.
    pub fn tab(&self) -> Result<String> {
        text(&self.get("/window")?)
    }

    /// Goes to a tab.
    pub fn switch(&self, handle: &str) -> Result<()> {
        self.post("/window", &json!({ "handle": handle })).map(drop)
    }

    /// Waits until the page has this text somewhere that can be read.
    pub fn wait_for(&self, wanted: &str) -> Result<()> {
        let until = Instant::now() + limits::READY;
        let mut seen = String::new();
        while Instant::now() < until {
            // Between two pages there is none to ask.
            seen = self
                .script("return document.body ? document.body.innerText : ''")
                .map_or(seen, |text| text.as_str().unwrap_or_default().to_owned());
            if seen.contains(wanted) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the page {} never said `{wanted}`, but\n{seen}", self.url().unwrap_or_default())
    }

    /// Types into the element that this CSS selector finds, in place of what is there.
    pub fn fill(&self, selector: &str, keys: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("/element/{element}/clear"), &json!({}))?;
        self.post(&format!("/element/{element}/value"), &json!({ "text": keys })).map(drop)
    }

    /// Clicks on the element that this CSS selector finds.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("/element/{element}/click"), &json!({})).map(drop)
    }

    /// Runs a function's body in the page and answers what it returns.
    pub fn script(&self, body: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": body, "args": [] }))
    }

    /// What the console has said since the last look, warnings of broken policies among it.
    pub fn console(&self) -> Result<Vec<String>> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }))?;
        let entries = entries.as_array().context("the console's log is no list")?;
        Ok(entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// The keys that the authenticator holds.
    pub fn credentials(&self) -> Result<Vec<Value>> {
        let found = self.get(&format!("/webauthn/authenticator/{}/credentials", self.authenticator))?;
        Ok(found.as_array().cloned().unwrap_or_default())
    }

    /// Chromium's own command, such as the emulation of a colour scheme.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// What this tab looks like, as PNG in base64.
    pub fn screenshot(&self) -> Result<String> {
        text(&self.get("/screenshot")?)
    }

    fn find(&self, selector: &str) -> Result<String> {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }))?;
        text(&found[ELEMENT])
    }

    fn get(&self, path: &str) -> Result<Value> {
        call(self.port, "GET", &format!("/session/{}{path}", self.session), &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        call(self.port, "POST", &format!("/session/{}{path}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let gone = call(self.port, "DELETE", &format!("/session/{}", self.session), &Value::Null);
        gone.map(drop).unwrap_or_default();
    }
}

fn capabilities(profile: &Path, trusted_key: &str) -> Result<Value> {
    let arguments = [
        "--headless=new".to_owned(),
        // Tests run as root in containers, where Chromium's own sandbox does not start.
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--no-default-browser-check".to_owned(),
        "--window-size=800,900".to_owned(),
        format!("--user-data-dir={}", profile.display()),
        format!("--ignore-certificate-errors-spki-list={trusted_key}"),
    ];
    let options = json!({ "binary": program("chromium", "chromium")?, "args": arguments });
    Ok(json!({ "capabilities": { "alwaysMatch": {
        "goog:chromeOptions": options,
        "goog:loggingPrefs": { "browser": "ALL" },
        "webauthn:virtualAuthenticators": true,
    } } }))
}

/// One call of `WebDriver`: JSON over HTTP, one connection each. Answers the field `value`.
fn call(port: u16, method: &str, path: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = request(port, method, path, &body).with_context(|| format!("{method} {path} was not answered"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("chromedriver answered no HTTP")?;
    let body: Value = serde_json::from_str(body).with_context(|| format!("chromedriver answered no JSON: {answer}"))?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{method} {path}: {}", body["value"]);
    Ok(body["value"].clone())
}

#[expect(clippy::disallowed_methods, reason = "the lab talks to its own driver; no gate is involved")]
fn request(port: u16, method: &str, path: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(limits::COMMAND))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    let mut buffer = [0; 16 << 10];
    // The driver may leave the connection open: the answer ends where its own length says.
    while !is_whole(&answer) {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(String::from_utf8(answer)?)
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|length| answer.len() >= head.len() + 4 + length)
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("no text: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_it_says() {
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n{}"));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\n\r\n{}"));
    }
}
