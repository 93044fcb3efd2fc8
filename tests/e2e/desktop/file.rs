//! Files for stock clients of RDP: a handle that only finds, and a one-time password that proves.

use anyhow::{Context as _, Result};
use percent_encoding::percent_decode_str;
use tapgate_lab::{Browser, NlaDesktop, Process, Screen};

use super::rdp::Desk;
use super::scene::{SEEN, Scene, auth, same_picture, typed};
use crate::world::{picture, text, until};

/// What the page gave.
struct File {
    text: String,
    password: String,
}

/// Asks for a file on the page, and taps for it.
fn file(scene: &Scene, browser: &Browser, desktop: &str, login: &str) -> Result<File> {
    browser.go(&scene.url(&format!("/web/desktop?desktop={desktop}&login={login}")))?;
    browser.wait_for_element("#file")?;
    browser.click("#file")?;
    browser.wait_for_element("#saved")?;
    let of = |script: &str| -> Result<String> { Ok(browser.script(script)?.as_str().context("no text")?.to_owned()) };
    let href = of("return document.querySelector('#saved').href")?;
    let text = percent_decode_str(href.split_once(',').context("no data")?.1).decode_utf8()?.into_owned();
    Ok(File { text, password: of("return document.querySelector('.copy code').innerText")? })
}

impl File {
    fn handle(&self) -> Result<&str> {
        let line = self.text.lines().find_map(|line| line.strip_prefix("loadbalanceinfo:s:Cookie: msts="));
        line.context("no handle in the file")
    }

    /// xfreerdp with this file, and a password.
    fn open(&self, scene: &Scene, viewer: &Screen, password: &str) -> Result<Process> {
        let path = scene.world.lab.write("desktop.rdp", &self.text)?;
        let (path, password) = (path.display().to_string(), format!("/p:{password}"));
        let words = [&path, &password, "/cert:ignore", "/size:800x600"];
        viewer.start_program("xfreerdp", "freerdp2-x11", &words)
    }
}

/// It ended because its password was refused.
fn refused(process: &Process) -> Result<()> {
    let said = || format!("{}{}", process.stdout(), process.stderr());
    until("the refusal", SEEN, || Ok(said().contains("LOGON_FAILURE"))).with_context(said)
}

#[test]
fn a_file_and_its_password_open_one_session_after_one_tap() -> Result<()> {
    let scene = Scene::new()?;
    let desk = Desk::new(&scene, "win1")?;
    let browser = scene.signed_in()?;
    let mark = scene.world.mark();
    let made = file(&scene, &browser, "win1", "ann")?;
    picture(&browser, "desktop-file")?;
    assert!(made.password.len() >= 32 && made.handle()?.len() == 33, "{}", made.text);
    assert!(
        !made.text.contains(&made.password) && made.text.contains(&format!("full address:s:{}", scene.world.address))
    );

    let wrong = made.open(&scene, &desk.viewer, &"0".repeat(40))?;
    refused(&wrong)?;
    drop(wrong);
    assert!(!scene.world.records().iter().skip(mark).any(|record| text(record, "event") == "session.start"));

    let right = made.open(&scene, &desk.viewer, &made.password)?;
    let window = same_picture(&desk.viewer, "FreeRDP", &desk.vnc.screen)?;
    typed(&scene, &desk.viewer, &window, "typed-file")?;
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "win1")?;
    assert_eq!(["user", "door", "protocol", "login"].map(|field| text(&start, field)), ["ann", "web", "rdp", "ann"]);
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");

    // While it is open, and afterwards: a copy of both opens nothing.
    let mark = scene.world.mark();
    let other = Screen::start(&scene.world.lab, 900, 700)?;
    refused(&made.open(&scene, &other, &made.password)?)?;
    drop(right);
    scene.world.await_record(mark, "session.end", |record| text(record, "target") == "win1")?;
    refused(&made.open(&scene, &other, &made.password)?)?;
    assert!(!scene.world.records().iter().skip(mark).any(|record| text(record, "event") == "session.start"));
    Ok(())
}

