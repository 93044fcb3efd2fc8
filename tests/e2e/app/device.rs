//! A session that is tied to a device: the test plays a browser that can do it, with a key of its own.

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tapgate_model::Digest;

use super::scene::{Answer, Scene};

/// The key of a device.
struct Device(EcdsaKeyPair);

impl Device {
    fn new() -> Result<Self> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())?;
        Ok(Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref())?))
    }

    /// What it signs for a challenge; with its key, as at the registration, where that is wanted.
    fn proof(&self, challenge: &str, with_key: bool) -> Result<String> {
        let (x, y) = self.0.public_key().as_ref().split_at(1).1.split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let mut head = json!({"typ": "dbsc+jwt", "alg": "ES256"});
        if with_key {
            head["jwk"] = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&json!({"jti": challenge})));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The text between these two.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Result<&'a str> {
    let rest = text.split_once(from).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once(to)).map(|(found, _)| found).with_context(|| format!("no {from} in {text}"))
}

/// Lets curl into `open` by the way that ann's browser opens for it.
fn enter(scene: &Scene) -> Result<Answer> {
    let browser = scene.browser()?;
    browser.go(&format!("https://{}/web/sign-in", scene.world.address))?;
    browser.wait_for_element("#passkey")?;
    browser.click("#passkey")?;
    browser.wait_for("At a new terminal")?;
    let begun = "b".repeat(43);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, begun.as_bytes()).as_ref());
    let body = json!({"host": "open.apps.localhost", "to": "/", "begun": Digest::from_bytes(hash).to_string()});
    let script = format!(
        "const r = new XMLHttpRequest(); r.open('POST', '/web/api/apps/open', false); \
         r.setRequestHeader('Content-Type', 'application/json'); r.send('{body}'); return r.responseText"
    );
    let told = browser.script(&script)?;
    let url = between(told.as_str().unwrap_or_default(), "\"url\":\"", "\"")?.to_owned();
    let entered = scene.curl(&["-H", &format!("Cookie: __Host-tapgate-begun={begun}"), &url])?;
    assert_eq!(entered.status, 302, "{entered:?}");
    Ok(entered)
}

#[test]
fn a_session_that_a_browser_has_tied_to_its_device_is_worth_nothing_elsewhere() -> Result<()> {
    let scene = Scene::new()?;
    let entered = enter(&scene)?;
    let session = between(&entered.head, "__Host-tapgate-app=", ";")?;
    let offer = entered.header("secure-session-registration");
    assert!(offer.starts_with("(ES256);path=\"/.tapgate/device\";challenge=\""), "{entered:?}");
    let challenge = between(offer, "challenge=\"", "\"")?;
    let (device, thief) = (Device::new()?, Device::new()?);
    let (register, refresh) = (scene.url("open", "/.tapgate/device")?, scene.url("open", "/.tapgate/device/refresh")?);
    let page = scene.url("open", "/headers")?;
    let own = format!("Cookie: __Host-tapgate-app={session}");
    let prove = |url: &str, proof: &str| {
        let proof = format!("Secure-Session-Response: {proof}");
        scene.curl(&["-X", "POST", "-H", &own, "-H", "Sec-Secure-Session-Id: x", "-H", &proof, url])
    };
    // A browser that can't do it has a session all the same; without the challenge nobody ties it to anything.
    assert_eq!(scene.curl(&["-H", &own, &page])?.status, 200);
    assert_eq!(scene.curl(&["-X", "POST", "-H", &own, &register])?.status, 401);
    assert_eq!(scene.curl(&["-X", "POST", "-H", &own, &refresh])?.status, 401);
    assert_eq!(scene.curl(&["-H", &own, &register])?.status, 405);

    let tied = prove(&register, &device.proof(challenge, true)?)?;
    assert_eq!((tied.status, tied.header("content-type")), (200, "application/json"), "{tied:?}");
    let told = tied.json()?;
    assert_eq!(told["refresh_url"], "/.tapgate/device/refresh");
    assert_eq!(told["scope"]["origin"], json!(scene.url("open", "")?));
    assert_eq!(told["credentials"][0]["name"], "__Host-tapgate-device");
    let set = tied.header("set-cookie");
    assert!(set.contains("; Secure; HttpOnly; SameSite=Lax; Max-Age=600"), "{set}");
    let first = between(set, "__Host-tapgate-device=", ";")?.to_owned();

    let with = |cookie: &str| scene.curl(&["-H", &format!("{own}; __Host-tapgate-device={cookie}"), &page]);
    assert_eq!(scene.curl(&["-H", &own, &page])?.status, 401, "the session's cookie alone is worth nothing now");
    assert_eq!(with("x")?.status, 401);
    let seen = with(&first)?;
    assert!(seen.status == 200 && !seen.body.contains("tapgate-device"), "{seen:?}");

    let asked = scene.curl(&["-X", "POST", "-H", &own, &refresh])?;
    let said = asked.header("secure-session-challenge");
    assert!(asked.status == 403 && said.contains(";id=\""), "{asked:?}");
    let challenge = between(said, "\"", "\"")?;
    // Neither another key nor an old challenge renews it.
    assert_eq!(prove(&refresh, &thief.proof(challenge, true)?)?.status, 401);
    assert_eq!(prove(&refresh, &device.proof(challenge, false)?)?.status, 401, "it was spent by the thief");
    assert_eq!(prove(&register, &thief.proof(challenge, true)?)?.status, 401);
    let asked = scene.curl(&["-X", "POST", "-H", &own, &refresh])?;
    let challenge = between(asked.header("secure-session-challenge"), "\"", "\"")?;
    let renewed = prove(&refresh, &device.proof(challenge, false)?)?;
    let second = between(renewed.header("set-cookie"), "__Host-tapgate-device=", ";")?.to_owned();
    assert!(renewed.status == 200 && second != first, "{renewed:?}");
    assert_eq!(with(&second)?.status, 200);
    // Leaving takes both away.
    let leave = scene.url("open", "/.tapgate/leave")?;
    let left = scene.curl(&["-H", &format!("{own}; __Host-tapgate-device={second}"), &leave])?;
    assert!(left.head.contains("__Host-tapgate-device=; "), "{left:?}");
    Ok(())
}
