//! A terminal in the page, with a real shell behind it: typing, seeing, its size, its end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::scene::Scene;
use crate::mfa::audit::{independent, text as path};
use crate::world::{text, until};

/// What the terminal shows.
const SCREEN: &str =
    "return [...document.querySelectorAll('.xterm-rows > div')].map(row => row.textContent).join('\\n')";

/// How long a shell may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

impl Scene {
    /// Opens a terminal's page, up to its tap where one is due.
    pub(super) fn terminal(&self, node: &str) -> Result<()> {
        self.visit(&format!("/web/terminal/{node}?login={}", self.world.login))
    }

    /// A terminal at prod3, after its tap.
    pub(super) fn tapped_terminal(&self) -> Result<()> {
        self.terminal("prod3")?;
        self.browser.wait_for_element("#tap")?;
        self.browser.click("#tap")?;
        self.shell_is_there()
    }

    /// The shell answers.
    pub(super) fn shell_is_there(&self) -> Result<()> {
        self.browser.wait_for("Close")?;
        self.run("echo is-$((40+2))", "is-42")
    }

    /// Types a line and waits until the terminal shows this.
    pub(super) fn run(&self, line: &str, shows: &str) -> Result<()> {
        self.browser.press(&format!("{line}{}", tapgate_lab::Browser::ENTER))?;
        self.shows(shows)
    }

    /// Waits until the terminal shows this.
    pub(super) fn shows(&self, wanted: &str) -> Result<()> {
        let mut seen = String::new();
        let shown = until(wanted, ANSWER_MAX, || {
            seen = self.screen()?;
            Ok(seen.contains(wanted))
        });
        shown.with_context(|| format!("the terminal never showed `{wanted}`, but\n{seen}"))
    }

    fn screen(&self) -> Result<String> {
        Ok(self.browser.script(SCREEN)?.as_str().unwrap_or_default().to_owned())
    }

    /// How many rows the terminal has.
    fn rows_of_the_page(&self) -> Result<u64> {
        let rows = self.browser.script("return document.querySelectorAll('.xterm-rows > div').length")?;
        rows.as_u64().context("no rows")
    }
}

#[test]
fn a_shell_in_the_page_after_one_tap_that_a_lock_ends_at_once() -> Result<()> {
    let scene = Scene::signed_in()?;
    let mark = scene.world.mark();
    let link = format!("a[aria-label='Open a terminal at prod3 as {}']", scene.world.login);
    scene.browser.wait_for_element(&link)?;
    scene.browser.click(&link)?;
    scene.browser.wait_for("Tap to open")?;
    scene.picture("terminal-tap")?;
    assert_eq!(scene.world.prod3.connections(), 0, "no byte went there before the tap");
    assert!(scene.world.records().iter().skip(mark).all(|record| record["event"] != "session.start"));
    scene.browser.click("#tap")?;
    scene.shell_is_there()?;

    let start = scene.world.await_record(mark, "session.start", |_| true)?;
    let expected = [("target", "prod3"), ("door", "web"), ("protocol", "ssh"), ("user", "ann")];
    for (field, value) in expected {
        assert_eq!(text(&start, field), value, "{start}");
    }
    assert_eq!((text(&start, "login"), &start["mfa_required"]), (scene.world.login.as_str(), &json!(true)), "{start}");
    assert!(start["tap"]["proof"].is_string() || start["tap"]["statement"].is_string(), "{start}");

    // Its size is the page's, before and after that changes.
    let rows = scene.rows_of_the_page()?;
    scene.run("stty size | tr ' ' x", &format!("{rows}x"))?;
    let small = json!({"width": 700, "height": 420, "deviceScaleFactor": 1, "mobile": false});
    scene.browser.devtools("Emulation.setDeviceMetricsOverride", &small)?;
    until("fewer rows", ANSWER_MAX, || Ok(scene.rows_of_the_page()? < rows))?;
    let fewer = scene.rows_of_the_page()?;
    scene.run("clear; stty size | tr ' ' x", &format!("{fewer}x"))?;
    scene.browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({}))?;
    // Bytes beyond ASCII, colours that are no class but a style, and a link.
    scene.run(r"printf '\303\274-\360\237\246\200 \033[38;2;10;200;30mgreen\033[0m\n'; ls -d /", "ü-🦀")?;
    let colour = "return [...document.querySelectorAll('.xterm-rows span')]
                  .some(span => span.style.color === 'rgb(10, 200, 30)')";
    until("a colour", ANSWER_MAX, || Ok(scene.browser.script(colour)? == true))?;
    scene.run("echo https://tapgate.test/read-me", "https://tapgate.test/read-me")?;
    scene.picture("terminal")?;
    scene.quiet()?;

    let lock = "kind: lock\nversion: v2\nmetadata: {name: out}\nspec:\n  target: {login: LOGIN}\n  message: night\n";
    scene.world.put(&lock.replace("LOGIN", &scene.world.login))?;
    scene.browser.wait_for("This session was ended")?;
    scene.browser.wait_for("Open a new session")?;
    scene.picture("terminal-locked")?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&end, "reason").starts_with("cut: "), "{end}");
    scene.browser.click("#again")?;
    scene.browser.wait_for("night")?;
    proven(&scene)?;
    scene.quiet()
}

