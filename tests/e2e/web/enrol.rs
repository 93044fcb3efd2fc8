//! Enrolling by an invite on the page, without a terminal.

use anyhow::Result;

use super::scene::{PASSWORD, Scene};
use crate::world::text;

#[test]
fn an_invite_becomes_a_password_and_a_device() -> Result<()> {
    let scene = Scene::before_enrolment()?;
    let mark = scene.world.mark();
    let token = scene.world.invite("ann", "access-dev")?;
    scene.visit(&format!("/web/enrol#{token}"))?;
    scene.browser.wait_for("olga has invited you")?;
    assert_eq!(scene.browser.url()?, scene.url("/web/enrol"), "the invite is out of the address bar");
    for (password, again, device, said) in [
        ("short", "short", "x", "at least 12 characters"),
        (PASSWORD, "another battery horse", "x", "The two passwords differ."),
        (PASSWORD, PASSWORD, " ", "Give the device a name"),
    ] {
        scene.browser.fill("#password", password)?;
        scene.browser.fill("#again", again)?;
        scene.browser.fill("#device", device)?;
        scene.browser.click("#submit")?;
        scene.browser.wait_for(said)?;
    }
    scene.browser.fill("#device", "laptop")?;
    scene.browser.click("#submit")?;
    scene.browser.wait_for("You are enrolled")?;
    scene.quiet()?;
    let enrolled = scene.world.await_record(mark, "auth.enrolled", |_| true)?;
    assert_eq!((text(&enrolled, "user"), text(&enrolled, "name")), ("ann", "laptop"));
    assert_eq!(scene.browser.credentials()?.first().map(|key| key["isResidentCredential"].clone()), Some(true.into()));

    // It is good once, and says so to whoever comes with it again or with another.
    for token in [token.as_str(), "nonsense"] {
        // A page that goes elsewhere by itself has gone there before another is asked for.
        scene.visit("/web/targets")?;
        scene.browser.wait_for("Sign in with a passkey")?;
        scene.visit(&format!("/web/enrol#{token}"))?;
        scene.browser.wait_for("the invite is not valid")?;
    }
    // A page from elsewhere can't spend one.
    let body = format!(r#"{{"token":"{token}"}}"#);
    let foreign = ["-H", "Content-Type: application/json", "-H", "Origin: https://evil.test", "-d", &body];
    assert_eq!(scene.curl("/web/api/enrol/look", "", &foreign)?.0, 403);
    Ok(())
}
