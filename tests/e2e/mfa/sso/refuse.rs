//! Providers that do not do what was asked of them, or do nothing at all.

use anyhow::Result;
use serde_json::{Value, json};

use super::{CONNECTOR, Scene};
use crate::world::text;

/// One behaviour, and what the person at the terminal reads.
fn refused(scene: &Scene, mode: &Value, account: &str, expect: &str) -> Result<()> {
    scene.behave(mode)?;
    let (mark, connections) = (scene.world.mark(), scene.world.prod3.connections());
    let ran = scene.ssh(account, "echo opened")?.failure(1)?;
    assert!(ran.stderr.contains("ERROR: the answer of the identity provider \"corp\" is refused"), "{mode}: {ran}");
    assert!(ran.stderr.contains(expect), "{mode}: {ran}");
    scene.browser.wait_for("Nothing was opened")?;
    let failed = scene.world.await_record(mark, "mfa.failed", |record| text(record, "user") == "ann")?;
    assert!(text(&failed, "reason").contains(expect), "{failed}");
    assert_eq!(scene.world.prod3.connections(), connections);
    Ok(())
}

/// Every one of these is refused, and then a sound answer opens. Few at a time: who fails too often is shut out.
fn refused_each(cases: &[(Value, &str, &str)]) -> Result<()> {
    let scene = Scene::logged_in()?;
    for (mode, account, expect) in cases {
        refused(&scene, mode, account, expect)?;
    }
    scene.behave(&json!({}))?;
    assert_eq!(scene.ssh("ann", "echo opened")?.success()?.stdout, "opened\n");
    Ok(())
}

#[test]
fn a_token_of_a_weak_or_old_sign_in_opens_nothing() -> Result<()> {
    refused_each(&[
        (json!({ "claims": { "acr": "urn:lab:pwd" } }), "ann", "did not authenticate by a class that was demanded"),
        (json!({ "drop": "acr" }), "ann", "did not authenticate by a class that was demanded"),
        (json!({ "age": 3600 }), "ann", "older than the request"),
        (json!({ "drop": "auth_time" }), "ann", "older than the request"),
    ])
}

#[test]
fn a_token_that_proves_something_else_opens_nothing() -> Result<()> {
    refused_each(&[
        (json!({ "claims": { "nonce": "another" } }), "ann", "does not sign this statement"),
        (json!({}), "bob", "another account signed in"),
        (json!({ "claims": { "aud": "another" } }), "ann", "is for another client"),
        (json!({ "claims": { "iss": "https://evil.test" } }), "ann", "is not the connector's issuer"),
    ])
}

#[test]
fn a_token_of_a_stranger_opens_nothing() -> Result<()> {
    refused_each(&[
        (json!({ "stranger": true }), "ann", "signed by no key that the provider has"),
        (json!({ "stranger": true, "kid": "own" }), "ann", "signed by no key that the provider has"),
    ])
}

/// The provider itself ends the sign-in without a code: because the person said no there, or for want of an answer.
#[test]
fn a_sign_in_that_the_provider_gives_up_ends_the_command() -> Result<()> {
    let scene = Scene::logged_in()?;
    refused(&scene, &json!({ "error": "access_denied" }), "ann", "access_denied: the lab said no")?;
    // It has no such class, passes over that it was demanded, and says so in its token.
    refused(&scene, &json!({ "acr": "urn:lab:pwd" }), "ann", "but by \"urn:lab:pwd\"")
}

#[test]
fn a_provider_that_is_down_is_named() -> Result<()> {
    let mut scene = Scene::logged_in()?;
    // It goes while somebody signs in there.
    let waiting = scene.start(["--mfa-mode=sso", "ssh", &scene.world.at("prod3"), "true"])?;
    scene.depart(&waiting, "Approve a session")?;
    scene.provider.stop()?;
    scene.browser.go(&format!("https://{}/web/sso/callback?state=x&code=y", scene.world.address))?;
    scene.browser.wait_for("This request is not open")?;
    waiting.process.kill()?;
    // The gate keeps what it knew for a while; started anew it knows nothing.
    scene.world.stop()?;
    scene.world.start()?;
    let said = format!("ERROR: the identity provider \"{CONNECTOR}\" can't be used now: localhost can't be reached");
    let login = ["login", "--gate", &scene.world.address, "--auth", CONNECTOR];
    let ran = scene.ann.tap(login)?.failure(1)?;
    assert!(ran.stderr.contains(&said), "{ran}");
    let ran = scene.ann.tap(["--mfa-mode=sso", "ssh", &scene.world.at("prod3"), "true"])?.failure(1)?;
    assert!(ran.stderr.contains(&said), "{ran}");
    // Another process with other keys at the same address is asked for them.
    scene.provider.start_again()?;
    scene.behave(&json!({}))?;
    crate::world::until("the provider to be asked again", super::REST, || {
        let waiting = scene.start(["--mfa-mode=sso", "ssh", &scene.world.at("prod3"), "echo back"]);
        let Ok(waiting) = waiting else { return Ok(false) };
        scene.sign_in(&waiting, "Approve a session", "ann")?;
        Ok(waiting.finish()?.success()?.stdout == "back\n")
    })
}
