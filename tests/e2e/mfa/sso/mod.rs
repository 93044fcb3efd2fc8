//! Sign-in and taps at an identity provider: a real one, in a real browser.

mod login;
mod offline;
mod pages;
mod refuse;
mod replay;
mod roles;

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tapgate_lab::{Browser, Client, Process, Provider, Ran, own_binary};
use tapgate_model::Digest;

use crate::world::{World, person, picture};

/// How long a command may go on after the browser has done its part.
const REST: Duration = Duration::from_secs(30);

/// What the connector is called.
const CONNECTOR: &str = "corp";

/// A world with an identity provider, and ann, who has an account there and no key anywhere.
pub(super) struct Scene {
    pub(super) browser: Browser,
    pub(super) provider: Provider,
    pub(super) ann: Client,
    pub(super) world: World,
}

/// A command that waits for the browser.
pub(super) struct Waiting {
    pub(super) process: Process,
    pub(super) link: String,
    pub(super) code: String,
}

impl Scene {
    /// Up to where the connector is written and sign-in by it counts as a tap.
    pub(super) fn new() -> Result<Self> {
        let world = World::new()?;
        let redirect = format!("https://{}/web/sso/callback", world.address);
        let provider = Provider::start(&world.lab, &redirect)?;
        let yaml = provider.connector_yaml(CONNECTOR, &redirect, &["access-dev", "access-prod"], "")?;
        world.put(&format!("{yaml}---\n{}", preference("[webauthn, sso]", "false")))?;
        let pin: Digest = world.pin.trim_start_matches("sha256:").parse().map_err(anyhow::Error::msg)?;
        let keys = format!("{},{}", STANDARD.encode(pin.as_bytes()), provider.tls_key()?);
        let browser = Browser::start(&world.lab, &keys)?;
        let ann = person(&world.lab, "ann")?.without_key();
        let scene = Self { browser, provider, ann, world };
        scene.behave(&json!({}))?;
        Ok(scene)
    }

    /// The same where ann has logged in.
    pub(super) fn logged_in() -> Result<Self> {
        let scene = Self::new()?;
        scene.log_in("ann")?.success()?;
        Ok(scene)
    }

    /// The provider's behaviour; what is not named is honest.
    pub(super) fn behave(&self, mode: &Value) -> Result<()> {
        let mut all = json!({ "groups": ["access-dev", "access-prod"], "login": self.world.login });
        for (name, value) in mode.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        self.provider.behave(&all)
    }

    /// `tap login --auth=corp`, done in the browser as this account.
    pub(super) fn log_in(&self, account: &str) -> Result<Ran> {
        let (gate, pin) = (self.world.address.as_str(), self.world.pin.as_str());
        let waiting = self.start(["login", "--gate", gate, "--ca-pin", pin, "--auth", CONNECTOR])?;
        self.sign_in(&waiting, "Approve a login", account)?;
        waiting.finish()
    }

    /// `tap … ssh` to prod3, done in the browser as this account.
    pub(super) fn ssh(&self, account: &str, command: &str) -> Result<Ran> {
        let waiting = self.start(["--mfa-mode=sso", "ssh", &self.world.at("prod3"), command])?;
        self.sign_in(&waiting, "Approve a session", account)?;
        waiting.finish()
    }

    /// `tap …`, up to where it waits for the browser.
    pub(super) fn start<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Result<Waiting> {
        let process = self.ann.start(&own_binary("tap")?, words)?;
        process.wait_for_error("open it by clicking on the link:\n ")?;
        let link = process.wait_for_error_line("the link", |line| Some(line.trim().to_owned()))?;
        let typed = |line: &str| line.strip_prefix("Type this code on the page: ").map(str::to_owned);
        let code = process.wait_for_error_line("the code", typed)?;
        Ok(Waiting { process, link, code })
    }

    /// Opens the link, types the code, goes to the provider, and signs in there.
    pub(super) fn sign_in(&self, waiting: &Waiting, title: &str, account: &str) -> Result<()> {
        self.depart(waiting, title)?;
        self.browser.fill("#name", account)?;
        self.browser.click("#go")
    }

    /// The same up to the provider's form.
    pub(super) fn depart(&self, waiting: &Waiting, title: &str) -> Result<()> {
        self.browser.go(&waiting.link)?;
        self.browser.wait_for(title)?;
        picture(&self.browser, "sso")?;
        self.browser.fill("#code", &waiting.code)?;
        self.browser.click("button.main")?;
        self.browser.wait_for("Lab sign-in")
    }
}

impl Waiting {
    pub(super) fn finish(self) -> Result<Ran> {
        self.process.finish(REST)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // ann's agent outlives the command that started it, and is told to go here.
        self.ann.tap(["logout"]).map(drop).unwrap_or_default();
    }
}

/// The cluster's preference.
pub(super) fn preference(factors: &str, session_mfa: &str) -> String {
    format!(
        "kind: cluster_auth_preference\nversion: v2\nmetadata: {{ name: cluster-auth-preference }}\nspec:\n  \
         second_factors: {factors}\n  require_session_mfa: {session_mfa}\n"
    )
}

/// The client's answer to a page that is asked for as the gate's own page asks.
fn from_page(scene: &Scene, path: &str, body: &Value) -> Result<u64> {
    let ask = format!(
        "return fetch('{path}', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
         body: JSON.stringify({body})}}).then(answer => answer.status)"
    );
    scene.browser.script(&ask)?.as_u64().context("no status")
}
