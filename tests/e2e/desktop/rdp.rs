//! RDP: xrdp and xfreerdp, with TLS on both legs.

use anyhow::{Context as _, Result};
use tapgate_lab::{Process, Screen, VncDesktop, Xrdp};

use super::scene::{Proxy, SEEN, Scene, auth, same_picture, typed};
use crate::world::{text, until};

/// A desktop behind xrdp, and its document.
pub(super) struct Desk {
    pub(super) vnc: VncDesktop,
    pub(super) xrdp: Xrdp,
    pub(super) viewer: Screen,
}

impl Desk {
    pub(super) fn new(scene: &Scene, name: &str) -> Result<Self> {
        let vnc = VncDesktop::start(&scene.world.lab, &format!("{name}-vnc"), None)?;
        let xrdp = Xrdp::start(&scene.world.lab, name, &vnc)?;
        let desk = Self { vnc, xrdp, viewer: Screen::start(&scene.world.lab, 900, 700)? };
        scene.put(name, desk.xrdp.port(), &desk.spec(""))?;
        Ok(desk)
    }

    /// `spec` with its pin and ann's password, and further lines.
    pub(super) fn spec(&self, more: &str) -> String {
        format!("{}  tls: {{ sha256: \"{}\" }}\n{more}", auth("ann", self.vnc.password_file()), self.xrdp.fingerprint)
    }
}

/// xfreerdp through a proxy, with this password.
pub(super) fn freerdp(viewer: &Screen, proxy: &Proxy, password: &str, more: &[&str]) -> Result<Process> {
    let (to, password) = (format!("/v:{}", proxy.text("address")?), format!("/p:{password}"));
    let words = [&to, "/u:eve", &password, "/cert:ignore", "/size:800x600"];
    let words: Vec<&str> = words.into_iter().chain(more.iter().copied()).collect();
    viewer.start_program("xfreerdp", "freerdp2-x11", &words)
}

#[test]
fn a_desktop_opens_after_one_tap_with_a_password_that_nobody_learns() -> Result<()> {
    let scene = Scene::new()?;
    let desk = Desk::new(&scene, "win1")?;
    let mark = scene.world.mark();
    let process = scene.connect(&desk.viewer, &["win1", "--login", "ann", "--", "/size:800x600"])?;
    let window = same_picture(&desk.viewer, "FreeRDP", &desk.vnc.screen)?;
    assert!(process.stderr().contains("MFA is required to access Desktop \"win1\""), "{}", process.stderr());
    typed(&scene, &desk.viewer, &window, "typed-rdp")?;
    let start = scene.world.await_record(mark, "session.start", |record| text(record, "target") == "win1")?;
    assert_eq!((text(&start, "protocol"), text(&start, "login")), ("rdp", "ann"));
    let seen = scene.world.await_record(mark, "desktop.session", |_| true)?;
    assert_eq!((seen["width"].as_u64(), seen["height"].as_u64()), (Some(800), Some(600)));
    assert_eq!(text(&seen, "security"), "tls");
    process.stop()?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(end["bytes_down"].as_u64() > Some(1000), "{end}");
    Ok(())
}

#[test]
fn a_port_opens_for_its_password_alone_and_channels_are_the_roles() -> Result<()> {
    let scene = Scene::new()?;
    scene.role("require_session_mfa: true, desktop_clipboard: false, desktop_directory_sharing: false")?;
    let desk = Desk::new(&scene, "win1")?;
    let proxy = scene.proxy("win1", "ann", &["--port", "0"])?;
    let mark = scene.world.mark();
    let wrong = freerdp(&desk.viewer, &proxy, "vncpass1", &[])?;
    let end = scene.world.await_record(mark, "session.end", |_| true)?;
    assert!(text(&end, "reason").contains("did not show the password"), "{end}");
    drop(wrong);
    let mark = scene.world.mark();
    let home = scene.world.lab.path().display().to_string();
    let more = ["+clipboard", &format!("/drive:home,{home}")];
    let _right = freerdp(&desk.viewer, &proxy, proxy.text("password")?, &more)?;
    let window = same_picture(&desk.viewer, "FreeRDP", &desk.vnc.screen)?;
    typed(&scene, &desk.viewer, &window, "typed-port")?;
    let seen = scene.world.await_record(mark, "desktop.session", |_| true)?;
    let denied: Vec<_> = seen["denied_channels"].as_array().into_iter().flatten().filter_map(|v| v.as_str()).collect();
    assert!(denied.contains(&"cliprdr") && denied.contains(&"rdpdr"), "{seen}");
    Ok(())
}