/// Both verifiers know the tap of a page's connection.
fn proven(scene: &Scene) -> Result<()> {
    let (keys, log) = (scene.world.lab.path().join("keys.json"), scene.world.audit_log());
    scene.world.olga.tapctl(["audit", "export-keys", "--out", &path(&keys)])?.success()?;
    let words = ["audit", "verify", "--format", "json", "--log", &path(&log), "--keys", &path(&keys)];
    let audit = scene.world.olga.tapctl(words)?.success()?.json()?;
    for found in [&audit, &independent(&scene.world, &keys)?] {
        let count = |name: &str| found[name].as_u64();
        assert_eq!((count("required"), count("webauthn"), count("faults")), (Some(1), Some(1), Some(0)), "{found}");
    }
    Ok(())
}

#[test]
fn without_a_due_tap_it_opens_at_once_and_exit_says_so() -> Result<()> {
    let scene = Scene::signed_in()?;
    scene.terminal("dev1")?;
    scene.shell_is_there()?;
    scene.browser.press(&format!("exit 3{}", tapgate_lab::Browser::ENTER))?;
    scene.browser.wait_for("The shell has ended (exit status 3)")?;
    // The keyboard is on the way to go on.
    scene.browser.press(tapgate_lab::Browser::ENTER)?;
    scene.shell_is_there()?;
    scene.quiet()
}

#[test]
fn each_page_has_a_tap_of_its_own() -> Result<()> {
    let scene = Scene::signed_in()?;
    let mark = scene.world.mark();
    scene.tapped_terminal()?;
    let first = scene.browser.tab()?;
    let second = scene.browser.new_tab()?;
    scene.terminal("prod3")?;
    scene.browser.wait_for("Tap to open")?;
    let opened = |scene: &Scene| {
        let records = scene.world.records();
        records.iter().skip(mark).filter(|record| record["event"] == "session.start").count()
    };
    assert_eq!(opened(&scene), 1, "the second page rides on nobody's tap");
    scene.browser.switch(&first)?;
    scene.run("echo still-$((1+1))", "still-2")?;
    // A page that is loaded anew is another one, within the same five minutes.
    scene.terminal("prod3")?;
    scene.browser.wait_for("Tap to open")?;
    scene.browser.switch(&second)?;
    assert_eq!(opened(&scene), 1);
    scene.quiet()
}

#[test]
fn the_roles_limits_hold_in_the_page() -> Result<()> {
    let scene = Scene::signed_in()?;
    scene.world.put_prod_options("require_session_mfa: true, client_idle_timeout: 3s")?;
    scene.tapped_terminal()?;
    scene.browser.wait_for("nothing was typed for 3 seconds")?;
    scene.world.put_prod_options("require_session_mfa: true, max_session_ttl: 8s, record_session: strict")?;
    scene.terminal("prod3")?;
    scene.browser.wait_for_element("#tap")?;
    scene.browser.click("#tap")?;
    scene.browser.wait_for("max_session_ttl")?;
    let listed = scene.world.olga.tapctl(["sessions", "ls", "--format", "json"])?.success()?;
    assert!(listed.stdout.contains("prod3"), "it was recorded: {}", listed.stdout);
    scene.quiet()
}

#[test]
fn signing_out_ends_it_and_a_lost_connection_is_told() -> Result<()> {
    let mut scene = Scene::signed_in()?;
    scene.terminal("dev1")?;
    scene.shell_is_there()?;
    let terminal = scene.browser.tab()?;
    scene.browser.new_tab()?;
    scene.visit("/web/targets")?;
    scene.browser.wait_for("Sign out")?;
    let out = "return fetch('/web/api/sign-out', {method: 'POST', credentials: 'same-origin',
               headers: {'Content-Type': 'application/json'}, body: '{}'}).then(answer => answer.status)";
    assert_eq!(scene.browser.script(out)?, 200);
    scene.browser.switch(&terminal)?;
    scene.browser.wait_for("you signed out of the web session")?;
    scene.sign_in()?;
    scene.terminal("dev1")?;
    scene.shell_is_there()?;
    scene.world.kill()?;
    scene.browser.wait_for("The connection to the gate was lost")?;
    scene.world.start()?;
    scene.browser.click("#again")?;
    scene.shell_is_there()
}
