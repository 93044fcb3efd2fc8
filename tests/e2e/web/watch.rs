//! Watching over sessions: recordings played in the browser, live ones among them, and a lock by a tap.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tapgate_lab::own_binary;

use super::scene::Scene;
use crate::db::scene::Scene as DbScene;
use crate::world::{text, until};

const SOON: Duration = Duration::from_mins(1);

/// ann is signed in as an administrator; what jerry does on prod3 is recorded.
fn watched() -> Result<Scene> {
    let scene = Scene::before_enrolment()?;
    scene.world.put_prod_options("require_session_mfa: true, record_session: strict")?;
    scene.enrol_by_page("ann", "admin,access-dev,access-prod")?;
    scene.sign_in()?;
    Ok(scene)
}

/// What the player's terminal shows.
fn shown(scene: &Scene) -> Result<String> {
    let seen = scene.browser.script("return document.querySelector('.ap-term')?.innerText ?? ''")?;
    // Each character may be an element of its own, and blanks are not what matters.
    Ok(seen.as_str().unwrap_or_default().replace('\u{a0}', " "))
}

fn play(scene: &Scene) -> Result<()> {
    scene.browser.wait_for_element(".ap-overlay-start")?;
    scene.browser.click(".ap-overlay-start")
}

#[test]
fn a_terminal_is_played_found_in_and_watched_live() -> Result<()> {
    let scene = watched()?;
    let mark = scene.world.mark();
    let at = scene.world.at("prod3");
    let mut shell = scene.world.jerry.start_on_terminal(&own_binary("tap")?, ["ssh", &at])?;
    shell.write(
        b"stty cols 91 rows 33; printf '\\033[31mred\\033[0m \\033]0;a title\\007<b>bold</b>\\n'; echo $((40+2))-go\n",
    )?;
    shell.wait_for("42-go")?;
    shell.write(b"exit\n")?;
    shell.finish(SOON)?.success()?;
    let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == "prod3")?;
    let session = text(&end, "session");
    let mut live = scene.world.start_ssh("prod3", &["echo it-goes-on; cat"])?;
    live.wait_for("it-goes-on")?;

    scene.visit("/web/sessions")?;
    let link = format!("a[href='/web/recording?session={session}']");
    scene.browser.wait_for_element(&link)?;
    scene.browser.wait_for("Lock…")?;
    scene.picture("watch")?;
    scene.browser.click(&link)?;
    scene.browser.wait_for("jerry at prod3")?;
    let seen =
        scene.world.await_record(mark, "session.recording.access", |record| text(record, "session") == session)?;
    assert_eq!(text(&seen, "user"), "ann");
    play(&scene)?;
    until("what was shown", SOON, || Ok(shown(&scene)?.contains("42-go")))?;
    // What looks like a page's own code is text, and titles change nothing.
    assert!(shown(&scene)?.contains("<b>bold</b>"), "{}", shown(&scene)?);
    assert_eq!(scene.browser.script("return document.title")?, "jerry at prod3 – Tapgate");
    scene.browser.fill("#words", "42-GO")?;
    scene.browser.click(".found button")?;
    scene.browser.wait_for_element(".hits button")?;
    scene.picture("recording")?;
    scene.browser.click(".hits button")?;
    scene.browser.script(
        "const speed = document.querySelector('#speed'); speed.value = 16;
         speed.dispatchEvent(new Event('change', {bubbles: true}))",
    )?;
    until("the place", SOON, || Ok(shown(&scene)?.contains("red")))?;
    scene.quiet()?;

    // A live one shows what comes while it is watched.
    let listed = scene.world.olga.tapctl(["sessions", "ls", "--format", "json"])?.success()?.json()?;
    let of_live = listed["recordings"].as_array().and_then(|all| all.iter().find(|one| one["live"] == true));
    let of_live = of_live.context("nothing is live")?;
    scene.visit(&format!("/web/recording?session={}", text(of_live, "session")))?;
    play(&scene)?;
    until("what was shown before", SOON, || Ok(shown(&scene)?.contains("it-goes-on")))?;
    live.write(b"and on\n")?;
    until("what comes", SOON, || Ok(shown(&scene)?.contains("and on")))?;
    scene.quiet()?;

    // The administrator's tap ends it, and nothing new begins.
    scene.visit("/web/sessions")?;
    let button = "button[aria-label='Lock jerry or prod3']";
    scene.browser.wait_for_element(button)?;
    scene.browser.click(button)?;
    scene.browser.wait_for_element("#message")?;
    scene.browser.fill("#message", "look at your screen")?;
    scene.picture("lock")?;
    scene.browser.click(".lock button[type=submit]")?;
    scene.browser.wait_for("jerry is locked")?;
    live.wait_for_error("this session was ended: access is locked")?;
    let changed = scene.world.await_record(mark, "admin.changed", |record| text(record, "kind") == "lock")?;
    assert!(text(&changed, "user") == "ann" && changed["proof"].is_object(), "{changed}");
    let refused = scene.world.ssh("dev1", &["true"])?;
    assert!(!refused.status.success() && refused.stderr.contains("access is locked"), "{refused}");
    scene.quiet()
}

