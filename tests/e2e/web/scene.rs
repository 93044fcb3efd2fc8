//! What the tests of the pages share: ann, whose only key is in the browser.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_lab::{Browser, Client, Process, Ran, own_binary};
use tapgate_model::Digest;

use crate::world::{World, person};

/// How long a command may go on after the browser has done its part.
const REST: Duration = Duration::from_secs(30);

/// A world with a browser in it.
pub(super) struct Scene {
    pub(super) browser: Browser,
    pub(super) ann: Client,
    pub(super) world: World,
}

/// A command that waits for the browser.
pub(super) struct Waiting {
    pub(super) process: Process,
    /// What the person clicks on.
    pub(super) link: String,
    /// What the person types.
    pub(super) code: String,
}

impl Scene {
    /// ann has enrolled in the browser and logged in with it.
    pub(super) fn new() -> Result<Self> {
        let scene = Self::before_enrolment()?;
        scene.enrol("admin,access-dev,access-prod")?;
        let login = ["login", "--gate", &scene.world.address, "--user", "ann"];
        scene.approve(scene.tap(login)?, "Approve a login")?.success()?;
        Ok(scene)
    }

    pub(super) fn before_enrolment() -> Result<Self> {
        let world = World::new()?;
        // The gate's own authority is in the chain that it shows, and its pin is this very hash.
        let pin: Digest = world.pin.trim_start_matches("sha256:").parse().map_err(anyhow::Error::msg)?;
        let browser = Browser::start(&world.lab, &STANDARD.encode(pin.as_bytes()))?;
        let ann = person(&world.lab, "ann")?.without_key();
        Ok(Self { browser, ann, world })
    }

    pub(super) fn enrol(&self, roles: &str) -> Result<Ran> {
        let token = self.world.invite("ann", roles)?;
        let (gate, pin) = (self.world.address.as_str(), self.world.pin.as_str());
        let words = ["enrol", "--gate", gate, "--ca-pin", pin, "--token", &token, "--device-name", "ann's laptop"];
        self.approve(self.tap(words)?, "Register a security key")?.success()
    }

    /// `tap --mfa-mode=browser …`, up to where it waits.
    pub(super) fn tap<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Result<Waiting> {
        self.start("tap", words)
    }

    /// `tap ssh --mfa-mode=browser` to prod3, up to where it waits.
    pub(super) fn ssh(&self, command: &str) -> Result<Waiting> {
        self.tap(["ssh", &self.world.at("prod3"), command])
    }

    pub(super) fn start<A: AsRef<OsStr>>(&self, name: &str, words: impl IntoIterator<Item = A>) -> Result<Waiting> {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        let all = std::iter::once("--mfa-mode=browser".into()).chain(words);
        let process = self.ann.start(&own_binary(name)?, all)?;
        let invited = "If browser window does not open automatically, open it by clicking on the link:\n ";
        process.wait_for_error(invited)?;
        let link = process.wait_for_error_line("the link", |line| Some(line.trim().to_owned()))?;
        let typed = |line: &str| line.strip_prefix("Type this code on the page: ").map(str::to_owned);
        let code = process.wait_for_error_line("the code", typed)?;
        Ok(Waiting { process, link, code })
    }

    /// Opens the link, types the code, approves, and lets the command go to its end.
    pub(super) fn approve(&self, waiting: Waiting, title: &str) -> Result<Ran> {
        self.open(&waiting, title)?;
        self.submit(&waiting.code)?;
        self.browser.wait_for("Your terminal goes on")?;
        waiting.process.finish(REST)
    }

    /// Opens the link, up to where the page asks for the code.
    pub(super) fn open(&self, waiting: &Waiting, title: &str) -> Result<()> {
        self.browser.go(&waiting.link)?;
        self.browser.wait_for(title)
    }

    /// Types a code and clicks.
    pub(super) fn submit(&self, code: &str) -> Result<()> {
        self.browser.fill("#code", code)?;
        self.browser.click("button.main")
    }

    /// Keeps what the page looks like, where `TAPGATE_SCREENSHOTS` names a folder.
    pub(super) fn picture(&self, name: &str) -> Result<()> {
        let Some(folder) = std::env::var_os("TAPGATE_SCREENSHOTS").map(PathBuf::from) else { return Ok(()) };
        for scheme in ["light", "dark"] {
            let feature = serde_json::json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            self.browser.devtools("Emulation.setEmulatedMedia", &feature)?;
            let image = STANDARD.decode(self.browser.screenshot()?).context("the picture is no base64")?;
            std::fs::write(folder.join(format!("{name}-{scheme}.png")), image)?;
        }
        Ok(())
    }
}

impl Waiting {
    /// Lets the command go to its end.
    pub(super) fn finish(self) -> Result<Ran> {
        self.process.finish(REST)
    }

    /// A code that is not the right one.
    pub(super) fn wrong_code(&self) -> &'static str {
        if self.code == "000-000" { "000-001" } else { "000-000" }
    }
}
