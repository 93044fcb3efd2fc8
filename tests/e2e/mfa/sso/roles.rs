//! Who may come in by the provider, and where its word is not enough.

use anyhow::Result;
use serde_json::json;

use super::{Scene, preference};

#[test]
fn a_role_that_demands_a_key_takes_no_providers_word() -> Result<()> {
    let scene = Scene::logged_in()?;
    for demand in ["webauthn", "hardware_key", "hardware_key_touch"] {
        let options = format!("require_session_mfa: {demand}, in_band: off");
        scene.world.put_prod_options(&options)?;
        let ran = scene.ann.tap(["--mfa-mode=sso", "ssh", &scene.world.at("prod3"), "true"])?.failure(1)?;
        assert!(ran.stderr.contains("ERROR: a security key is demanded here"), "{demand}: {ran}");
    }
    // A tap that was made before the demand is none after it.
    scene.world.put_prod_options("require_session_mfa: true")?;
    scene.ssh("ann", "true")?.success()?;
    scene.world.put_prod_options("require_session_mfa: webauthn")?;
    let connections = scene.world.prod3.connections();
    let ran = scene.ann.tap(["ssh", &scene.world.at("prod3"), "true"])?;
    assert!(!ran.status.success(), "{ran}");
    assert_eq!(scene.world.prod3.connections(), connections);
    Ok(())
}

#[test]
fn a_cluster_that_takes_no_provider_says_so() -> Result<()> {
    let scene = Scene::logged_in()?;
    scene.ssh("ann", "true")?.success()?;
    scene.world.put(&preference("[webauthn]", "false"))?;
    let connections = scene.world.prod3.connections();
    let window = scene.ann.tap(["ssh", &scene.world.at("prod3"), "true"])?;
    assert!(!window.status.success(), "a window of before is closed: {window}");
    assert_eq!(scene.world.prod3.connections(), connections);
    scene.ann.tap(["logout"])?.success()?;
    // Login is no tap, and goes on.
    scene.log_in("ann")?.success()?;
    let ran = scene.ann.tap(["--mfa-mode=sso", "ssh", &scene.world.at("prod3"), "true"])?.failure(1)?;
    assert!(ran.stderr.contains("this cluster takes no taps by identity providers"), "{ran}");
    Ok(())
}

#[test]
fn an_account_comes_into_nobody_elses_name() -> Result<()> {
    let scene = Scene::new()?;
    scene.behave(&json!({ "name": "olga" }))?;
    let ran = scene.log_in("mallory")?.failure(1)?;
    assert!(ran.stderr.contains("there is a user olga already"), "{ran}");
    scene.behave(&json!({ "groups": ["strangers"] }))?;
    let ran = scene.log_in("bob")?.failure(1)?;
    assert!(ran.stderr.contains("your account has no role here"), "{ran}");
    // Two accounts of one name: the first has it, until an administrator removes that user.
    scene.behave(&json!({}))?;
    scene.log_in("ann")?.success()?;
    scene.behave(&json!({ "name": "ann" }))?;
    let ran = scene.log_in("another-ann")?.failure(1)?;
    assert!(ran.stderr.contains("there is a user ann already"), "{ran}");
    scene.world.olga.tapctl(["rm", "user/ann"])?.success()?;
    scene.log_in("another-ann")?.success()?;
    Ok(())
}

#[test]
fn the_first_account_does_nothing_that_needs_a_key() -> Result<()> {
    let scene = Scene::logged_in()?;
    let ran = scene.ann.tapctl(["--mfa-mode=sso", "get", "role"])?;
    assert!(!ran.status.success(), "{ran}");
    let ran = scene.world.jerry.tap(["--mfa-mode=sso", "ssh", &scene.world.at("prod3"), "true"])?.failure(1)?;
    assert!(ran.stderr.contains("you have not signed in by an identity provider"), "{ran}");
    Ok(())
}
