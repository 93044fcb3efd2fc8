//! "… or by delegating MFA checks to your `IdP`", and the place of the provider in the order of `--mfa-mode`.

use anyhow::Result;

use crate::mfa::sso::{Scene, preference};
use crate::world::ASKED;

/// "Per-session MFA checks can be satisfied by a webauthn device or by delegating MFA checks to your `IdP`."
#[test]
fn either_satisfies_a_session() -> Result<()> {
    let scene = Scene::logged_in()?;
    let world = &scene.world;
    world.put(&preference("[webauthn, sso]", "true"))?;
    // By a key, although there is a provider: WebAuthn comes first.
    let tapped = world.ssh("prod3", &["echo in"])?.success()?;
    assert!(tapped.stderr.contains(&format!("{ASKED}\nTap any security key\n")), "{tapped}");
    assert!(!tapped.stderr.contains("open it by clicking on the link"), "{tapped}");
    // By the provider, before the browser, where there is no key.
    for words in [&["--mfa-mode=sso", "ssh"][..], &["ssh"]] {
        let at = world.at("dev1");
        let waiting = scene.start(words.iter().copied().chain([at.as_str(), "echo in"]))?;
        scene.sign_in(&waiting, "Approve a session", "ann")?;
        let ran = waiting.finish()?.success()?;
        assert!(ran.stdout == "in\n" && ran.stderr.contains("MFA is required to access Node \"dev1\""), "{ran}");
        scene.ann.tap(["logout"])?.success()?;
        scene.log_in("ann")?.success()?;
    }
    // TOTP comes last, and satisfies no session.
    let codes = scene.ann.tap(["--mfa-mode=otp", "ssh", &world.at("dev1"), "true"])?.failure(1)?;
    assert!(codes.stderr.contains("per-session MFA is not satisfied by 'otp' devices"), "{codes}");
    Ok(())
}

/// "`tsh login --proxy … --mfa-mode=…`" with the provider.
#[test]
fn a_login_by_the_provider_names_the_proxy_alone() -> Result<()> {
    let scene = Scene::new()?;
    let proxy = format!("--proxy={}", scene.world.address);
    let waiting = scene.start(["login", &proxy, "--ca-pin", &scene.world.pin, "--mfa-mode=sso"])?;
    scene.sign_in(&waiting, "Approve a login", "ann")?;
    let ran = waiting.finish()?.success()?;
    assert!(ran.stdout.contains("Logged in as  ann"), "{ran}");
    let other = scene.start(["login", "--user", "bob", "--mfa-mode=sso"])?;
    scene.sign_in(&other, "Approve a login", "ann")?;
    let ran = other.finish()?.failure(1)?;
    assert!(ran.stderr.contains("ann, not bob, has signed in at the identity provider"), "{ran}");
    Ok(())
}
