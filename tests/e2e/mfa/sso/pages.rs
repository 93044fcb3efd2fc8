//! Signing in on the gate's pages at the identity provider.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Scene, from_page};
use crate::world::picture;

impl Scene {
    /// From the sign-in page to the provider, and signs in there.
    fn provider_of_the_page(&self, account: &str) -> Result<()> {
        self.browser.click("button.provider")?;
        self.browser.wait_for("Lab sign-in")?;
        self.browser.fill("#name", account)?;
        self.browser.click("#go")
    }
}

/// Who the page says is signed in, and how.
fn me(scene: &Scene) -> Result<Value> {
    scene.browser.script("return fetch('/web/api/me').then(answer => answer.ok ? answer.json() : {})")
}

#[test]
fn the_pages_take_whom_the_provider_names() -> Result<()> {
    let scene = Scene::new()?;
    let page = |path: &str| format!("https://{}{path}", scene.world.address);
    scene.browser.go(&page("/web/sign-in?to=/web/devices"))?;
    scene.browser.wait_for("Sign in with")?;
    picture(&scene.browser, "sign-in-provider")?;
    scene.provider_of_the_page("ann")?;
    scene.browser.wait_for("Devices")?;
    assert_eq!(scene.browser.url()?, page("/web/devices"));
    let me = me(&scene)?;
    assert_eq!((&me["user"], &me["method"]), (&json!("ann"), &json!("sso")), "{me}");
    let console = scene.browser.console()?;
    assert!(!console.iter().any(|line| line.contains("Content Security Policy")), "{console:?}");
    Ok(())
}

#[test]
fn a_refused_answer_signs_nobody_in() -> Result<()> {
    let scene = Scene::new()?;
    scene.behave(&json!({ "stranger": true }))?;
    scene.browser.go(&format!("https://{}/web/sign-in", scene.world.address))?;
    scene.browser.wait_for("Sign in with")?;
    scene.provider_of_the_page("ann")?;
    scene.browser.wait_for("signed by no key that the provider has")?;
    assert_eq!(me(&scene)?, json!({}));
    // The same from another site's page is none of ours.
    assert_eq!(from_page(&scene, "/web/sso/login/nobody", &json!({}))?, 404);
    Ok(())
}
