//! How sessions of applications end by their roles' times, and what a role wants to be written down of them.

use anyhow::{Result, ensure};

use super::scene::{EXCHANGE, Scene, sign_in_and_tap};
use crate::world::{event, hand_over_beside, text, until};

#[test]
fn a_role_ends_sessions_that_rest_or_last_and_may_ask_for_every_request() -> Result<()> {
    let scene = Scene::new()?;
    scene.roles("client_idle_timeout: 2s, app_audit_requests: true")?;
    let (mark, proxy) = (scene.world.mark(), scene.proxy("dash", &[])?);
    assert_eq!(scene.through(&proxy, &["http://dash/a?token=secret"])?.status, 200);
    let request = scene.world.await_record(mark, "session.request", |record| text(record, "target") == "dash")?;
    let told = (text(&request, "method"), text(&request, "path"), request["status"].as_u64());
    assert_eq!(told, ("GET", "/a", Some(200)), "{request}");
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "dash")?;
    assert_eq!(text(&end, "reason"), "idle for too long", "{end}");
    // The other role says nothing of requests, and the resource neither.
    let open = scene.proxy("open", &[])?;
    assert_eq!(scene.through(&open, &["http://open/b"])?.status, 200);
    let of_open = |record: &&serde_json::Value| event(record) == "session.request" && text(record, "target") == "open";
    assert_eq!(scene.world.records().iter().filter(of_open).count(), 0);

    scene.roles("max_session_ttl: 3s")?;
    let (mark, proxy) = (scene.world.mark(), scene.proxy("dash", &[])?);
    until("the end of the session that is in use", EXCHANGE, || {
        // A request that meets the end has no answer.
        scene.through(&proxy, &["http://dash/c"]).ok();
        let ended = |record: &serde_json::Value| {
            event(record) == "session.end" && text(record, "reason").contains("max_session_ttl")
        };
        Ok(scene.world.records().iter().skip(mark).any(ended))
    })
}

#[test]
fn a_connection_has_one_number_from_the_log_to_each_of_its_requests() -> Result<()> {
    let scene = Scene::new()?;
    scene.roles("require_session_mfa: true, app_audit_requests: true")?;
    let (browser, mark) = (scene.browser()?, scene.world.mark());
    browser.go(&scene.url("dash", "/first")?)?;
    sign_in_and_tap(&browser)?;
    let asked = |path: &str| scene.world.await_record(mark, "session.request", |record| text(record, "path") == path);
    let first = asked("/first")?;
    assert_eq!(browser.script("return performance.getEntriesByType('navigation')[0].nextHopProtocol")?, "h2");
    browser.script("const r = new XMLHttpRequest(); r.open('GET', '/second', false); r.send(); return r.status")?;
    let (start, second) = (scene.world.await_record(mark, "session.start", |_| true)?, asked("/second")?);
    let number = text(&start, "connection");
    assert!(number.len() > 17, "{start}");
    assert_eq!([text(&first, "connection"), text(&second, "connection")], [number, number], "{first} {second}");
    Ok(())
}

#[test]
fn applications_answer_all_the_while_the_gate_changes_hands() -> Result<()> {
    let scene = Scene::new()?;
    let [dash, open] = [scene.proxy("dash", &[])?, scene.proxy("open", &[])?];
    let ask = |proxy, url: &str| -> Result<()> {
        let answer = scene.through(proxy, &[url])?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    };
    let (tapped, free) = (|| ask(&dash, "http://dash/a"), || ask(&open, "http://open/a"));
    hand_over_beside(scene.world.gate(), &[&tapped, &free])
}