#[test]
fn statements_are_shown_in_rows() -> Result<()> {
    let Scene { browser, ann, world } = Scene::before_enrolment()?;
    let db = DbScene::in_world(world, "record_session: strict, db_audit_text: full")?;
    let mark = db.world.mark();
    let pass = db.tap("app/shop")?;
    db.psql(Some(&pass), "", "select '<i>\u{202e}x</i>' as answer")?.success()?;
    db.psql(Some(&pass), "", "create table t (id int)")?.success()?;
    let end = db.world.await_record(mark, "session.end", |_| true)?;
    let DbScene { orders: _orders, world, .. } = db;
    let scene = Scene { browser, ann, world };
    scene.enrol_by_page("ann", "admin,access-prod")?;
    scene.sign_in()?;
    scene.visit(&format!("/web/recording?session={}", text(&end, "session")))?;
    scene.browser.wait_for("jerry at orders")?;
    scene.browser.wait_for("select '<i>\\u{202e}x</i>' as answer")?;
    scene.picture("statements")?;
    scene.browser.fill("#words", "no such words")?;
    scene.browser.click(".found button")?;
    scene.browser.wait_for("Nothing of it has these words.")?;
    scene.quiet()
}

#[test]
fn nobody_sees_or_locks_without_the_right_to() -> Result<()> {
    let scene = Scene::signed_in()?;
    scene.world.put_prod_options("require_session_mfa: true, record_session: strict")?;
    scene.world.ssh("prod3", &["echo secret"])?.success()?;
    let end = scene.world.await_record(0, "session.end", |record| text(record, "target") == "prod3")?;
    scene.visit("/web/sessions")?;
    scene.browser.wait_for("No session of yours is open.")?;
    assert_eq!(scene.browser.script("return document.querySelector('#live')")?, serde_json::Value::Null);
    let cookie = scene.cookie()?;
    let cookie = cookie["value"].as_str().unwrap_or_default();
    let session = text(&end, "session");
    let one = format!("/web/api/recordings/{session}");
    for path in ["/web/api/recordings", "/web/api/sessions/all", one.as_str()] {
        let (status, body) = scene.curl(path, cookie, &[])?;
        assert_eq!(status, 403, "{path}: {body}");
    }
    let origin = format!("Origin: https://{}", scene.world.address);
    let lock = ["-d", "{\"user\":\"jerry\"}", "-H", "Content-Type: application/json", "-H", &origin];
    let (status, body) =
        scene.curl("/web/api/lock", cookie, &[&lock[..], &["-H", "Sec-Fetch-Site: same-origin"]].concat())?;
    assert_eq!(status, 403, "{body}");
    // The page itself says so, and a place in the middle is nobody's.
    scene.visit(&format!("/web/recording?session={session}"))?;
    scene.browser.wait_for("you may not see these")?;
    let middle = scene.world.olga.tap(["play", session, "--as", "json"])?.success()?;
    assert!(middle.stdout.contains("secret"), "{middle}");
    scene.quiet_but_refused(403)
}
