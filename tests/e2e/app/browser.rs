//! A real browser's way into an application, and out of it.

use std::time::Duration;

use anyhow::Result;
use tapgate_lab::Browser;

use super::scene::{Scene, cookie, sign_in_and_tap};
use crate::world::{picture, text, until};

/// Runs a function's body in the page that answers with a promise, and waits for what it leaves in `window.said`.
fn said(browser: &Browser, script: &str) -> Result<String> {
    browser.script(&format!("window.said = null; {script}; return null"))?;
    let mut found = String::new();
    until("the page's answer", Duration::from_secs(20), || {
        found = browser.script("return window.said")?.as_str().unwrap_or_default().to_owned();
        Ok(!found.is_empty())
    })?;
    Ok(found)
}

#[test]
fn a_browser_comes_back_to_the_exact_page_with_a_session() -> Result<()> {
    let scene = Scene::new()?;
    let browser = scene.browser()?;
    let mark = scene.world.mark();
    browser.go(&scene.url("dash", "/d/1?panel=2&q=a%20b")?)?;
    browser.wait_for_element("#passkey")?;
    assert!(browser.url()?.starts_with(&format!("https://{}/web/sign-in?to=", scene.world.address)));
    browser.click("#passkey")?;
    browser.wait_for("Open dash")?;
    picture(&browser, "app")?;
    assert!(!scene.world.records().iter().skip(mark).any(|record| text(record, "event") == "session.start"));
    browser.click("#tap")?;
    browser.wait_for("at /d/1?panel=2&q=a%20b")?;
    assert_eq!(browser.url()?, scene.url("dash", "/d/1?panel=2&q=a%20b")?);

    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "dash")?;
    let facts = ["user", "door", "protocol"].map(|field| text(&start, field));
    assert_eq!(facts, ["ann", "web", "http"]);
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");

    let cookie = cookie(&browser)?;
    assert_eq!((cookie["secure"].as_bool(), cookie["httpOnly"].as_bool()), (Some(true), Some(true)));
    assert_eq!((cookie["path"].as_str(), cookie["sameSite"].as_str()), (Some("/"), Some("Lax")));
    assert!(cookie["expiry"].is_null(), "it goes with the browser: {cookie}");

    // The next page asks for nothing, and what a page of the application asks for comes too.
    browser.go(&scene.url("dash", "/next")?)?;
    browser.wait_for("at /next")?;
    let seen = said(&browser, "fetch('/headers').then(r => r.text()).then(t => window.said = t)")?;
    assert!(seen.contains("tapgate-user") && !seen.contains("__Host-tapgate"), "{seen}");
    let socket = "const s = new WebSocket('wss://' + location.host + '/socket'); s.onopen = () => s.send('hi'); \
                  s.onmessage = e => { window.said = e.data; s.close() }";
    assert_eq!(said(&browser, socket)?, "echo hi");
    let events = "let n = 0; const e = new EventSource('/events'); e.onmessage = m => { if (++n == 3) { e.close(); \
                  window.said = 'three' } }";
    assert_eq!(said(&browser, events)?, "three");
    assert_eq!(scene.world.records().iter().skip(mark).filter(|r| text(r, "event") == "session.start").count(), 1);

    // Leaving ends it, for this application.
    browser.go(&scene.url("dash", "/.tapgate/leave")?)?;
    browser.wait_for("session is over")?;
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "dash")?;
    assert_eq!(text(&end, "reason"), "closed by the client");
    assert!(end["bytes_down"].as_u64().unwrap_or_default() > 100, "{end}");
    Ok(())
}

#[test]
fn signing_out_and_a_lock_end_sessions_and_their_websockets_at_once() -> Result<()> {
    let scene = Scene::new()?;
    let browser = scene.browser()?;
    browser.go(&scene.url("dash", "/")?)?;
    sign_in_and_tap(&browser)?;
    browser.wait_for("The application")?;
    let open = "window.ended = null; const s = new WebSocket('wss://' + location.host + '/socket'); \
                s.onopen = () => window.said = 'open'; s.onclose = e => window.ended = e.code + ' ' + e.reason";
    assert_eq!(said(&browser, open)?, "open");
    let mark = scene.world.mark();
    scene.world.olga.tapctl(["lock", "--user=ann", "--message", "come to my office"])?.success()?;
    let mut closed = String::new();
    until("the WebSocket's end", Duration::from_secs(20), || {
        closed = browser.script("return window.ended")?.as_str().unwrap_or_default().to_owned();
        Ok(!closed.is_empty())
    })?;
    assert!(closed.starts_with("1008 ") && closed.contains("come to my office"), "{closed}");
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "dash")?;
    assert!(text(&end, "reason").contains("come to my office"), "{end}");
    let refused = "fetch('/headers').then(async r => window.said = r.status + ' ' + await r.text())";
    let refused = said(&browser, refused)?;
    assert!(refused.starts_with("401 ") && refused.contains("/web/app?host=dash.apps.localhost"), "{refused}");
    Ok(())
}

#[test]
fn signing_out_at_the_gate_ends_the_application_too() -> Result<()> {
    let scene = Scene::new()?;
    let browser = scene.browser()?;
    browser.go(&scene.url("dash", "/")?)?;
    sign_in_and_tap(&browser)?;
    browser.wait_for("The application")?;
    let value = cookie(&browser)?["value"].as_str().unwrap_or_default().to_owned();
    let with = format!("Cookie: __Host-tapgate-app={value}");
    let (dash, open) = (scene.url("dash", "/headers")?, scene.url("open", "/headers")?);
    assert_eq!(scene.curl(&["-H", &with, &dash])?.status, 200, "the cookie alone carries the session");
    // Of another application, of another host, twice, or a little other: it is nobody's.
    assert_eq!(scene.curl(&["-H", &with, &open])?.status, 401);
    let gate = format!("https://{}/web/api/me", scene.world.address);
    assert_eq!(scene.curl(&["-H", &format!("Cookie: __Host-tapgate={value}"), &gate])?.status, 401);
    assert_eq!(scene.curl(&["-H", &format!("{with}; __Host-tapgate-app={value}"), &dash])?.status, 401);
    assert_eq!(scene.curl(&["-H", &format!("{with}x"), &dash])?.status, 401);

    browser.go(&format!("https://{}/web/targets", scene.world.address))?;
    browser.wait_for("Sign out")?;
    let mark = scene.world.mark();
    browser.click("button.quiet")?;
    browser.wait_for_element("#passkey")?;
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "dash")?;
    assert!(text(&end, "reason").contains("signed out"), "{end}");
    assert_eq!(scene.curl(&["-H", &with, &dash])?.status, 401);
    Ok(())
}
