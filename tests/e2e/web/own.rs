//! What is one's own: targets with their commands, and live sessions with an end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tapgate_lab::own_binary;

use super::scene::Scene;

#[test]
fn targets_are_shown_with_what_to_type() -> Result<()> {
    let scene = Scene::signed_in()?;
    let (dev1, prod3) = (scene.world.at("dev1"), scene.world.at("prod3"));
    for said in [format!("tap ssh {dev1}"), format!("tap ssh {prod3}"), "env: prod".into(), "asks for a tap".into()] {
        scene.browser.wait_for(&said)?;
    }
    scene.browser.wait_for(&format!("tap login --gate {} --user ann", scene.world.address))?;
    scene.picture("targets")?;
    scene.browser.fill("#wanted", "prod")?;
    scene.browser.wait_for("1 of 2")?;
    let copy = "navigator.clipboard.writeText = async text => { window.copied = text }";
    scene.browser.script(copy)?;
    scene.browser.click(&format!("button[aria-label='Copy tap ssh {prod3}']"))?;
    scene.browser.wait_for("Copied")?;
    assert_eq!(scene.browser.script("return window.copied")?, format!("tap ssh {prod3}"));
    scene.quiet()
}

#[test]
fn a_session_is_listed_and_ended_by_its_user() -> Result<()> {
    let scene = Scene::signed_in()?;
    // The same person at a terminal, with the same key.
    let login = ["login", "--gate", &scene.world.address, "--ca-pin", &scene.world.pin, "--user", "ann"];
    scene.approve(scene.tap(login)?, "Approve a login")?.success()?;
    scene.visit("/web/sessions")?;
    scene.browser.wait_for("No session of yours is open.")?;
    let mut session = scene.ann.start(&own_binary("tap")?, ["ssh", &scene.world.at("dev1"), "echo up; exec cat"])?;
    session.wait_for("up")?;
    let others = scene.world.start_ssh("dev1", &["echo up; exec cat"])?;
    others.wait_for("up")?;
    scene.visit("/web/sessions")?;
    let button = format!("button[aria-label='End the session at dev1 as {}']", scene.world.login);
    scene.browser.wait_for_element(&button)?;
    assert_eq!(scene.browser.script("return document.querySelectorAll('tbody tr').length")?, 1, "jerry's is his own");
    scene.picture("sessions")?;
    scene.quiet()?;

    // Nobody ends another one's, even by its number.
    let cookie = scene.cookie()?;
    let own = scene.curl("/web/api/sessions", cookie["value"].as_str().unwrap_or_default(), &[])?.1;
    let id = serde_json::from_str::<serde_json::Value>(&own)?["sessions"][0]["id"].clone();
    let tapper = crate::world::Tapper::new(&scene.world, &scene.world.jerry, "jerry")?;
    let id = id.as_str().context("no number")?;
    let end = tapgate_api::SessionEnd { id: id.to_owned() };
    let refused: Result<tapgate_api::LiveSessions> =
        tapper.wait(tapper.http.post(tapgate_api::path::SESSIONS_END, &end));
    assert!(refused.is_err_and(|why| why.to_string().contains("you have no such session open")));

    scene.browser.click(&button)?;
    scene.browser.wait_for("The session at dev1 was ended.")?;
    session.wait_for_error("you ended it from your list of sessions")?;
    assert_eq!(session.wait(Duration::from_secs(20))?.code(), Some(255));
    scene.browser.wait_for("No session of yours is open.")?;
    scene.ann.tap(["logout"])?.success()?;
    Ok(())
}

#[test]
fn a_tap_on_a_page_is_good_for_this_web_session_alone() -> Result<()> {
    let scene = Scene::signed_in()?;
    let mark = scene.world.mark();
    let before = scene.cookie()?;
    let wish = |target: &str| json!({"targets": [{"kind": "node", "name": target, "login": scene.world.login}]});
    let ask = |path: &str, body: &serde_json::Value| {
        let call = format!(
            "return fetch('/web/api{path}', {{method: 'POST', credentials: 'same-origin',
             headers: {{'Content-Type': 'application/json'}}, body: JSON.stringify({body})}})
             .then(async answer => ({{status: answer.status, body: await answer.json()}}))"
        );
        scene.browser.script(&call)
    };
    assert_eq!(ask("/tap", &wish("dev1"))?["body"]["requirement"], "none");
    assert_eq!(ask("/tap", &wish("nowhere"))?["status"], 403);
    let asked = ask("/tap", &wish("prod3"))?;
    assert_eq!((&asked["body"]["requirement"], &asked["body"]["targets"][0]["name"]), (&"tap".into(), &"prod3".into()));
    let options = &asked["body"]["webauthn"];
    let tap = format!(
        "const options = PublicKeyCredential.parseRequestOptionsFromJSON({options}.publicKey);
         return navigator.credentials.get({{publicKey: options}}).then(key => key.toJSON())"
    );
    let webauthn = scene.browser.script(&tap)?;
    let finished = ask("/tap/finish", &json!({"id": asked["body"]["id"], "webauthn": webauthn}))?;
    assert_eq!(finished["status"], 200, "{finished}");
    assert_ne!(before["value"], scene.cookie()?["value"], "who may do more has another cookie");
    let record = scene.world.await_record(mark, "mfa.succeeded", |record| record["purpose"] == "session")?;
    let der = record["proof"]["statement"].as_str().context("no statement")?;
    let der = URL_SAFE_NO_PAD.decode(der)?;
    let statement = tapgate_proof::Statement::from_der(&der)?;
    let holder = statement.parts().targets.first().map(|entry| entry.holder.clone());
    assert!(matches!(holder, Some(tapgate_proof::Holder::WebSession(_))), "{holder:?}");
    Ok(())
}
