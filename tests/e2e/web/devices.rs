//! One's own devices on the page: each change is signed by a tap of one that is registered.

use anyhow::Result;

use super::scene::Scene;
use crate::world::text;

#[test]
fn a_device_is_added_renamed_and_removed() -> Result<()> {
    let scene = Scene::signed_in()?;
    let mark = scene.world.mark();
    let before = scene.cookie()?;
    scene.visit("/web/devices")?;
    scene.browser.wait_for("vouched for by an administrator")?;
    // The new key answers, then the old one vouches for it.
    let (old, new) = (scene.browser.authenticator().to_owned(), scene.browser.new_authenticator("usb")?);
    scene.browser.set_touching(&old, false)?;
    scene.browser.click("input[value=key]")?;
    scene.browser.fill("#name", "yubi")?;
    scene.picture("devices")?;
    scene.browser.click("#begin")?;
    scene.browser.wait_for("It counts once one that is registered already vouches for it")?;
    scene.picture("vouch")?;
    scene.browser.set_touching(&new, false)?;
    scene.browser.set_touching(&old, true)?;
    scene.browser.click("#vouch")?;
    scene.browser.wait_for("security key \"yubi\" has been added")?;
    scene.browser.wait_for("vouched for by another key of yours")?;
    let enrolled = scene.world.await_record(mark, "auth.enrolled", |record| text(record, "name") == "yubi")?;
    assert_eq!(text(&enrolled, "link"), "device");
    assert_ne!(before["value"], scene.cookie()?["value"], "who may do more has another cookie");

    scene.browser.click("button[aria-label='Rename yubi']")?;
    scene.browser.wait_for_element("#to")?;
    scene.browser.fill("#to", "blue")?;
    scene.browser.click(".inline button[type=submit]")?;
    scene.browser.wait_for("is called \"blue\" now")?;
    scene.picture("renamed")?;
    scene.browser.wait_for_element("button[aria-label='Remove blue']")?;
    scene.browser.click("button[aria-label='Remove blue']")?;
    scene.browser.wait_for("What it opened ends at once")?;
    scene.picture("remove")?;
    scene.browser.click("button.danger")?;
    scene.browser.wait_for("security key \"blue\" has been removed")?;
    let gone = scene.world.await_record(mark, "auth.device", |record| text(record, "change") == "deleted")?;
    assert!(text(&gone["proof"], "proof").len() > 100, "{gone}");

    // The last one stays: nobody could vouch for another.
    scene.browser.click("button[aria-label='Remove laptop']")?;
    scene.browser.wait_for_element("button.danger")?;
    scene.browser.click("button.danger")?;
    scene.browser.wait_for("\"laptop\" is your last security key")?;
    scene.quiet_but_refused(409)
}

#[test]
fn without_a_tap_nothing_changes() -> Result<()> {
    let scene = Scene::signed_in()?;
    scene.visit("/web/devices")?;
    scene.browser.wait_for_element("button[aria-label='Rename laptop']")?;
    // A stranger's key at the same browser.
    scene.browser.remove_authenticator(scene.browser.authenticator())?;
    scene.browser.new_authenticator("internal")?;
    scene.browser.click("button[aria-label='Rename laptop']")?;
    scene.browser.wait_for_element("#to")?;
    scene.browser.fill("#to", "mine")?;
    scene.browser.click(".inline button[type=submit]")?;
    scene.browser.wait_for("No key was tapped")?;
    scene.visit("/web/devices")?;
    scene.browser.wait_for_element("button[aria-label='Rename laptop']")
}
