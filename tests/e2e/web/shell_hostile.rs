//! What a terminal's WebSocket and files make of pages that are not ours, and of ours gone bad.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::scene::Scene;
use crate::world::{resident, text, until};

/// How long the page may take.
const SOON: Duration = Duration::from_secs(20);

/// A handshake without a browser, with this cookie; answers the status.
fn handshake(scene: &Scene, cookie: &str, origin: &str, site: &str) -> Result<u16> {
    let (origin, site) = (format!("Origin: {origin}"), format!("Sec-Fetch-Site: {site}"));
    let more = ["--http1.1", "--max-time", "20", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket"];
    let more = more.into_iter().chain(["-H", "Sec-WebSocket-Version: 13"]);
    let more = more.chain(["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", &origin, "-H", &site]);
    Ok(scene.curl("/web/api/terminal", cookie, &more.collect::<Vec<_>>())?.0)
}

impl Scene {
    /// A connection by a script of the page, which keeps what it hears and acknowledges nothing by itself.
    fn bare_line(&self, name: &str) -> Result<()> {
        let script = format!(
            "const line = new WebSocket(`wss://${{location.host}}/web/api/terminal`);
             line.binaryType = 'arraybuffer';
             window.{name} = {{line, news: [], bytes: 0, closed: false}};
             line.onmessage = ({{data}}) => typeof data === 'string'
                ? window.{name}.news.push(JSON.parse(data)) : (window.{name}.bytes += data.byteLength);
             line.onclose = () => (window.{name}.closed = true);"
        );
        self.browser.script(&script)?;
        self.hears(name, "ready").map(drop)
    }

    /// Waits until the connection has heard this, and answers it.
    fn hears(&self, name: &str, say: &str) -> Result<Value> {
        let mut found = Value::Null;
        let script = format!("return window.{name}.news.filter(news => news.say === '{say}').at(-1) ?? null");
        until(say, SOON, || {
            found = self.browser.script(&script)?;
            Ok(!found.is_null())
        })?;
        Ok(found)
    }

    fn says(&self, name: &str, what: &Value) -> Result<()> {
        self.browser.script(&format!("window.{name}.line.send(JSON.stringify({what}))")).map(drop)
    }

    fn opens(&self, name: &str, node: &str) -> Result<()> {
        self.says(name, &json!({"do": "open", "target": node, "login": self.world.login, "cols": 80, "rows": 24}))
    }

    fn of(&self, name: &str, what: &str) -> Result<Value> {
        self.browser.script(&format!("return window.{name}.{what}"))
    }

    /// What the page of this tab gets for such a request.
    fn posts(&self, path: &str, body: &Value) -> Result<Value> {
        let call = format!(
            "return fetch('/web/api{path}', {{method: 'POST', credentials: 'same-origin',
             headers: {{'Content-Type': 'application/json'}}, body: JSON.stringify({body})}})
             .then(async answer => ({{status: answer.status, body: await answer.json()}}))"
        );
        self.browser.script(&call)
    }
}

#[test]
fn no_other_origin_no_missing_and_no_stale_cookie_opens_a_line() -> Result<()> {
    let scene = Scene::signed_in()?;
    let cookie = text(&scene.cookie()?, "value").to_owned();
    let own = scene.url("");
    for (origin, site) in [
        ("https://evil.test", "cross-site"),
        ("https://evil.test", "same-origin"),
        (own.as_str(), "same-site"),
        (own.as_str(), "none"),
        ("null", "cross-site"),
        ("", ""),
    ] {
        assert_eq!(handshake(&scene, &cookie, origin, site)?, 403, "{origin} {site}");
    }
    assert_eq!(handshake(&scene, "", &own, "same-origin")?, 401);
    assert_eq!(handshake(&scene, &"A".repeat(43), &own, "same-origin")?, 401);
    // A plain request is no handshake.
    let plain = ["-H", &format!("Origin: {own}"), "-H", "Sec-Fetch-Site: same-origin"];
    assert_eq!(scene.curl("/web/api/terminal", &cookie, &plain)?.0, 400);
    scene.browser.click(".who button")?;
    scene.browser.wait_for("Sign in with a passkey")?;
    assert_eq!(handshake(&scene, &cookie, &own, "same-origin")?, 401, "the session is over");
    assert_eq!(scene.world.dev1.connections() + scene.world.prod3.connections(), 0);
    Ok(())
}

#[test]
fn a_script_of_the_page_opens_nothing_without_its_tap() -> Result<()> {
    let scene = Scene::signed_in()?;
    let mark = scene.world.mark();
    scene.bare_line("a")?;
    for _ in 0..3 {
        scene.opens("a", "prod3")?;
    }
    until("three answers", SOON, || Ok(scene.of("a", "news.filter(news => news.say === 'tap').length")? == 3))?;
    // Nor by typing before it is open, which ends the line.
    scene.browser.script("window.a.line.send(new TextEncoder().encode('id\\n'))")?;
    until("the end", SOON, || Ok(scene.of("a", "closed")? == true))?;
    scene.bare_line("b")?;
    for (target, words) in [("nowhere", "nowhere"), ("\u{1b}[31m", "no node has such a name")] {
        scene.opens("b", target)?;
        until(words, SOON, || {
            let heard = scene.hears("b", "refused")?;
            Ok(text(&heard, "message").contains(words))
        })?;
    }
    // A tap for the web session as a whole is none for a terminal, and none for another line.
    let wish = json!([{"kind": "node", "name": "prod3", "login": scene.world.login}]);
    let secret = scene.hears("b", "ready")?["connection"].clone();
    let taps = [json!({"targets": wish}), json!({"targets": wish, "connection": secret})];
    for tap in &taps {
        let asked = scene.posts("/tap", tap)?;
        let (id, options) = (&asked["body"]["id"], &asked["body"]["webauthn"]);
        let key = format!(
            "const options = PublicKeyCredential.parseRequestOptionsFromJSON({options}.publicKey);
             return navigator.credentials.get({{publicKey: options}}).then(key => key.toJSON())"
        );
        let webauthn = scene.browser.script(&key)?;
        assert_eq!(scene.posts("/tap/finish", &json!({"id": id, "webauthn": webauthn}))?["status"], 200);
        scene.bare_line("c")?;
        scene.opens("c", "prod3")?;
        scene.hears("c", "tap")?;
    }
    assert_eq!(scene.world.prod3.connections(), 0);
    assert!(scene.world.records().iter().skip(mark).all(|record| record["event"] != "session.start"));
    scene.opens("b", "prod3")?;
    scene.hears("b", "open").map(drop)
}

