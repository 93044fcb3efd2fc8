//! ann: her login certificate is on the disk, and her only security key is in a browser.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tapgate_client::keys::LoginFiles;
use tapgate_lab::{Browser, Client, Process, Ran, own_binary};
use tapgate_model::Digest;

use crate::world::{World, login_files, person, until};

/// How long a command may go on after the browser has done its part.
pub(super) const REST: Duration = Duration::from_mins(2);

/// ann and her browser.
pub(super) struct Approver {
    pub(super) browser: Browser,
    pub(super) ann: Client,
}

/// What a stock client has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) link: String,
    pub(super) code: String,
}

impl Asked {
    /// What stands in this text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let address = text.split_inclusive(char::is_whitespace).find(|word| word.contains("/web/ask/"))?;
        // A word that is not over yet may be cut.
        let link = address.strip_suffix(char::is_whitespace)?.to_owned();
        let (_, rest) = text.split_once("ype the code ")?;
        Some(Self { link, code: rest.get(..7)?.to_owned() })
    }

    /// What a client that waits has said on its stderr.
    pub(super) fn of(process: &Process) -> Result<Self> {
        process.wait_for_error("/web/ask/")?;
        // The code may stand before the address or after it.
        let mut asked = None;
        until("the address and the code", REST, || {
            asked = Self::read(&process.stderr());
            Ok(asked.is_some())
        })?;
        asked.context("nothing was asked")
    }

    /// A code that is not the right one.
    pub(super) fn wrong_code(&self) -> &'static str {
        if self.code == "000-000" { "000-001" } else { "000-000" }
    }
}

impl Approver {
    /// A world in which every session of `prod` wants a tap, and ann in it.
    pub(super) fn in_prod() -> Result<(World, Self)> {
        let world = World::new()?;
        world.put_prod_options("require_session_mfa: true")?;
        let own = Self::new(&world, "access-dev,access-prod")?;
        Ok((world, own))
    }

    /// ann has these roles, has enrolled in the browser and is logged in.
    pub(super) fn new(world: &World, roles: &str) -> Result<Self> {
        let pin: Digest = world.pin.trim_start_matches("sha256:").parse().map_err(anyhow::Error::msg)?;
        let browser = Browser::start(&world.lab, &STANDARD.encode(pin.as_bytes()))?;
        let own = Self { browser, ann: person(&world.lab, "ann")?.without_key() };
        let token = world.invite("ann", roles)?;
        let (gate, pin) = (world.address.as_str(), world.pin.as_str());
        let enrol = ["enrol", "--gate", gate, "--ca-pin", pin, "--token", &token, "--device-name", "laptop"];
        own.by_terminal(&enrol, "Register a security key")?;
        own.by_terminal(&["login", "--gate", gate, "--user", "ann"], "Approve a login")?;
        Ok(own)
    }

    /// A command of `tap` that hands its tap to the browser.
    pub(super) fn by_terminal(&self, words: &[&str], title: &str) -> Result<Ran> {
        let process = self.ann.start(&own_binary("tap")?, [&["--mfa-mode=browser"], words].concat())?;
        let link = process.wait_for_error_line("the link", |line| {
            line.trim().strip_prefix("http://127.0.0.1").map(|rest| format!("http://127.0.0.1{rest}"))
        })?;
        let typed = |line: &str| line.strip_prefix("Type this code on the page: ").map(str::to_owned);
        let code = process.wait_for_error_line("the code", typed)?;
        self.browser.go(&link)?;
        self.browser.wait_for(title)?;
        self.submit(&code)?;
        self.browser.wait_for("Your terminal goes on")?;
        process.finish(REST)?.success()
    }

    /// ann signs in on the pages, with the password and the key.
    pub(super) fn sign_in(&self, world: &World) -> Result<()> {
        self.browser.go(&format!("https://{}/web/sign-in", world.address))?;
        self.browser.wait_for_element("#passkey")?;
        self.browser.script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")?;
        self.browser.fill("#user", "ann")?;
        self.browser.fill("#password", "correct horse battery ann")?;
        self.browser.click("#submit")?;
        self.browser.wait_for("At a new terminal")
    }

    /// Where ann's login is.
    pub(super) fn files(&self, world: &World) -> LoginFiles {
        login_files(world, &self.ann)
    }

    /// Opens the page, up to where it asks for the code.
    pub(super) fn open(&self, asked: &Asked) -> Result<()> {
        self.browser.go(&asked.link)?;
        self.browser.wait_for("Approve a session")
    }

    /// Types a code and clicks.
    pub(super) fn submit(&self, code: &str) -> Result<()> {
        self.browser.fill("#code", code)?;
        self.browser.click("button.main")
    }

    /// Opens the page, types the code and taps, for a client that waits.
    pub(super) fn approve(&self, asked: &Asked) -> Result<()> {
        self.open(asked)?;
        self.submit(&asked.code)?;
        self.browser.wait_for("Your terminal goes on")
    }

    /// The same for a client that comes again.
    pub(super) fn approve_return(&self, asked: &Asked) -> Result<()> {
        self.open(asked)?;
        self.submit(&asked.code)?;
        self.browser.wait_for("Connect again")
    }

    /// The options of a stock ssh to a target, as ann or with another's key.
    pub(super) fn ssh_words(&self, world: &World, key: Option<PathBuf>, target: &str) -> Vec<String> {
        let key = key.unwrap_or_else(|| self.files(world).ssh_key);
        let mut words = world.options(false, &world.at(target), &key);
        words.extend(["-o", "BatchMode=yes", "-T"].map(str::to_owned));
        words
    }

    /// ann's stock ssh to prod3, left running.
    pub(super) fn ssh(&self, world: &World, command: &[&str]) -> Result<Process> {
        let words = self.ssh_words(world, None, "prod3");
        self.ann.start_ssh(words.into_iter().chain(["localhost"].iter().chain(command).map(ToString::to_string)))
    }

    /// A configuration in which `prod3` is what it says, for tools that call ssh; nobody can be asked anything.
    pub(super) fn ssh_config(&self, world: &World) -> Result<String> {
        let mut lines = vec!["Host prod3".to_owned(), "HostName localhost".to_owned(), "BatchMode yes".to_owned()];
        let options = world.options(false, &world.at("prod3"), &self.files(world).ssh_key);
        lines.extend(options.iter().filter(|word| *word != "-o").map(|option| option.replacen('=', " ", 1)));
        let file = world.lab.write("stock_config", &(lines.join("\n    ") + "\n"))?;
        file.to_str().map(str::to_owned).context("a path that is no text")
    }
}
