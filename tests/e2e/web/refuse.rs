//! What is not approved opens nothing, and what is approved is approved once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result};

use super::scene::Scene;
use crate::world::text;

#[test]
fn denying_in_the_browser_ends_the_command() -> Result<()> {
    let scene = Scene::new()?;
    let (mark, connections) = (scene.world.mark(), scene.world.prod3.connections());
    let waiting = scene.ssh("echo here")?;
    scene.open(&waiting, "Approve a session")?;
    scene.browser.click("button.deny")?;
    scene.browser.wait_for("Nothing was opened")?;
    let ran = waiting.finish()?.failure(1)?;
    assert!(ran.stderr.contains("ERROR: the request was denied in the browser"), "{ran}");
    assert_eq!(scene.world.prod3.connections(), connections);
    scene.world.await_record(mark, "mfa.browser", |record| text(record, "step") == "denied")?;
    scene.world.await_record(mark, "mfa.failed", |record| text(record, "reason").contains("denied"))?;
    Ok(())
}

#[test]
fn wrong_codes_are_counted_and_two_tabs_are_one_request() -> Result<()> {
    let scene = Scene::new()?;
    let waiting = scene.ssh("echo here")?;
    let first = scene.browser.tab()?;
    scene.open(&waiting, "Approve a session")?;
    scene.submit(waiting.wrong_code())?;
    scene.browser.wait_for("This is not the code that your terminal shows (4 more tries).")?;
    scene.picture("wrong")?;
    // The authenticator belongs to the first tab; the second one has the same request open.
    let second = scene.browser.new_tab()?;
    scene.open(&waiting, "Approve a session")?;
    let page = scene.browser.url()?;
    scene.browser.switch(&first)?;
    scene.submit(&waiting.code)?;
    scene.browser.wait_for("Your terminal goes on")?;
    scene.browser.switch(&second)?;
    assert_eq!(scene.browser.script(&approval(&page, &waiting.code))?, 404);
    scene.browser.click("button.deny")?;
    scene.browser.wait_for("This request is not open")?;
    scene.browser.switch(&first)?;
    assert_eq!(waiting.finish()?.success()?.stdout, "here\n");

    // Five wrong ones end it, and the terminal hears of it.
    scene.ann.tap(["logout"])?.success()?;
    let login = ["login", "--gate", &scene.world.address, "--user", "ann"];
    let waiting = scene.tap(login)?;
    scene.open(&waiting, "Approve a login")?;
    for left in ["4 more", "3 more", "2 more", "one more"] {
        scene.submit(waiting.wrong_code())?;
        scene.browser.wait_for(left)?;
    }
    scene.submit(waiting.wrong_code())?;
    scene.browser.wait_for("Nothing was opened")?;
    let ran = waiting.finish()?.failure(1)?;
    assert!(ran.stderr.contains("too many wrong tries in the browser"), "{ran}");
    Ok(())
}

#[test]
fn a_stranger_at_the_callback_gets_and_ends_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let waiting = scene.ssh("echo here")?;
    let bare = waiting.link.trim_start_matches("http://");
    let (host, number) = bare.split_once('/').context("the link has no number")?;
    let sealed = "sealed=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (line, named, body, status) in [
        ("GET /", host, "", "404"),
        ("POST /callback/00000000-0000-4000-8000-000000000000", host, sealed, "404"),
        (&format!("POST /callback/{number}"), host, sealed, "404"),
        (&format!("POST /callback/{number}"), host, "error=access_denied", "404"),
        (&format!("POST /callback/{number}"), "evil.test", sealed, "421"),
    ] {
        assert_eq!(knock(host, line, named, body)?, status, "{line}");
    }
    let ran = scene.approve(waiting, "Approve a session")?.success()?;
    assert_eq!(ran.stdout, "here\n");
    Ok(())
}

#[test]
fn a_request_ends_with_its_ceremony() -> Result<()> {
    let scene = Scene::new()?;
    scene.world.put_prod_options("require_session_mfa: true, session_mfa_window: 4s")?;
    let waiting = scene.ssh("echo here")?;
    scene.open(&waiting, "Approve a session")?;
    let code = waiting.code.clone();
    let page = scene.browser.url()?;
    scene.browser.wait_for("This request is not open")?;
    let ran = waiting.finish()?.failure(1)?;
    assert!(ran.stderr.contains("nobody approved in the browser in time"), "{ran}");
    assert_eq!(scene.browser.script(&approval(&page, &code))?, 404);
    Ok(())
}

#[test]
fn a_cluster_that_forbids_the_browser_says_so() -> Result<()> {
    let scene = Scene::new()?;
    scene.world.put(
        "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: cluster-auth-preference}\nspec:\n  \
         second_factors: [webauthn]\n  allow_cli_auth_via_browser: false\n",
    )?;
    let ran = scene.ann.tap(["--mfa-mode=browser", "ssh", &scene.world.at("prod3"), "true"])?.failure(1)?;
    assert!(ran.stderr.contains("ERROR: this cluster does not allow taps in the browser"), "{ran}");
    Ok(())
}

/// A script that sends the right code once more, and answers the status.
fn approval(page: &str, code: &str) -> String {
    format!(
        "return fetch('{page}/approve', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
         body: JSON.stringify({{code: '{code}', webauthn: {{}}}})}}).then(answer => answer.status)"
    )
}

/// Sends one request as it is; answers the status.
fn knock(host: &str, line: &str, named: &str, body: &str) -> Result<String> {
    #[expect(clippy::disallowed_methods, reason = "a stranger on this machine knocks at the terminal's port")]
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "{line} HTTP/1.1\r\nHost: {named}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}