#[test]
fn another_web_sessions_terminal_is_nobodys() -> Result<()> {
    let scene = Scene::signed_in()?;
    // The authenticator is the first tab's.
    let tapping = scene.browser.tab()?;
    let first = scene.browser.new_tab()?;
    scene.visit("/web/targets")?;
    scene.browser.wait_for("At a new terminal")?;
    scene.bare_line("a")?;
    scene.opens("a", "dev1")?;
    scene.hears("a", "open")?;
    let secret = text(&scene.hears("a", "ready")?, "connection").to_owned();
    let files = json!({"connection": secret, "path": "/etc/passwd"});
    assert_eq!(scene.posts("/terminal/files", &files)?["status"], 200);
    // The same person, signed in a second time, is another web session.
    let cookie = text(&scene.cookie()?, "value").to_owned();
    scene.browser.devtools("Network.clearBrowserCookies", &json!({}))?;
    scene.browser.switch(&tapping)?;
    scene.sign_in()?;
    assert_ne!(cookie, text(&scene.cookie()?, "value"));
    let wish = json!([{"kind": "node", "name": "prod3", "login": scene.world.login}]);
    assert_eq!(scene.posts("/tap", &json!({"targets": wish, "connection": secret}))?["status"], 404);
    assert_eq!(scene.posts("/terminal/files", &files)?["status"], 404);
    let own = scene.url("");
    let upload = format!("/web/api/terminal/upload?connection={secret}&path=/tmp/x&replace=true");
    let ours = ["-H", &format!("Origin: {own}"), "-H", "Sec-Fetch-Site: same-origin", "--data-binary", "x"];
    let theirs = ["-H", "Origin: https://evil.test", "-H", "Sec-Fetch-Site: cross-site", "--data-binary", "x"];
    let fresh = text(&scene.cookie()?, "value").to_owned();
    assert_eq!(scene.curl(&upload, &fresh, &ours)?.0, 404);
    assert_eq!(scene.curl(&upload, "", &ours)?.0, 401);
    assert_eq!(scene.curl(&upload, &cookie, &theirs)?.0, 403, "another origin, with the right cookie");
    let download = format!("/web/api/terminal/download?connection={secret}&path=/etc/passwd");
    assert_eq!(scene.curl(&download, &cookie, &["-H", "Sec-Fetch-Site: cross-site"])?.0, 403);
    assert_eq!(scene.curl(&download, &fresh, &["-H", "Sec-Fetch-Site: same-origin"])?.0, 404);
    assert_eq!(scene.curl(&download, &cookie, &["-H", "Sec-Fetch-Site: same-origin"])?.0, 200, "its own session's");
    scene.browser.switch(&first)?;
    scene.browser.script("window.a.line.close()")?;
    until("the secret's end", SOON, || {
        Ok(scene.curl(&download, &cookie, &["-H", "Sec-Fetch-Site: same-origin"])?.0 == 404)
    })
}

#[test]
fn a_page_that_stops_stalls_its_target_and_no_more() -> Result<()> {
    let scene = Scene::signed_in()?;
    scene.bare_line("a")?;
    scene.opens("a", "dev1")?;
    scene.hears("a", "open")?;
    let before = resident(&scene.world)?;
    scene.browser.script("window.a.line.send(new TextEncoder().encode('exec yes 0123456789abcdef\\n'))")?;
    // Half a megabyte comes without a word of the page, and a little more.
    let bytes = |scene: &Scene| scene.of("a", "bytes")?.as_u64().context("no count");
    until("what is sent ahead", SOON, || Ok(bytes(&scene)? >= 512 * 1024))?;
    let ahead = bytes(&scene)?;
    assert!(ahead <= 544 * 1024, "{ahead}");
    // The gate hears the page, and keeps what the windows let it.
    scene.says("a", &json!({"do": "size", "cols": 100, "rows": 30}))?;
    scene.bare_line("b")?;
    scene.opens("b", "dev1")?;
    scene.hears("b", "open")?;
    assert_eq!(bytes(&scene)?, ahead, "and nothing more");
    let grown = resident(&scene.world)?.saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} kB");
    scene.says("a", &json!({"do": "shown", "bytes": 512 * 1024}))?;
    until("the rest of it", SOON, || Ok(bytes(&scene)? >= 1024 * 1024))?;
    // Whoever sends what there is no credit for is sent away; the target of `yes` reads nothing.
    scene.browser.script("for (let n = 0; n < 400; n++) window.a.line.send(new Uint8Array(16384).fill(120))")?;
    until("the end", SOON, || Ok(scene.of("a", "closed")? == true))?;
    // A message beyond the limit ends its line at once, and only that.
    scene.bare_line("c")?;
    scene.browser.script("window.c.line.send('x'.repeat(200000))")?;
    until("the end", SOON, || Ok(scene.of("c", "closed")? == true))?;
    assert_eq!(scene.of("b", "closed")?, false);
    Ok(())
}
