//! Desktops on the gate's own pages, in a real browser: what is seen there, what is typed, and what opens nothing.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tapgate_lab::{Browser, NlaDesktop, OddDesktop, Picture, Screen};

use super::rdp::Desk;
use super::scene::{SEEN, Scene, auth};
use crate::world::{picture, text, until};

/// The canvas that a desktop is drawn on.
const VNC: &str = "document.querySelector('#screen canvas')";
const RDP: &str = "document.querySelector('iron-remote-desktop')?.shadowRoot.querySelector('canvas')";

/// Opens a desktop's page and taps.
pub(super) fn open(scene: &Scene, browser: &Browser, desktop: &str, login: &str) -> Result<()> {
    browser.go(&scene.url(&format!("/web/desktop?desktop={desktop}&login={login}")))?;
    browser.wait_for(&format!("Open {desktop}"))?;
    browser.wait_for_element("#tap")?;
    browser.click("#tap")
}

/// The window is so large that a desktop's picture in it has 800 by 600 pixels.
fn at_size(browser: &Browser) -> Result<()> {
    let size = json!({ "width": 800, "height": 644, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", &size).map(drop)
}

/// What is drawn on a canvas, once there is one.
fn seen(browser: &Browser, canvas: &str) -> Result<Option<Picture>> {
    let script = format!(
        "const c = {canvas}; if (!c || !c.width) return null; const all = c.getContext('2d').getImageData(0, 0, c.width, \
         c.height).data; const rgb = new Uint8Array(c.width * c.height * 3); for (let i = 0; i < c.width * c.height; i++) \
         {{ rgb[3*i] = all[4*i]; rgb[3*i+1] = all[4*i+1]; rgb[3*i+2] = all[4*i+2]; }} let text = ''; for (let i = 0; i < \
         rgb.length; i += 8192) text += String.fromCharCode(...rgb.subarray(i, i + 8192)); return {{ width: c.width, \
         height: c.height, rgb: btoa(text) }}"
    );
    let told = browser.script(&script)?;
    let Some(rgb) = told["rgb"].as_str() else { return Ok(None) };
    let size = |field: &str| told[field].as_u64().and_then(|size| usize::try_from(size).ok()).context("no size");
    Ok(Picture::of(size("width")?, size("height")?, STANDARD.decode(rgb)?))
}

/// Waits until the page shows what is on the desktop.
fn same_picture(browser: &Browser, canvas: &str, desktop: &Screen) -> Result<()> {
    let mut last = String::new();
    let same = until("the desktop's picture on the page", SEEN, || {
        let Some(shown) = seen(browser, canvas)? else {
            last = browser.script("return document.body.innerText")?.to_string();
            return Ok(false);
        };
        let real = desktop.picture("root")?;
        let (size, likeness) = ((shown.width, shown.height, real.width, real.height), real.likeness(&shown));
        last = format!("{size:?}, {likeness}, {}", real.brightness());
        Ok(real.brightness() > 50 && likeness >= 95)
    });
    same.with_context(|| format!("{last}; {:?}", browser.console()))
}

/// Types a command on the page, and waits for what it does on the desktop.
fn typed(scene: &Scene, browser: &Browser, canvas: &str, name: &str) -> Result<()> {
    let file = scene.world.lab.path().join(name);
    ensure!(!browser.script(&format!("return !{canvas}"))?.as_bool().unwrap_or(true), "there is no picture");
    browser.click_at(200, 300)?;
    // The shell is in the lab's folder; small letters alone, since `WebDriver` presses no shift key.
    browser.press(&format!("touch {name}{}", Browser::ENTER))?;
    until("the typed command's effect", SEEN, || Ok(file.exists()))
}

#[test]
fn a_vnc_desktop_is_on_the_page_after_one_tap_and_a_lock_says_why_it_ends() -> Result<()> {
    let scene = Scene::new()?;
    let desktop = scene.vnc("mac1")?;
    let browser = scene.signed_in()?;
    at_size(&browser)?;
    browser.wait_for("Open as ann")?;
    let mark = scene.world.mark();
    open(&scene, &browser, "mac1", "ann")?;
    same_picture(&browser, VNC, &desktop.screen)?;
    typed(&scene, &browser, VNC, "typed-page")?;
    picture(&browser, "desktop")?;
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "mac1")?;
    let facts = ["user", "door", "protocol", "login"].map(|field| text(&start, field));
    assert_eq!(facts, ["ann", "web", "vnc", "ann"]);
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");
    assert_eq!(text(&scene.world.await_record(mark, "desktop.session", |_| true)?, "security"), "vnc");

    // A text that the page puts into the desktop's clipboard is there.
    browser.click("#clipboard")?;
    browser.fill("#copied", "from-the-page")?;
    browser.click("#paste")?;
    let pasted = scene.world.lab.path().join("from-the-page");
    browser.press("touch ")?;
    desktop.screen.paste()?;
    browser.press(Browser::ENTER)?;
    until("the pasted word's effect", SEEN, || Ok(pasted.exists()))?;

    let wrong = |line: &String| line.contains("Content Security Policy") || line.contains("Uncaught");
    let said = browser.console()?;
    assert!(!said.iter().any(wrong), "{said:?}");
    let mark = scene.world.mark();
    scene.world.olga.tapctl(["lock", "--user", "ann", "--message", "come to my office"])?.success()?;
    browser.wait_for("mac1 is closed")?;
    browser.wait_for("come to my office")?;
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "mac1")?;
    assert!(text(&end, "reason").contains("come to my office") && end["bytes_down"].as_u64() > Some(1000), "{end}");
    Ok(())
}

