//! What the tests of desktops share: a gate with roles for desktops, proxies to them, and viewers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tapgate_lab::{Browser, Process, Screen, VncDesktop, own_binary, program};
use tapgate_model::Digest;

use crate::world::{World, until};

/// How long a picture or a typed command's effect may take: several viewers share one machine.
pub(super) const SEEN: Duration = Duration::from_mins(1);

/// ann's password on the pages.
const PASSWORD: &str = "correct horse battery ann";

/// A gate whose role for production allows desktops after a tap.
pub(super) struct Scene {
    pub(super) world: World,
}

/// A running `tap proxy desktop`.
pub(super) struct Proxy {
    /// What it told as JSON.
    pub(super) told: Value,
    pub(super) process: Process,
}

impl Scene {
    pub(super) fn new() -> Result<Self> {
        let scene = Self { world: World::new()? };
        scene.role("require_session_mfa: true")?;
        Ok(scene)
    }

    /// Gives jerry's role for production desktops too, under these options.
    pub(super) fn role(&self, options: &str) -> Result<()> {
        let text = self.world.role("access-prod", "prod", options);
        let more = "  allow:\n    windows_desktop_labels: { env: prod }\n    windows_desktop_logins: [ann, alice]\n";
        self.world.put(&text.replace("  allow:\n", more)).map(drop)
    }

    /// Writes a desktop; `more` is further lines of its `spec`.
    pub(super) fn put(&self, name: &str, port: u16, more: &str) -> Result<()> {
        self.world.put(&yaml(name, port, more)).map(drop)
    }

    /// A VNC desktop with its document.
    pub(super) fn vnc(&self, name: &str) -> Result<VncDesktop> {
        let desktop = VncDesktop::start(&self.world.lab, name, None)?;
        self.put(name, desktop.port(), &vnc_spec(&desktop))?;
        Ok(desktop)
    }

    /// jerry's proxy to a desktop.
    pub(super) fn proxy(&self, name: &str, login: &str, more: &[&str]) -> Result<Proxy> {
        let words = ["proxy", "desktop", name, "--login", login, "--format", "json"];
        let process = self.world.jerry.start(&own_binary("tap")?, words.into_iter().chain(more.iter().copied()))?;
        // It is printed over several lines.
        process.wait_for("\n}")?;
        let told = serde_json::from_str(process.stdout().trim()).context("no JSON")?;
        Ok(Proxy { told, process })
    }

    /// An address of the gate.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.world.address)
    }

    /// ann's browser, with ann enrolled and signed in there.
    pub(super) fn signed_in(&self) -> Result<Browser> {
        // The gate's own authority is in every chain that it shows, and its pin is this very hash.
        let pin: Digest = self.world.pin.trim_start_matches("sha256:").parse().map_err(anyhow::Error::msg)?;
        let browser = Browser::start(&self.world.lab, &STANDARD.encode(pin.as_bytes()))?;
        let token = self.world.invite("ann", "access-prod")?;
        browser.go(&self.url(&format!("/web/enrol#{token}")))?;
        browser.wait_for("Welcome, ann")?;
        for (field, text) in [("#password", PASSWORD), ("#again", PASSWORD), ("#device", "laptop")] {
            browser.fill(field, text)?;
        }
        browser.click("#submit")?;
        browser.wait_for("You are enrolled")?;
        browser.go(&self.url("/web/sign-in"))?;
        browser.wait_for_element("#passkey")?;
        browser.click("#passkey")?;
        browser.wait_for("At a new terminal")?;
        Ok(browser)
    }

    /// curl's answer to a request at the gate: what it writes, by this word of its own.
    fn curl(&self, path: &str, words: &[&str]) -> Result<String> {
        let url = self.url(path);
        let fixed = ["-sk", "--http1.1", "--max-time", "20", "-o", "/dev/null", &url];
        let words = fixed.into_iter().chain(words.iter().copied());
        Ok(self.world.jerry.start(&program("curl", "curl")?, words)?.finish(SEEN)?.stdout)
    }

    /// The status of the gate's answer.
    pub(super) fn curl_status(&self, path: &str, words: &[&str]) -> Result<u16> {
        Ok(self.curl(path, &[words, &["-w", "%{http_code}"]].concat())?.parse()?)
    }

    /// The head of the gate's answer.
    pub(super) fn curl_head(&self, path: &str) -> Result<String> {
        self.curl(path, &["-D", "-"])
    }

    /// jerry's `tap desktop connect`, with its viewer on this screen.
    pub(super) fn connect(&self, screen: &Screen, words: &[&str]) -> Result<Process> {
        let jerry = self.world.jerry.clone().with("DISPLAY", screen.display());
        jerry.start(&own_binary("tap")?, ["desktop", "connect"].into_iter().chain(words.iter().copied()))
    }
}

/// A desktop's document.
pub(super) fn yaml(name: &str, port: u16, more: &str) -> String {
    format!(
        "kind: windows_desktop\nversion: v3\nmetadata:\n  name: {name}\n  labels: {{ env: prod }}\nspec:\n  addr: \
         localhost:{port}\n{more}"
    )
}

/// `spec` of a VNC desktop that ann enters.
pub(super) fn vnc_spec(desktop: &VncDesktop) -> String {
    format!("  protocol: vnc\n{}", auth("ann", desktop.password_file()))
}

/// `auth` with one login's password.
pub(super) fn auth(login: &str, file: &std::path::Path) -> String {
    format!("  auth: {{ password_files: {{ {login}: {} }} }}\n", file.display())
}

impl Proxy {
    /// A field of what it told.
    pub(super) fn text(&self, field: &str) -> Result<&str> {
        self.told[field].as_str().with_context(|| format!("no {field}: {}", self.told))
    }
}

/// Waits until a viewer's window shows what is on the desktop; answers the window.
pub(super) fn same_picture(viewer: &Screen, title: &str, desktop: &Screen) -> Result<String> {
    let window = viewer.window(title)?;
    until("the desktop's picture", SEEN, || {
        let (shown, real) = (viewer.picture(&window)?, desktop.picture("root")?);
        Ok(real.brightness() > 50 && real.likeness(&shown) >= 98)
    })?;
    Ok(window)
}

/// Types a command into a viewer, and waits for what it does on the desktop.
pub(super) fn typed(scene: &Scene, viewer: &Screen, window: &str, name: &str) -> Result<()> {
    let file: PathBuf = scene.world.lab.path().join(name);
    viewer.type_line(window, &format!("touch {}", file.display()))?;
    until("the typed command's effect", SEEN, || Ok(file.exists()))
}
