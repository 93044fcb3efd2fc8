//! Signing in on the page, by every way there is, and out again.

use anyhow::{Context as _, Result};
use tapgate_lab::Browser;
use tapgate_model::{Clock as _, SystemClock};
use totp_rs::Totp;

use super::scene::{PASSWORD, Scene};
use crate::world::text;

/// A preference that takes codes too.
pub(super) const CODES_TOO: &str = "kind: cluster_auth_preference\nversion: v2\nmetadata: {name: \
                                    cluster-auth-preference}\nspec:\n  second_factors: [webauthn, otp]\n";

#[test]
fn a_password_and_a_key_sign_in_and_lead_back_to_where_one_wanted_to_go() -> Result<()> {
    let scene = Scene::with_passkey()?;
    let mark = scene.world.mark();
    scene.visit("/web/devices")?;
    scene.browser.wait_for("Sign in")?;
    assert_eq!(scene.browser.url()?, scene.url("/web/sign-in?to=%2Fweb%2Fdevices"));
    scene.picture("sign-in")?;
    scene.give_password("not the right one")?;
    scene.browser.wait_for("The name or the password may be wrong")?;
    scene.picture("sign-in-wrong")?;
    scene.give_password(PASSWORD)?;
    scene.browser.wait_for("Add a device")?;
    assert_eq!(scene.browser.url()?, scene.url("/web/devices"));
    let login = scene.world.await_record(mark, "auth.login", |record| text(record, "user") == "ann")?;
    assert_eq!(text(&login, "method"), "web-webauthn");
    scene.quiet()?;

    // No script reads the cookie, no other site sends it, and it goes with the browser.
    let cookie = scene.cookie()?;
    assert_eq!((&cookie["httpOnly"], &cookie["secure"]), (&true.into(), &true.into()), "{cookie}");
    assert_eq!((&cookie["sameSite"], &cookie["path"]), (&"Strict".into(), &"/".into()), "{cookie}");
    assert!(cookie["expiry"].is_null() && cookie["domain"] == "localhost", "{cookie}");
    assert_eq!(scene.browser.script("return document.cookie")?, "");

    // Signing out ends the session at the gate, not in the browser alone.
    let value = text(&cookie, "value");
    assert_eq!(scene.curl("/web/api/me", value, &[])?.0, 200);
    scene.browser.click(".who button")?;
    scene.browser.wait_for("Sign in with a passkey")?;
    assert_eq!(scene.curl("/web/api/me", value, &[])?.0, 401);
    assert!(scene.browser.cookies()?.is_empty());
    Ok(())
}

#[test]
fn a_passkey_signs_in_alone() -> Result<()> {
    let scene = Scene::with_passkey()?;
    let mark = scene.world.mark();
    scene.sign_in()?;
    let login = scene.world.await_record(mark, "auth.login", |record| text(record, "user") == "ann")?;
    assert_eq!(text(&login, "method"), "web-passkey");
    scene.quiet()?;
    // Another sign-in in the same browser is another session, and the first one is over.
    let first = scene.cookie()?;
    scene.browser.click(".who button")?;
    scene.browser.wait_for("Sign in with a passkey")?;
    scene.sign_in()?;
    assert_ne!(first["value"], scene.cookie()?["value"]);
    Ok(())
}

#[test]
fn a_passkey_is_offered_beside_the_name() -> Result<()> {
    let scene = Scene::with_passkey()?;
    scene.visit("/web/sign-in")?;
    scene.browser.wait_for_element("#passkey")?;
    // Nothing is asked for before somebody goes to the field; there the authenticator takes the offer by itself.
    let waiting = || {
        scene.browser.script("return performance.getEntriesByName(location.origin + '/web/api/sign-in/passkey').length")
    };
    assert_eq!(waiting()?, 0);
    scene.browser.click("#user")?;
    scene.browser.wait_for("At a new terminal")?;
    scene.quiet()
}

#[test]
fn a_keyboard_is_enough() -> Result<()> {
    let scene = Scene::with_passkey()?;
    scene.visit("/web/sign-in")?;
    scene.browser.wait_for_element("#passkey")?;
    let tab = Browser::TAB;
    scene.offer_nothing()?;
    // The first stop is the passkey's button, then come name, password and the button that sends them.
    scene.browser.press(&format!("{tab}{tab}ann{tab}{PASSWORD}{tab}"))?;
    assert_eq!(scene.browser.script("return document.activeElement.id")?, "submit");
    assert_eq!(scene.browser.script("return document.activeElement.matches(':focus-visible')")?, true);
    scene.browser.press(Browser::ENTER)?;
    scene.browser.wait_for("At a new terminal")?;
    // Past the skip link to the pages; the heading of the next one is where a reader goes on.
    scene.browser.press(&format!("{tab}{tab}{tab}{tab}{}", Browser::ENTER))?;
    scene.browser.wait_for("Add a device")?;
    assert_eq!(scene.browser.script("return document.activeElement.textContent")?, "Devices");
    Ok(())
}

#[test]
fn a_code_signs_in_where_codes_are_taken() -> Result<()> {
    let scene = Scene::signed_in()?;
    scene.world.put(CODES_TOO)?;
    scene.visit("/web/devices")?;
    scene.browser.wait_for("Authenticator app")?;
    scene.browser.click("input[value=otp]")?;
    scene.browser.fill("#name", "phone")?;
    scene.browser.click("#begin")?;
    scene.browser.wait_for("Photograph this")?;
    scene.picture("codes")?;
    let secret = scene.browser.script("return document.querySelector('.panel code').textContent")?;
    let secret = secret.as_str().context("no secret is shown")?;
    let app = Totp::from_url(format!("otpauth://totp/localhost:ann?secret={secret}&issuer=localhost"))?;
    let now = SystemClock.now().as_secs();
    scene.browser.fill("#first", "000000")?;
    scene.browser.click("#confirm")?;
    scene.browser.wait_for("the code is wrong")?;
    scene.browser.fill("#first", &app.generate(now).to_string())?;
    scene.browser.click("#confirm")?;
    scene.browser.wait_for("have been added")?;
    scene.quiet_but_refused(400)?;

    scene.browser.click(".who button")?;
    scene.browser.wait_for_element("#by-code")?;
    let mark = scene.world.mark();
    scene.browser.click("#by-code")?;
    // The code that was shown is spent; the next one is good already.
    for (code, said) in [(app.generate(now), "the code was used before"), (app.generate(now + 30), "At a new terminal")]
    {
        scene.browser.fill("#code", &code.to_string())?;
        scene.give_password(PASSWORD)?;
        scene.browser.wait_for(said)?;
    }
    let login = scene.world.await_record(mark, "auth.login", |record| text(record, "user") == "ann")?;
    assert_eq!(text(&login, "method"), "web-otp");
    Ok(())
}