#[test]
fn signing_out_ends_what_the_page_has_opened_and_its_end_button_does_too() -> Result<()> {
    let scene = Scene::new()?;
    let desktop = scene.vnc("mac1")?;
    let browser = scene.signed_in()?;
    at_size(&browser)?;
    let mark = scene.world.mark();
    open(&scene, &browser, "mac1", "ann")?;
    same_picture(&browser, VNC, &desktop.screen)?;
    let first = browser.tab()?;
    browser.new_tab()?;
    browser.go(&scene.url("/web/targets"))?;
    browser.wait_for("Sign out")?;
    browser.script("[...document.querySelectorAll('button')].find(b => b.innerText === 'Sign out').click()")?;
    browser.wait_for_element("#passkey")?;
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "mac1")?;
    assert!(text(&end, "reason").contains("signed out"), "{end}");
    browser.switch(&first)?;
    browser.wait_for("you signed out")
}

#[test]
fn an_rdp_desktop_with_network_level_authentication_is_on_the_page() -> Result<()> {
    let scene = Scene::new()?;
    let desktop = NlaDesktop::start(&scene.world.lab, "win2")?;
    let spec = format!("{}  tls: {{ insecure: true }}\n", auth("alice", desktop.password_file()));
    scene.put("win2", desktop.port(), &spec)?;
    let browser = scene.signed_in()?;
    at_size(&browser)?;
    let mark = scene.world.mark();
    open(&scene, &browser, "win2", "alice")?;
    same_picture(&browser, RDP, &desktop.screen)?;
    typed(&scene, &browser, RDP, "typed-rdp-page")?;
    picture(&browser, "desktop-rdp")?;
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "win2")?;
    assert_eq!(["user", "door", "protocol"].map(|field| text(&start, field)), ["ann", "web", "rdp"]);
    assert_eq!(text(&scene.world.await_record(mark, "desktop.session", |_| true)?, "security"), "nla");
    let mark = scene.world.mark();
    scene.world.olga.tapctl(["lock", "--user", "ann", "--message", "come to my office"])?.success()?;
    browser.wait_for("win2 is closed")?;
    browser.wait_for("come to my office")?;
    scene.world.await_record(mark, "session.end", |record| text(record, "target") == "win2").map(drop)
}

/// What is drawn is looked at with the other RDP server: of xrdp 0.9 IronRDP reads an update that is none, and ends.
#[test]
fn an_rdp_desktop_with_tls_opens_from_the_page() -> Result<()> {
    let scene = Scene::new()?;
    let _desk = Desk::new(&scene, "win1")?;
    let browser = scene.signed_in()?;
    at_size(&browser)?;
    let mark = scene.world.mark();
    open(&scene, &browser, "win1", "ann")?;
    let seen = scene.world.await_record(mark, "desktop.session", |_| true)?;
    assert_eq!(
        (text(&seen, "security"), seen["width"].as_u64(), seen["height"].as_u64()),
        ("tls", Some(800), Some(600))
    );
    Ok(())
}

