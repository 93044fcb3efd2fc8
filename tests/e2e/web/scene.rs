//! What the tests of the pages share: ann, whose only key is in the browser.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tapgate_lab::{Browser, Client, Process, Ran, own_binary, program};
use tapgate_model::Digest;

use crate::world::{World, person, picture};

/// ann's password on the pages.
pub(super) const PASSWORD: &str = "correct horse battery ann";

/// How long a command may go on after the browser has done its part.
pub(super) const REST: Duration = Duration::from_secs(30);

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

    /// ann has enrolled on the page, with a passkey in the browser; nobody is signed in.
    pub(super) fn with_passkey() -> Result<Self> {
        let scene = Self::before_enrolment()?;
        scene.enrol_by_page("ann", "access-dev,access-prod")?;
        Ok(scene)
    }

    /// The same, with ann signed in.
    pub(super) fn signed_in() -> Result<Self> {
        let scene = Self::with_passkey()?;
        scene.sign_in()?;
        Ok(scene)
    }

    /// Opens a page of the gate.
    pub(super) fn visit(&self, path: &str) -> Result<()> {
        self.browser.go(&self.url(path))
    }

    /// Its address.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.world.address)
    }

    /// Somebody spends an invite on the page.
    pub(super) fn enrol_by_page(&self, name: &str, roles: &str) -> Result<()> {
        let token = self.world.invite(name, roles)?;
        self.visit(&format!("/web/enrol#{token}"))?;
        self.browser.wait_for(&format!("Welcome, {name}"))?;
        for (field, text) in [("#password", PASSWORD), ("#again", PASSWORD), ("#device", "laptop")] {
            self.browser.fill(field, text)?;
        }
        self.picture("enrol")?;
        self.browser.click("#submit")?;
        self.browser.wait_for("You are enrolled")
    }

    /// Signs in with the passkey, and waits for the first page.
    pub(super) fn sign_in(&self) -> Result<()> {
        self.visit("/web/sign-in")?;
        self.browser.wait_for_element("#passkey")?;
        self.browser.click("#passkey")?;
        self.browser.wait_for("At a new terminal")
    }

    /// Types name and password, and sends them.
    pub(super) fn give_password(&self, password: &str) -> Result<()> {
        self.browser.wait_for_element("#passkey")?;
        self.offer_nothing()?;
        self.browser.fill("#user", "ann")?;
        self.browser.fill("#password", password)?;
        self.browser.click("#submit")
    }

    /// The browser offers passkeys beside the name, and its authenticator would take the offer by itself, where a
    /// person would choose: on this page it offers none.
    pub(super) fn offer_nothing(&self) -> Result<()> {
        self.browser.script("PublicKeyCredential.isConditionalMediationAvailable = async () => false").map(drop)
    }

    /// The session's cookie.
    pub(super) fn cookie(&self) -> Result<Value> {
        let cookies = self.browser.cookies()?;
        let own = cookies.into_iter().find(|cookie| cookie["name"] == "__Host-tapgate");
        own.context("the browser has no cookie of the gate")
    }

    /// The page has broken no policy and run into no error.
    pub(super) fn quiet(&self) -> Result<()> {
        // That somebody is signed out is an answer of the gate, which browsers write down.
        let said = self.browser.console()?.into_iter().filter(|line| !line.contains("status of 401"));
        assert_eq!(said.collect::<Vec<_>>(), Vec::<String>::new(), "{}", self.browser.url()?);
        Ok(())
    }

    /// The same, but for an answer of the gate that a test has provoked.
    pub(super) fn quiet_but_refused(&self, status: u16) -> Result<()> {
        let provoked = format!("status of {status}");
        let said = self.browser.console()?.into_iter().filter(|line| !line.contains(&provoked));
        let said = said.filter(|line| !line.contains("status of 401"));
        assert_eq!(said.collect::<Vec<_>>(), Vec::<String>::new(), "{}", self.browser.url()?);
        Ok(())
    }

    /// Asks the gate without a browser, with this cookie; answers the status and the body.
    pub(super) fn curl(&self, path: &str, cookie: &str, more: &[&str]) -> Result<(u16, String)> {
        let (url, cookie) = (self.url(path), format!("Cookie: __Host-tapgate={cookie}"));
        let fixed = ["-sk", "-w", "\n%{http_code}", "-H", &cookie, &url];
        let ran = self.ann.start(&program("curl", "curl")?, fixed.into_iter().chain(more.iter().copied()))?;
        let ran = ran.finish(REST)?.success()?;
        let (body, status) = ran.stdout.rsplit_once('\n').context("curl told no status")?;
        Ok((status.parse()?, body.to_owned()))
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
        Waiting::of(self.ann.start(&own_binary(name)?, all)?)
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
        picture(&self.browser, name)
    }
}

impl Waiting {
    /// A command that has just been started, up to where it waits.
    pub(super) fn of(process: Process) -> Result<Self> {
        let invited = "If browser window does not open automatically, open it by clicking on the link:\n ";
        process.wait_for_error(invited)?;
        let link = process.wait_for_error_line("the link", |line| Some(line.trim().to_owned()))?;
        let typed = |line: &str| line.strip_prefix("Type this code on the page: ").map(str::to_owned);
        let code = process.wait_for_error_line("the code", typed)?;
        Ok(Self { process, link, code })
    }

    /// The same command, up to where it waits once more.
    pub(super) fn again(self) -> Result<Self> {
        Self::of(self.process)
    }

    /// Lets the command go to its end.
    pub(super) fn finish(self) -> Result<Ran> {
        self.process.finish(REST)
    }

    /// A code that is not the right one.
    pub(super) fn wrong_code(&self) -> &'static str {
        if self.code == "000-000" { "000-001" } else { "000-000" }
    }
}
