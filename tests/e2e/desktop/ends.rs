//! How a desktop session ends: by a lock, by rest, by its role's time, and by the gate's end.

use anyhow::Result;
use tapgate_lab::Screen;

use super::rdp::Desk;
use super::scene::{Scene, same_picture};
use crate::world::text;

#[test]
fn a_lock_cuts_at_once_and_opens_nothing_more() -> Result<()> {
    let scene = Scene::new()?;
    let (mac1, desk) = (scene.vnc("mac1")?, Desk::new(&scene, "win1")?);
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let mark = scene.world.mark();
    let vnc = scene.connect(&viewer, &["mac1", "--login", "ann"])?;
    let rdp = scene.connect(&desk.viewer, &["win1", "--login", "ann", "--", "/size:800x600"])?;
    same_picture(&viewer, "TigerVNC", &mac1.screen)?;
    same_picture(&desk.viewer, "FreeRDP", &desk.vnc.screen)?;
    scene.world.olga.tapctl(["lock", "--user", "jerry", "--message", "lost laptop"])?.success()?;
    for name in ["mac1", "win1"] {
        let end = scene.world.await_record(mark, "session.end", |record| text(record, "target") == name)?;
        assert!(text(&end, "reason").contains("lost laptop"), "{end}");
    }
    drop((vnc, rdp));
    // The window of the last tap is still open, and does not help.
    let again = scene.connect(&viewer, &["mac1", "--login", "ann"])?;
    again.wait_for_error("lost laptop")
}

#[test]
fn a_session_that_nobody_uses_ends_though_its_picture_moves() -> Result<()> {
    let scene = Scene::new()?;
    scene.role("require_session_mfa: true, client_idle_timeout: 4s")?;
    let mac1 = scene.vnc("mac1")?;
    // A picture that changes by itself is nobody's doing.
    let _clock = mac1.screen.start_program("xclock", "x11-apps", &["-update", "1", "-geometry", "100x100+650+450"])?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let mark = scene.world.mark();
    let _process = scene.connect(&viewer, &["mac1", "--login", "ann"])?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert_eq!(text(&end, "reason"), "idle for too long");
    Ok(())
}

#[test]
fn a_role_sets_the_longest_time() -> Result<()> {
    let scene = Scene::new()?;
    scene.role("require_session_mfa: true, max_session_ttl: 5s")?;
    let _mac1 = scene.vnc("mac1")?;
    let viewer = Screen::start(&scene.world.lab, 900, 700)?;
    let mark = scene.world.mark();
    let _process = scene.connect(&viewer, &["mac1", "--login", "ann"])?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&end, "reason").contains("max_session_ttl"), "{end}");
    Ok(())
}
