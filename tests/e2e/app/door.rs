//! Without a session: who is led where, and what leads nowhere.

use anyhow::Result;

use super::scene::Scene;

#[test]
fn without_a_session_people_are_led_to_the_tap_page_and_programs_are_told() -> Result<()> {
    let scene = Scene::new()?;
    let page = scene.url("dash", "/d/1?a=b")?;
    let led = scene.curl(&["-H", "Accept: text/html", &page])?;
    assert_eq!(led.status, 302, "{led:?}");
    let tap_page =
        format!("https://{}/web/app?host=dash.apps.localhost&to=%2Fd%2F1%3Fa%3Db&begun=", scene.world.address);
    assert!(led.header("location").starts_with(&tap_page), "{led:?}");
    let cookie = led.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-tapgate-begun=") && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax")
    );
    assert_eq!((led.header("cache-control"), led.header("referrer-policy")), ("no-store", "no-referrer"));

    let told = scene.curl(&[&page])?;
    assert_eq!((told.status, told.header("content-type")), (401, "application/json"));
    assert!(told.json()?["url"].as_str().unwrap_or_default().contains("/web/app?host=dash.apps.localhost&to=%2F&"));
    let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13", "-H"];
    let key = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "--http1.1", &page];
    assert_eq!(scene.curl(&[&upgrade[..], &key[..]].concat())?.status, 401);
    // A form that was sent can't be sent again by itself.
    let form = scene.curl(&["-d", "a=b", "-H", "Accept: text/html", &page])?;
    assert_eq!((form.status, form.header("content-type")), (401, "text/html; charset=utf-8"));
    // A host that is nobody's is answered like one that is somebody's.
    let nobody = scene.curl(&["-H", "Accept: text/html", &scene.url("nobody", "/")?])?;
    assert_eq!(nobody.status, 302);
    assert!(!scene.app.process().stdout().contains("asked"), "nothing has reached the application");
    Ok(())
}

#[test]
fn no_way_in_leads_elsewhere_or_is_taken_twice() -> Result<()> {
    let scene = Scene::new()?;
    let browser = scene.browser()?;
    let ask = |body: &str| -> Result<(i64, String)> {
        let script = format!(
            "const r = new XMLHttpRequest(); r.open('POST', '/web/api/apps/open', false); \
             r.setRequestHeader('Content-Type', 'application/json'); r.send({body}); return [r.status, r.responseText]"
        );
        let answer = browser.script(&script)?;
        Ok((answer[0].as_i64().unwrap_or_default(), answer[1].as_str().unwrap_or_default().to_owned()))
    };
    let body =
        |host: &str, to: &str, begun: &str| format!("'{{\"host\":\"{host}\",\"to\":\"{to}\",\"begun\":\"{begun}\"}}'");
    let begun = "ab".repeat(32);
    browser.go(&format!("https://{}/web/sign-in", scene.world.address))?;
    assert_eq!(ask(&body("open.apps.localhost", "/", &begun))?.0, 401, "nobody is signed in");
    browser.wait_for_element("#passkey")?;
    browser.click("#passkey")?;
    browser.wait_for("At a new terminal")?;
    for to in ["//elsewhere.example/", "https://elsewhere.example/", "elsewhere", "/\\\\\\\\elsewhere.example", ""] {
        assert_eq!(ask(&body("open.apps.localhost", to, &begun))?.0, 400, "{to}");
    }
    assert_eq!(ask(&body("open.apps.localhost", "/", "x"))?.0, 400);
    // Of a host that is nobody's and of one that is not ann's the answer is the same but for the name.
    scene.put_app("secret", "other", "http://127.0.0.1:1", "")?;
    let (status, nobody) = ask(&body("nobody.apps.localhost", "/", &begun))?;
    let (other, secret) = ask(&body("secret.apps.localhost", "/", &begun))?;
    assert_eq!((status, other), (403, 403));
    assert_eq!(nobody.replace("nobody.apps.localhost", "X"), secret.replace("secret", "X"));
    // What a tap is due for is said, and nothing is opened.
    assert!(ask(&body("dash.apps.localhost", "/", &begun))?.1.contains("\"offer\":\"tap\""));

    let (status, go) = ask(&body("open.apps.localhost", "/there", &begun))?;
    let url = go.split('"').find(|word| word.starts_with("https://")).unwrap_or_default().to_owned();
    assert!(status == 200 && url.starts_with(&scene.url("open", "/.tapgate/enter?code=")?), "{go}");
    // Another browser than the one that began: the code is worth nothing, and is gone.
    let stolen = scene.curl(&["-H", "Accept: text/html", "-H", "Cookie: __Host-tapgate-begun=x", &url])?;
    assert_eq!(stolen.status, 403, "{stolen:?}");
    assert!(stolen.header("set-cookie").is_empty(), "{stolen:?}");
    assert_eq!(scene.curl(&[&url])?.status, 403);
    Ok(())
}

#[test]
fn a_connection_serves_the_host_that_it_was_made_for() -> Result<()> {
    let scene = Scene::new()?;
    let (dash, open) = (scene.url("dash", "/")?, scene.host("open")?);
    for version in ["--http1.1", "--http2"] {
        let other = scene.curl(&[version, "-H", &format!("Host: {open}"), &dash])?;
        assert_eq!(other.status, 421, "{other:?}");
        let gate = scene.curl(&[version, "-H", &format!("Host: {}", scene.world.address), &dash])?;
        assert_eq!(gate.status, 421, "{gate:?}");
    }
    // The gate's own pages and interface are at its own name alone.
    let pages =
        scene.curl(&["-H", &format!("Host: {open}"), &format!("https://{}/web/targets", scene.world.address)])?;
    assert_eq!(pages.status, 421);
    Ok(())
}
