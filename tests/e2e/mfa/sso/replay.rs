//! Codes, states and cookies are good once, for one browser.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Scene, from_page};

/// What the provider sent the browser back with, read off the page before its script takes it away.
fn answer(scene: &Scene) -> Result<(String, String)> {
    let seen = scene
        .browser
        .script("return performance.getEntriesByType('navigation').map(entry => entry.name).join() || location.href")?;
    let seen = seen.as_str().context("no address")?;
    let query = seen.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let value = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        pair.map(str::to_owned).with_context(|| format!("no {name} in {seen}"))
    };
    Ok((value("state")?, value("code")?))
}

#[test]
fn a_browser_that_did_not_leave_is_not_back() -> Result<()> {
    let scene = Scene::new()?;
    let (gate, pin) = (scene.world.address.clone(), scene.world.pin.clone());
    let waiting = scene.start(["login", "--gate", &gate, "--ca-pin", &pin, "--auth", "corp"])?;
    scene.depart(&waiting, "Approve a login")?;
    // Whoever has seen link and state, and has no cookie, ends nothing.
    let state = scene.browser.script("return document.querySelector('form') ? 'there' : 'gone'")?;
    assert_eq!(state, "there");
    scene.browser.devtools("Network.enable", &json!({}))?;
    let cookies = scene.browser.devtools("Network.getAllCookies", &json!({}))?;
    let ours = cookies["cookies"].as_array().into_iter().flatten();
    let ours = ours.filter(|cookie| cookie["name"] == "__Host-tapgate-sso").collect::<Vec<_>>();
    let [cookie] = ours.as_slice() else { anyhow::bail!("no cookie: {cookies}") };
    assert_eq!(
        (&cookie["secure"], &cookie["httpOnly"], &cookie["sameSite"]),
        (&json!(true), &json!(true), &json!("Strict"))
    );
    scene.browser.devtools(
        "Network.deleteCookies",
        &json!({ "name": "__Host-tapgate-sso", "url": format!("https://{gate}/") }),
    )?;
    scene.browser.fill("#name", "ann")?;
    scene.browser.click("#go")?;
    scene.browser.wait_for("This request is not open")?;
    assert!(!waiting.process.stderr().contains("ERROR"), "the terminal still waits: {}", waiting.process.stderr());
    // The same request, once more from the start, is done.
    scene.sign_in(&waiting, "Approve a login", "ann")?;
    waiting.finish()?.success()?;
    Ok(())
}

#[test]
fn an_answer_is_taken_once() -> Result<()> {
    let scene = Scene::new()?;
    let (gate, pin) = (scene.world.address.clone(), scene.world.pin.clone());
    // The answer is kept from the gate: the terminal's page comes to nothing, and what was in it is sent twice.
    scene.browser.devtools("Network.enable", &json!({}))?;
    scene.browser.devtools("Network.setBlockedURLs", &json!({ "urls": ["*/web/sso/finish"] }))?;
    let waiting = scene.start(["login", "--gate", &gate, "--ca-pin", &pin, "--auth", "corp"])?;
    scene.sign_in(&waiting, "Approve a login", "ann")?;
    scene.browser.wait_for("That did not work")?;
    let (state, code) = answer(&scene)?;
    scene.browser.devtools("Network.setBlockedURLs", &json!({ "urls": [] }))?;
    let issuer = scene.provider.issuer();
    let body = json!({ "state": state, "code": code, "iss": issuer });
    let other = json!({ "state": "A".repeat(43), "code": code, "iss": issuer });
    assert_eq!(from_page(&scene, "/web/sso/finish", &other)?, 404, "no such state");
    // Every answer takes the cookie away, so that what follows comes from nobody.
    assert_eq!(from_page(&scene, "/web/sso/finish", &body)?, 404, "the cookie is gone");
    scene.sign_in(&waiting, "Approve a login", "ann")?;
    scene.browser.wait_for("Your terminal goes on")?;
    waiting.finish()?.success()?;
    assert_eq!(from_page(&scene, "/web/sso/finish", &body)?, 404, "the request is done");
    Ok(())
}

#[test]
fn the_page_counts_wrong_codes_and_denies() -> Result<()> {
    let scene = Scene::logged_in()?;
    let ssh = ["--mfa-mode=sso", "ssh", &scene.world.at("prod3"), "true"];
    let waiting = scene.start(ssh)?;
    scene.browser.go(&waiting.link)?;
    scene.browser.wait_for("Approve a session")?;
    for said in ["prod3", "Lab Sign-In", "ann"] {
        scene.browser.wait_for(said)?;
    }
    let wrong = if waiting.code == "000-000" { "000-001" } else { "000-000" };
    for left in ["4 more", "3 more", "2 more", "one more"] {
        scene.browser.fill("#code", wrong)?;
        scene.browser.click("button.main")?;
        scene.browser.wait_for(left)?;
    }
    scene.browser.fill("#code", wrong)?;
    scene.browser.click("button.main")?;
    scene.browser.wait_for("Nothing was opened")?;
    let ran = waiting.finish()?.failure(1)?;
    assert!(ran.stderr.contains("too many wrong tries in the browser"), "{ran}");

    let waiting = scene.start(ssh)?;
    scene.browser.go(&waiting.link)?;
    scene.browser.wait_for("Approve a session")?;
    scene.browser.click("button.deny")?;
    scene.browser.wait_for("Nothing was opened")?;
    let ran = waiting.finish()?.failure(1)?;
    assert!(ran.stderr.contains("the request was denied in the browser"), "{ran}");
    Ok(())
}