#[test]
fn channels_are_the_roles_on_a_page_too_and_what_a_desktop_does_wrong_is_told_there() -> Result<()> {
    let scene = Scene::new()?;
    scene.role("require_session_mfa: true, desktop_clipboard: false, desktop_directory_sharing: false")?;
    let odd = OddDesktop::start(&scene.world.lab, "redirect")?;
    scene.put("odd", odd.port(), &format!("{}  tls: {{ insecure: true }}\n", auth("ann", odd.password_file())))?;
    let browser = scene.signed_in()?;
    let mark = scene.world.mark();
    open(&scene, &browser, "odd", "ann")?;
    browser.wait_for("tried to send its client to another server")?;
    let seen = scene.world.await_record(mark, "desktop.session", |_| true)?;
    let mut allowed = seen["channels"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
    assert!(allowed.all(|name| name == "rdpsnd"), "{seen}");
    Ok(())
}

#[test]
fn nothing_but_our_own_page_with_a_tap_opens_a_desktop() -> Result<()> {
    let scene = Scene::new()?;
    let _desktop = scene.vnc("mac1")?;
    let browser = scene.signed_in()?;
    let mark = scene.world.mark();
    let place = "/web/api/desktops/socket?desktop=mac1&login=ann";
    let closed = |browser: &Browser, path: &str| -> Result<String> {
        let script = format!(
            "window.ended = null; const s = new WebSocket('wss://' + location.host + '{path}'); s.onclose = e => \
             window.ended = e.code + ' ' + e.reason; return null"
        );
        browser.script(&script)?;
        let mut told = String::new();
        until("the WebSocket's end", SEEN, || {
            told = browser.script("return window.ended")?.as_str().unwrap_or_default().to_owned();
            Ok(!told.is_empty())
        })?;
        Ok(told)
    };
    // Without a ticket there is no WebSocket; with one and without a tap it ends with the words, and the ticket is spent.
    assert!(closed(&browser, place)?.starts_with("1006"));
    let ask = "fetch('/web/api/desktops/open', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: \
               JSON.stringify({ desktop: 'mac1', login: 'ann' }) }).then(r => r.json()).then(j => window.made = j); return \
               null";
    browser.script(ask)?;
    until("the gate's answer", SEEN, || Ok(browser.script("return window.made")?.is_object()))?;
    let made = browser.script("return window.made")?;
    let ticket = made["ticket"].as_str().context("no ticket")?;
    assert_eq!(made["tap"]["requirement"], "tap");
    let with = format!("{place}&ticket={ticket}");
    // Another login, another desktop: one answer, and no WebSocket.
    assert!(closed(&browser, &with.replace("login=ann", "login=root"))?.starts_with("1006"));
    assert!(closed(&browser, &with.replace("mac1", "mac9"))?.starts_with("1006"));
    let told = closed(&browser, &with)?;
    assert!(told.starts_with("4403 MFA is required to access Desktop \"mac1\""), "{told}");
    assert_eq!(scene.world.denied(mark)?, "no tap was shown");
    assert!(closed(&browser, &with)?.starts_with("1006"), "a ticket is good once");

    let cookies = browser.cookies()?;
    let own = cookies.iter().find(|cookie| cookie["name"] == "__Host-tapgate").context("no cookie")?;
    let cookie = format!("Cookie: __Host-tapgate={}", own["value"].as_str().unwrap_or_default());
    let upgrade = [
        "-H",
        "Connection: Upgrade",
        "-H",
        "Upgrade: websocket",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let origin = format!("Origin: https://{}", scene.world.address);
    let status = |more: &[&str]| scene.curl_status(place, &[&upgrade[..], more].concat());
    for (more, expected) in [
        (&["-H", &cookie, "-H", "Origin: https://evil.test"][..], 403),
        (&["-H", &cookie, "-H", "Origin: null"], 403),
        (&["-H", &cookie], 403),
        (&["-H", &cookie, "-H", &origin, "-H", "Sec-Fetch-Site: same-site"], 403),
        (&["-H", &origin], 401),
        (&["-H", "Cookie: __Host-tapgate=x", "-H", &origin], 401),
    ] {
        assert_eq!(status(more)?, expected, "{more:?}");
    }
    assert_eq!(scene.curl_status(place, &["-H", &cookie, "-H", &origin])?, 400, "no WebSocket was asked for");
    assert!(!scene.world.records().iter().skip(mark).any(|record| text(record, "event") == "session.start"));
    // The policy of the page that runs WebAssembly is no other page's.
    for (path, has) in
        [("/web/desktop", true), ("/web/targets", false), ("/web/sign-in", false), ("/web/vnc.js", false)]
    {
        let head = scene.curl_head(path)?.to_ascii_lowercase();
        assert_eq!((head.contains("wasm-unsafe-eval"), head.contains("unsafe-inline")), (has, has), "{path}: {head}");
    }
    Ok(())
}
