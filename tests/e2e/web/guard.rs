//! What guards the web session: where requests come from, what ends it, and where signing in may lead.

use anyhow::Result;

use super::scene::Scene;
use crate::world::{text, until};

/// A POST with this cookie as this page would send it; answers the status.
fn post(scene: &Scene, path: &str, cookie: &str, origin: &str, site: &str) -> Result<u16> {
    let (origin, site) = (format!("Origin: {origin}"), format!("Sec-Fetch-Site: {site}"));
    let more = ["-H", "Content-Type: application/json", "-H", &origin, "-H", &site, "-d", r#"{"name":"x"}"#];
    Ok(scene.curl(path, cookie, &more)?.0)
}

#[test]
fn another_origins_page_changes_nothing_even_with_the_cookie() -> Result<()> {
    let scene = Scene::signed_in()?;
    let cookie = scene.cookie()?;
    let value = text(&cookie, "value");
    let own = scene.url("");
    assert_eq!(post(&scene, "/web/api/devices", value, &own, "same-origin")?, 200);
    for (origin, site) in [
        ("https://evil.test", "cross-site"),
        ("https://evil.test", "same-origin"),
        ("https://localhost:1", "same-site"),
        (own.as_str(), "same-site"),
        (own.as_str(), "cross-site"),
        ("null", "cross-site"),
        ("", ""),
    ] {
        for path in ["/web/api/devices", "/web/api/devices/change", "/web/api/sign-out", "/web/api/tap"] {
            assert_eq!(post(&scene, path, value, origin, site)?, 403, "{path} {origin} {site}");
        }
    }
    assert_eq!(scene.curl("/web/api/me", value, &[])?.0, 200, "nobody was signed out");
    // Two cookies of one name are none, and the interface for programs knows no cookies.
    let (twice, bare) = (format!("{value}; __Host-tapgate=x"), scene.curl("/v1/targets", value, &[])?.0);
    assert_eq!((scene.curl("/web/api/me", &twice, &[])?.0, bare), (401, 401));
    Ok(())
}

#[test]
fn signing_in_leads_to_no_other_origin() -> Result<()> {
    let scene = Scene::signed_in()?;
    for to in [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "/\t/evil.test",
        "/.//evil.test/web",
        "javascript:alert(1)",
        "/web/sign-in",
        "evil.test",
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        // Whoever is signed in already is led on at once.
        scene.visit(&format!("/web/sign-in?to={encoded}"))?;
        let own = scene.url("/");
        until("the way on", std::time::Duration::from_secs(20), || Ok(!scene.browser.url()?.contains("/web/sign-in")))?;
        assert!(scene.browser.url()?.starts_with(&own), "{to}: {}", scene.browser.url()?);
    }
    scene.visit("/web/sign-in?to=%2Fweb%2Fsessions%3Fa%3Db")?;
    scene.browser.wait_for("No session of yours is open.")?;
    assert_eq!(scene.browser.url()?, scene.url("/web/sessions?a=b"));
    Ok(())
}

#[test]
fn a_lock_and_a_reset_end_the_session_at_once() -> Result<()> {
    let scene = Scene::signed_in()?;
    let first = text(&scene.cookie()?, "value").to_owned();
    scene.world.put("kind: lock\nversion: v2\nmetadata: {name: out}\nspec:\n  target: {user: ann}\n")?;
    assert_eq!(scene.curl("/web/api/me", &first, &[])?.0, 403);
    scene.world.olga.tapctl(["rm", "lock/out"])?.success()?;
    assert_eq!(scene.curl("/web/api/me", &first, &[])?.0, 401, "what a lock has ended stays ended");
    scene.visit("/web/targets")?;
    scene.browser.wait_for("Sign in with a passkey")?;

    scene.sign_in()?;
    let second = text(&scene.cookie()?, "value").to_owned();
    assert_eq!(scene.curl("/web/api/me", &second, &[])?.0, 200);
    // A reset: another invite, another password, another device.
    scene.browser.remove_authenticator(scene.browser.authenticator())?;
    scene.browser.new_authenticator("internal")?;
    scene.enrol_by_page("ann", "access-dev")?;
    assert_eq!(scene.curl("/web/api/me", &second, &[])?.0, 401);
    Ok(())
}