#[test]
fn another_certificate_and_another_login_open_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let desk = Desk::new(&scene, "win1")?;
    scene.put("win1", desk.xrdp.port(), &desk.spec("").replace(&desk.xrdp.fingerprint, &"0".repeat(64)))?;
    let process = scene.connect(&desk.viewer, &["win1", "--login", "ann"])?;
    process.wait_for_error("its certificate is not the one that `tls.sha256` of its resource pins")?;
    drop(process);
    scene.put("win1", desk.xrdp.port(), &desk.spec("").replace("  tls", "  server_security: auto\n  tls: {}\n#"))?;
    let process = scene.connect(&desk.viewer, &["win1", "--login", "ann"])?;
    process.wait_for_error("TLS with it failed")?;
    drop(process);
    scene.put("win1", desk.xrdp.port(), &desk.spec(""))?;
    let process = scene.connect(&desk.viewer, &["win1", "--login", "alice"])?;
    process.wait_for_error("the gate has no password for alice there")?;
    drop(process);
    let refused = scene.world.jerry.tap(["desktop", "connect", "win1", "--login", "root"])?.failure(1)?;
    assert!(refused.stderr.contains("access to \"win1\" denied"), "{refused}");
    Ok(())
}

#[test]
fn a_wrong_password_of_the_gates_is_seen_on_the_desktop() -> Result<()> {
    let scene = Scene::new()?;
    let desk = Desk::new(&scene, "win1")?;
    std::fs::write(desk.vnc.password_file(), "nonsense")?;
    let process = scene.connect(&desk.viewer, &["win1", "--login", "ann", "--", "/size:800x600"])?;
    let window = desk.viewer.window("FreeRDP").with_context(|| process.stderr())?;
    // xrdp shows its own log in the picture, and not the desktop.
    until("xrdp's word on it", SEEN, || Ok(desk.xrdp.said().contains("password failed")))?;
    let likeness = desk.viewer.picture(&window)?.likeness(&desk.vnc.screen.picture("root")?);
    assert!(likeness < 98, "{likeness}");
    Ok(())
}

#[test]
fn passthrough_leaves_tls_and_password_to_client_and_desktop() -> Result<()> {
    let scene = Scene::new()?;
    let desk = Desk::new(&scene, "win1")?;
    scene.put("win1", desk.xrdp.port(), "  mode: passthrough\n")?;
    let refused = scene.world.jerry.tap(["proxy", "desktop", "win1", "--login", "ann", "--port", "0"])?.failure(1)?;
    assert!(refused.stderr.contains("--insecure-tcp"), "{refused}");
    let mark = scene.world.mark();
    let words = ["win1", "--login", "ann", "--", "/p:vncpass1", "/cert:ignore", "/size:800x600"];
    let process = scene.connect(&desk.viewer, &words)?;
    let window = same_picture(&desk.viewer, "FreeRDP", &desk.vnc.screen)?;
    typed(&scene, &desk.viewer, &window, "typed-passed")?;
    assert_eq!(text(&scene.world.await_record(mark, "desktop.session", |_| true)?, "security"), "passthrough");
    drop(process);
    // What can't be seen can't be forbidden: such a session is not opened.
    scene.role("require_session_mfa: true, desktop_clipboard: false")?;
    let process = scene.connect(&desk.viewer, &words)?;
    process.wait_for_error("your role forbids clipboard or drives")
}