#[test]
fn signing_out_ends_a_files_session_and_the_files_that_are_out() -> Result<()> {
    let scene = Scene::new()?;
    let desktop = NlaDesktop::start(&scene.world.lab, "win2")?;
    let spec = format!("{}  tls: {{ insecure: true }}\n", auth("alice", desktop.password_file()));
    scene.put("win2", desktop.port(), &spec)?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let browser = scene.signed_in()?;
    let mark = scene.world.mark();
    let (one, two) = (file(&scene, &browser, "win2", "alice")?, file(&scene, &browser, "win2", "alice")?);
    // Of two files each password is its own's.
    refused(&one.open(&scene, &viewer, &two.password)?)?;
    let process = one.open(&scene, &viewer, &one.password)?;
    let window = same_picture(&viewer, "FreeRDP", &desktop.screen)?;
    typed(&scene, &viewer, &window, "typed-file-nla")?;
    assert_eq!(text(&scene.world.await_record(mark, "desktop.session", |_| true)?, "security"), "nla");
    browser.go(&scene.url("/web/targets"))?;
    browser.wait_for("Sign out")?;
    browser.script("[...document.querySelectorAll('button')].find(b => b.innerText === 'Sign out').click()")?;
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "win2")?;
    assert!(text(&end, "reason").contains("signed out"), "{end}");
    drop(process);
    let mark = scene.world.mark();
    let late = two.open(&scene, &viewer, &two.password)?;
    scene.world.gate().process().wait_for_error("The web session of a desktop's file is over")?;
    drop(late);
    assert!(!scene.world.records().iter().skip(mark).any(|record| text(record, "event") == "session.start"));
    Ok(())
}

#[test]
fn without_a_tap_a_handle_or_network_level_authentication_nothing_opens() -> Result<()> {
    let scene = Scene::new()?;
    let desk = Desk::new(&scene, "win1")?;
    let browser = scene.signed_in()?;
    // The key does not answer: the page has asked for a file, and gets none to show. What the gate made opens nothing.
    browser.set_touching(browser.authenticator(), false)?;
    let ask = "fetch('/web/api/desktops/file', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: \
               JSON.stringify({ desktop: 'win1', login: 'ann' }) }).then(r => r.json()).then(j => window.made = j); return \
               null";
    browser.script(ask)?;
    until("the gate's answer", SEEN, || Ok(browser.script("return window.made")?.is_object()))?;
    let told = browser.script("return window.made")?;
    let of = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
    let made = File { text: of("text"), password: of("password") };
    let mark = scene.world.mark();
    let untapped = made.open(&scene, &desk.viewer, &made.password)?;
    assert_eq!(scene.world.denied(mark)?, "no tap was shown");
    drop(untapped);

    let (to, password) = (format!("/v:{}", scene.world.address), format!("/p:{}", made.password));
    let unknown = format!("/load-balance-info:Cookie: msts=t{}", "0".repeat(32));
    for more in [&["/u:ann"][..], &["/u:ann", &unknown]] {
        let words = [&[to.as_str(), &password, "/cert:ignore"][..], more].concat();
        refused(&desk.viewer.start_program("xfreerdp", "freerdp2-x11", &words)?)?;
    }
    let known = format!("/load-balance-info:Cookie: msts={}", made.handle()?);
    let words = [to.as_str(), &password, "/cert:ignore", "/u:ann", "/sec:tls", &known];
    let plain = desk.viewer.start_program("xfreerdp", "freerdp2-x11", &words)?;
    scene.world.gate().process().wait_for_error("it does no Network Level Authentication")?;
    drop(plain);
    assert!(!scene.world.records().iter().skip(mark).any(|record| text(record, "event") == "session.start"));
    Ok(())
}
