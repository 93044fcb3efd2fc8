//! Sessions of applications under a role that pins the address: a copied cookie is worth nothing elsewhere.

use anyhow::Result;
use tapgate_lab::Browser;

use super::scene::{Answer, Scene, cookie, sign_in_and_tap};
use crate::world::text;

/// What curl gets from this address with a browser's cookie of this name.
fn from(scene: &Scene, address: &str, cookie: &str, url: &str) -> Result<Answer> {
    scene.curl(&["--interface", address, "-H", &format!("Cookie: {cookie}"), url])
}

/// ann at `dash`, after her tap; her session's cookie.
fn enter(scene: &Scene, browser: &Browser) -> Result<String> {
    browser.go(&scene.url("dash", "/")?)?;
    sign_in_and_tap(browser)?;
    browser.wait_for("The application")?;
    Ok(format!("__Host-tapgate-app={}", text(&cookie(browser)?, "value")))
}

#[test]
fn a_session_of_a_role_that_pins_the_address_is_refused_elsewhere_and_told() -> Result<()> {
    let scene = Scene::new()?;
    let browser = scene.browser()?;
    let dash = scene.url("dash", "/headers")?;
    // Where no role says so, a laptop may go from one network to another.
    let free = enter(&scene, &browser)?;
    for address in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(from(&scene, address, &free, &dash)?.status, 200, "{address}");
    }
    browser.go(&format!("https://{}/web/targets", scene.world.address))?;
    browser.wait_for("Sign out")?;
    browser.click("button.quiet")?;
    browser.wait_for_element("#passkey")?;

    scene.roles("require_session_mfa: true, pin_source_ip: true")?;
    let mark = scene.world.mark();
    let pinned = enter(&scene, &browser)?;
    assert_eq!(from(&scene, "127.0.0.1", &pinned, &dash)?.status, 200);
    let before = scene.app.process().stdout().matches("asked").count();
    let refused = from(&scene, "127.0.0.2", &pinned, &dash)?;
    assert!(refused.status == 401 && refused.body.contains("good at the address alone"), "{refused:?}");
    assert!(refused.body.contains("/web/app?host=dash.apps.localhost"), "{refused:?}");
    // A browser there is led to the tap page.
    let page = ["--interface", "127.0.0.2", "-H", &format!("Cookie: {pinned}"), "-H", "Sec-Fetch-Mode: navigate"];
    let led =
        scene.curl(&[&page[..], &["-H", "Sec-Fetch-Dest: document", "-H", "Accept: text/html", &dash]].concat())?;
    assert!(led.status == 302 && led.header("location").contains("/web/app?host="), "{led:?}");
    assert_eq!(scene.app.process().stdout().matches("asked").count(), before, "nothing of it came to the application");
    // Its owner is not put out by the try, and the web session behind it is good at one address alone too.
    assert_eq!(from(&scene, "127.0.0.1", &pinned, &dash)?.status, 200);
    browser.go(&format!("https://{}/web/targets", scene.world.address))?;
    browser.wait_for("Sign out")?;
    let cookies = browser.cookies()?;
    let web = cookies.iter().find(|cookie| cookie["name"] == "__Host-tapgate").map(|cookie| text(cookie, "value"));
    let web = format!("__Host-tapgate={}", web.unwrap_or_default());
    let me = format!("https://{}/web/api/me", scene.world.address);
    assert_eq!(from(&scene, "127.0.0.1", &web, &me)?.status, 200);
    assert_eq!(from(&scene, "127.0.0.2", &web, &me)?.status, 401);
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "dash")?;
    assert!(text(&start["tap"], "proof").len() > 100, "{start}");
    Ok(())
}
